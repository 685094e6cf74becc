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
	sa, family := toSockaddr(addr)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("setsockopt", err)
	}
	// Connect before the socket is on the poller: an unconnected socket is reported as hung up.
	if err := unix.Connect(fd, sa); err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("connect", err)
	}
	c, err := newConn(fd, addr)
	if err != nil {
		return nil, err
	}
	if err := c.finishConnect(timeout); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// finishConnect waits for the handshake. On loopback it is over before the first look, so the
// timer is set only if there is something to wait for.
func (c *Conn) finishConnect(timeout time.Duration) error {
	var result error
	first := true
	look := func(fd uintptr) bool {
		soerr, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil {
			result = os.NewSyscallError("getsockopt", err)
			return true
		}
		if soerr != 0 {
			result = os.NewSyscallError("connect", syscall.Errno(soerr))
			return true
		}
		if _, err := unix.Getpeername(int(fd)); err == nil {
			result = nil
			return true
		}
		result = ErrTimeout
		return first
	}
	if err := c.raw.Write(look); err != nil || result != ErrTimeout {
		return firstError(err, result)
	}
	first = false
	if timeout > 0 {
		if err := c.file.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
			return err
		}
	}
	if err := c.raw.Write(look); err != nil || result != nil {
		return firstError(err, result)
	}
	return c.file.SetWriteDeadline(time.Time{})
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
