package wire

import (
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Dial connects to addr within timeout (0: the kernel's). The errors are those of connect(2), or
// ErrTimeout.
func Dial(addr netip.AddrPort, timeout time.Duration) (*Conn, error) {
	return DialHeld(addr, timeout, func(*Conn) {})
}

// DialHeld is Dial that hands the Conn to held before it waits for the handshake, so that others can
// end the attempt by Shutdown.
func DialHeld(addr netip.AddrPort, timeout time.Duration, held func(*Conn)) (*Conn, error) {
	to, size, family := rawAddrOf(addr)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if e := setOption(uintptr(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); e != 0 {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("setsockopt", e)
	}
	// Connect before the socket is on the poller: an unconnected socket is reported as hung up.
	e := connect(uintptr(fd), &to, size)
	if e != 0 && e != unix.EINPROGRESS && e != unix.EINTR {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("connect", e)
	}
	c := newConn(fd, addr)
	held(c)
	if e != 0 {
		err = c.finishConnect(timeout)
	}
	if err == nil && c.selfConnected() {
		err = os.NewSyscallError("connect", unix.ECONNREFUSED)
	}
	if err != nil {
		_ = c.Abort()
		return nil, err
	}
	return c, nil
}

// selfConnected reports whether the socket is connected to itself. That happens when nobody listens
// on a port of this machine which the kernel then chooses for the other end of the attempt, so that
// both ends are one. It would answer requests with themselves and keep the port from its backend.
func (c *Conn) selfConnected() bool {
	local := c.Local()
	return local.Port() == c.remote.Port() && local.Addr() == c.remote.Addr().Unmap().WithZone("")
}

// finishConnect waits for the handshake. On loopback it is over already, and nobody has to wait.
func (c *Conn) finishConnect(timeout time.Duration) error {
	var result error
	look := func(fd uintptr) bool {
		_, e := peername(fd)
		if e == 0 {
			return true
		}
		soerr, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil {
			result = os.NewSyscallError("getsockopt", err)
			return true
		}
		if soerr != 0 {
			result = os.NewSyscallError("connect", syscall.Errno(soerr))
			return true
		}
		return false
	}
	if !look(c.fd) {
		if err := c.awaitRoom(look, After(Now(), timeout)); err != nil {
			return err
		}
	}
	return result
}
