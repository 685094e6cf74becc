package wire

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

func fromSockaddr(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// toSockaddr returns the address family too. An IPv4-mapped address is an IPv4 one.
func toSockaddr(a netip.AddrPort) (unix.Sockaddr, int) {
	if v4 := a.Addr().Unmap(); v4.Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: v4.As4()}, unix.AF_INET
	}
	sa := &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	if z := a.Addr().Zone(); z != "" {
		sa.ZoneId = zoneID(z)
	}
	return sa, unix.AF_INET6
}
