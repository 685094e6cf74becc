package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestOwner(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Logf("%s: %v", address, err) // no IPv6 here
			continue
		}
		if got, want := owner(l.Addr()), (holder{os.Getpid(), "weir.test"}); got != want {
			t.Errorf("%s: got %v, want %v", address, got, want)
		}
		elsewhere := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9), Port: l.Addr().(*net.TCPAddr).Port}
		if got := owner(elsewhere); (got.pid == 0) != (address != ":0") {
			t.Errorf("%s: %v, of %v", elsewhere, got, address)
		}
		// A reload that moves a listener to another address of its port, or renames it.
		_, err = net.Listen("tcp", l.Addr().String())
		if got := explainBind(errors.Join(fmt.Errorf("listeners.web: %w", err), err)).Error(); strings.Count(got, "— this very process") != 2 || !strings.Contains(got, "another listener, or the admin address") {
			t.Errorf("%s: got %v", address, got)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := owner(&net.UDPAddr{Port: 53}); got.pid != 0 {
		t.Errorf("udp: got %v", got)
	}
	if got := (holder{812, "nginx"}).String() + (holder{812, ""}).String(); got != "pid 812 (nginx)pid 812" {
		t.Errorf("got %q", got)
	}
}

func TestListening(t *testing.T) {
	local := func(ip [4]byte, port uint16) string {
		return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), port)
	}
	table := fmt.Sprintf(`  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: %s 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0000000000000000 100 0 0 10 0
   1: %[1]s 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0000000000000000 20 4 30 10 -1
   2: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4244 1 0000000000000000 100 0 0 10 0
   3: short
   4: ZZ:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4245 1 0000000000000000 100 0 0 10 0
   5: 00000000000000000000000000000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4246 1 0000000000000000 100 0 0 10 0
   6: %s 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4247 1 0000000000000000 100 0 0 10 0
`, local([4]byte{127, 0, 0, 1}, 8080), local([4]byte{10, 0, 0, 1}, 8080))
	tests := map[string][]string{
		"127.0.0.1:8080": {"4242", "4246"}, "10.0.0.1:8080": {"4246", "4247"}, "0.0.0.0:8080": {"4242", "4246", "4247"},
		"[::ffff:10.0.0.1]:8080": {"4246", "4247"}, "[::1]:8080": {"4246"}, "192.0.2.1:80": {"4244"}, "127.0.0.1:81": nil,
	}
	for address, want := range tests {
		if got := listening(table, netip.MustParseAddrPort(address)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", address, got, want)
		}
	}
}
