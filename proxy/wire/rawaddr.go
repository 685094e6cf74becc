package wire

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below are those of package unix without the question for the protocol of the socket that
// it puts behind each of them: four system calls less for a connection that is passed on.

// rawAddr is an address as the kernel writes it.
type rawAddr [unix.SizeofSockaddrInet6]byte

// addrPort reads an IPv4 or IPv6 address; the zero value of others.
func (a *rawAddr) addrPort() netip.AddrPort {
	port := binary.BigEndian.Uint16(a[2:])
	switch binary.NativeEndian.Uint16(a[:]) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a[4:8])), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(a[8:24])).Unmap(), port)
	}
	return netip.AddrPort{}
}

// rawAddrOf is an address for the kernel, its size and its family. An IPv4-mapped address is an IPv4 one.
func rawAddrOf(a netip.AddrPort) (raw rawAddr, size uintptr, family int) {
	binary.BigEndian.PutUint16(raw[2:], a.Port())
	if v4 := a.Addr().Unmap(); v4.Is4() {
		binary.NativeEndian.PutUint16(raw[:], unix.AF_INET)
		ip := v4.As4()
		copy(raw[4:], ip[:])
		return raw, unix.SizeofSockaddrInet4, unix.AF_INET
	}
	binary.NativeEndian.PutUint16(raw[:], unix.AF_INET6)
	ip := a.Addr().As16()
	copy(raw[8:], ip[:])
	if z := a.Addr().Zone(); z != "" {
		binary.NativeEndian.PutUint32(raw[24:], zoneID(z))
	}
	return raw, unix.SizeofSockaddrInet6, unix.AF_INET6
}

// connect begins a connection, of a socket that does not wait.
func connect(fd uintptr, to *rawAddr, size uintptr) syscall.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_CONNECT, fd, uintptr(unsafe.Pointer(to)), size)
	return e
}

// accept takes a connection from the queue of a listening socket, and does not wait. Clients that have
// left the queue again are passed over.
func accept(listener uintptr) (fd int, remote netip.AddrPort, e syscall.Errno) {
	for {
		var a rawAddr
		size := uint32(len(a))
		n, _, e := syscall.RawSyscall6(unix.SYS_ACCEPT4, listener, uintptr(unsafe.Pointer(&a)), uintptr(unsafe.Pointer(&size)),
			unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch e {
		case 0:
			return int(n), a.addrPort(), 0
		case syscall.EINTR, syscall.ECONNABORTED:
			continue
		}
		return -1, netip.AddrPort{}, e
	}
}

// sockname is the address of a socket.
func sockname(fd uintptr) (netip.AddrPort, syscall.Errno) { return nameOf(unix.SYS_GETSOCKNAME, fd) }

// peername is the address that a socket is connected to.
func peername(fd uintptr) (netip.AddrPort, syscall.Errno) { return nameOf(unix.SYS_GETPEERNAME, fd) }

func nameOf(call, fd uintptr) (netip.AddrPort, syscall.Errno) {
	var a rawAddr
	size := uint32(len(a))
	_, _, e := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(&a)), uintptr(unsafe.Pointer(&size)))
	if e != 0 {
		return netip.AddrPort{}, e
	}
	return a.addrPort(), 0
}
