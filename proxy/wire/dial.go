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
	c, connected, err := Connect(addr)
	if err != nil {
		return nil, err
	}
	held(c)
	if connected {
		return c, nil
	}
	if err := c.AwaitConnect(timeout); err != nil {
		_ = c.Abort()
		return nil, err
	}
	return c, nil
}

// Connect begins a connection to addr, and reports whether it is there already, as it is on loopback;
// else AwaitConnect comes next. The errors are those of connect(2).
func Connect(addr netip.AddrPort) (c *Conn, connected bool, err error) {
	to, size, family := rawAddrOf(addr)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, false, os.NewSyscallError("socket", err)
	}
	if e := setOption(uintptr(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); e != 0 {
		_ = unix.Close(fd)
		return nil, false, os.NewSyscallError("setsockopt", e)
	}
	// Connect before the socket is on any poller: an unconnected socket is reported as hung up.
	e := connect(uintptr(fd), &to, size)
	if e != 0 && e != unix.EINPROGRESS && e != unix.EINTR {
		_ = unix.Close(fd)
		return nil, false, os.NewSyscallError("connect", e)
	}
	c = newConn(fd, addr)
	if connected, err = c.connected(); err != nil {
		_ = c.Abort()
		return nil, false, err
	}
	return c, connected, nil
}

// AwaitConnect waits for the handshake that Connect has begun, within timeout (0: the kernel's). The
// errors are those of connect(2), or ErrTimeout.
func (c *Conn) AwaitConnect(timeout time.Duration) error {
	var result error
	if err := c.awaitRoom(func(uintptr) bool {
		var done bool
		done, result = c.connected()
		return done || result != nil
	}, After(Now(), timeout)); err != nil {
		return err
	}
	return result
}

// AwaitConnect is that of c, without the runtime's poller: connections that relays wait for never meet it.
func (rs *Relays) AwaitConnect(c *Conn, timeout time.Duration) error {
	s, d := rs.set(), dialing{make(chan struct{}, 1)}
	defer s.remove(c.fd, d)
	if _, e := s.add(c.fd, d, unix.EPOLLOUT|unix.EPOLLET&0xffffffff); e != 0 {
		return os.NewSyscallError("epoll_ctl", e)
	}
	var expired <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		expired = t.C
	}
	for {
		late := false
		select {
		case <-d.news:
		case <-expired:
			late = true
		}
		switch done, err := c.connected(); {
		case done || err != nil:
			return err
		case late:
			return ErrTimeout
		}
	}
}

// dialing is a connect that is waited for.
type dialing struct{ news chan struct{} }

func (d dialing) hear(uint32) {
	select {
	case d.news <- struct{}{}:
	default: // it has yet to look
	}
}

// connected reports whether the handshake is over, and how it has failed.
func (c *Conn) connected() (bool, error) {
	if _, e := peername(c.fd); e == 0 {
		if c.selfConnected() {
			return false, os.NewSyscallError("connect", unix.ECONNREFUSED)
		}
		return true, nil
	}
	soerr, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return false, os.NewSyscallError("getsockopt", err)
	}
	if soerr != 0 {
		return false, os.NewSyscallError("connect", syscall.Errno(soerr))
	}
	return false, nil
}

// selfConnected reports whether the socket is connected to itself. That happens when nobody listens
// on a port of this machine which the kernel then chooses for the other end of the attempt, so that
// both ends are one. It would answer requests with themselves and keep the port from its backend.
func (c *Conn) selfConnected() bool {
	c.local, _ = sockname(c.fd)
	local := c.local
	return local.Port() == c.remote.Port() && local.Addr() == c.remote.Addr().Unmap().WithZone("")
}
