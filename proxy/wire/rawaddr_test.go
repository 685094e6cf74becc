package wire

import (
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRawAddresses compares with what package net says.
func TestRawAddresses(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0"} {
		l, err := Listen(address)
		must(t, err)
		dialing, err := net.Dial("tcp", netip.AddrPortFrom(netip.IPv6Loopback(), l.Addr().Port()).String())
		if address == "127.0.0.1:0" {
			dialing, err = net.Dial("tcp", l.Addr().String())
		}
		must(t, err)
		c, err := l.Accept()
		must(t, err)
		if got, want := c.Remote(), dialing.LocalAddr().(*net.TCPAddr).AddrPort(); got != want {
			t.Errorf("%s: accepted from %v, want %v", address, got, want)
		}
		if got, want := c.Local(), dialing.RemoteAddr().(*net.TCPAddr).AddrPort(); got != want {
			t.Errorf("%s: accepted at %v, want %v", address, got, want)
		}
		if got, e := peername(c.fd); got != c.Remote() || e != 0 {
			t.Errorf("%s: the peer is %v, %v", address, got, e)
		}
		must(t, c.Close())
		must(t, dialing.Close())
		must(t, l.Close())
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(t, err)
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	if got, e := sockname(uintptr(fds[0])); got.IsValid() || e != 0 {
		t.Errorf("the address of a unix socket is %v, %v", got, e)
	}
	if _, e := peername(closedFD); e != syscall.EBADF {
		t.Errorf("the peer of no socket: %v", e)
	}
}

// What is written for the kernel is what is read from it.
func TestRawAddrOf(t *testing.T) {
	tests := []struct {
		in, want string
		size     uintptr
		family   int
	}{
		{"192.0.2.1:8080", "192.0.2.1:8080", unix.SizeofSockaddrInet4, unix.AF_INET},
		{"[::ffff:192.0.2.1]:1", "192.0.2.1:1", unix.SizeofSockaddrInet4, unix.AF_INET},
		{"[2001:db8::7]:65535", "[2001:db8::7]:65535", unix.SizeofSockaddrInet6, unix.AF_INET6},
		{"[fe80::1%3]:80", "[fe80::1]:80", unix.SizeofSockaddrInet6, unix.AF_INET6},
	}
	for _, tt := range tests {
		raw, size, family := rawAddrOf(netip.MustParseAddrPort(tt.in))
		if got := raw.addrPort(); got != netip.MustParseAddrPort(tt.want) || size != tt.size || family != tt.family {
			t.Errorf("%s: %v, size %d, family %d, want %s, %d, %d", tt.in, got, size, family, tt.want, tt.size, tt.family)
		}
	}
	raw, _, _ := rawAddrOf(netip.MustParseAddrPort("[fe80::1%3]:80"))
	if zone := binary.NativeEndian.Uint32(raw[24:]); zone != 3 {
		t.Errorf("the zone is %d, want 3", zone)
	}
}
