package main

import (
	"fmt"
	"net"
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
		_, err = net.Listen("tcp", l.Addr().String())
		if want := fmt.Sprintf(" — pid %d (weir.test) has the address; stop it", os.Getpid()); !strings.Contains(explainBind(err).Error(), want) {
			t.Errorf("%s: got %v, want it to contain %q", address, explainBind(err), want)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := owner(&net.UDPAddr{Port: 53}); got != "" {
		t.Errorf("udp: got %q", got)
	}
}

func TestListening(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0000000000000000 20 4 30 10 -1
   2: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4244 1 0000000000000000 100 0 0 10 0
   3: short
`
	tests := map[int][]string{8080: {"4242"}, 80: {"4244"}, 81: nil}
	for port, want := range tests {
		if got := listening(table, port); !reflect.DeepEqual(got, want) {
			t.Errorf("port %d: got %v, want %v", port, got, want)
		}
	}
}
