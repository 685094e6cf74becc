package wire

import (
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// UDPConn is a socket that exchanges datagrams with one peer alone: no other is heard. It is a bare
// descriptor that is on no poller but the [UDPPoll] that it is added to, so whoever uses it sees to
// it that nobody closes it meanwhile.
type UDPConn struct{ fd int32 }

// ConnectUDP makes a socket on port of this machine whose peer is addr. Other sockets of this process
// may have the same port for other peers; that no two have it for the same one is for the caller to
// see to. What was received before the peer was known is thrown away, so nothing of anybody else is
// left in it. The errors are those of the system calls, EADDRINUSE where somebody else has the port;
// nothing is sent, so a peer that is not there does not show.
func ConnectUDP(addr netip.AddrPort, port uint16) (UDPConn, error) {
	sa, family := toSockaddr(addr)
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return UDPConn{}, os.NewSyscallError("socket", err)
	}
	c := UDPConn{int32(fd)}
	if err := c.connect(sa, family, port); err != nil {
		c.Close()
		return UDPConn{}, err
	}
	c.discard()
	return c, nil
}

func (c UDPConn) connect(sa unix.Sockaddr, family int, port uint16) error {
	if err := unix.SetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(int(c.fd), anyAddress(family, port)); err != nil {
		return os.NewSyscallError("bind", err)
	}
	return os.NewSyscallError("connect", unix.Connect(int(c.fd), sa))
}

func anyAddress(family int, port uint16) unix.Sockaddr {
	if family == unix.AF_INET {
		return &unix.SockaddrInet4{Port: int(port)}
	}
	return &unix.SockaddrInet6{Port: int(port)}
}

// discard empties the socket.
func (c UDPConn) discard() {
	for {
		_, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(c.fd), 0, 0, unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
		if e != 0 && e != syscall.EINTR {
			return
		}
	}
}

// FD is the descriptor, for [UDPOut.Send].
func (c UDPConn) FD() uintptr { return uintptr(c.fd) }

// Receive fills at most n slots of b from slot i on with what is there. Fewer than n prove that nothing
// is left. An error other than EAGAIN is about what was sent: nobody listens there (ECONNREFUSED), the
// host is not there.
func (c UDPConn) Receive(b *UDPBatch, i, n int) (int, syscall.Errno) {
	return b.receive(uintptr(c.fd), i, n)
}

// Join asks the kernel to hand over datagrams of one size together, from then on. ReceiveOne is not to be
// used any more.
func (c UDPConn) Join() { joinSegments(int(c.fd)) }

// ReceiveOne fills slot i of b with one datagram. It is a third cheaper than Receive, and says nothing about
// what is left: see [UDPRest]. An error is as that of Receive.
func (c UDPConn) ReceiveOne(b *UDPBatch, i int) syscall.Errno {
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(c.fd), uintptr(unsafe.Pointer(&b.payload[i*datagramSize])), datagramSize,
			unix.MSG_DONTWAIT, 0, 0)
		if e == syscall.EINTR {
			continue
		}
		if e != 0 {
			return e
		}
		b.headers[i].size = uint32(n)
		b.headers[i].hdr.SetControllen(0)
		b.filled(i)
		return 0
	}
}

// UDPRest finds out which of many sockets still have something, with one system call for all. It belongs to
// one goroutine.
type UDPRest struct {
	list    []unix.PollFd
	unknown bool
}

// Add adds a socket.
func (r *UDPRest) Add(c UDPConn) {
	r.list = append(r.list, unix.PollFd{Fd: c.fd, Events: unix.POLLIN})
}

// Len is how many there are.
func (r *UDPRest) Len() int { return len(r.list) }

// Look asks.
func (r *UDPRest) Look() {
	var now unix.Timespec
	_, _, e := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(r.list))), uintptr(len(r.list)),
		uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	r.unknown = e != 0
}

// Has reports whether the i-th socket that was added has had something then, a failure too. If the kernel
// could not say, all have.
func (r *UDPRest) Has(i int) bool { return r.unknown || r.list[i].Revents != 0 }

// Clear forgets the sockets.
func (r *UDPRest) Clear() { r.list = r.list[:0] }

// Segment is the size of the datagrams in slot i that were put together, 0 if it has one.
func (b *UDPBatch) Segment(i int) int {
	if s := b.look(i).segment; s < int(b.headers[i].size) {
		return s
	}
	return 0
}

// Close closes the socket. Nobody may be using it.
func (c UDPConn) Close() { _ = unix.Close(int(c.fd)) }
