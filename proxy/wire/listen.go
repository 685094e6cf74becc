package wire

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// backlog is how many connections the kernel keeps until they are accepted; it caps it at
// net.core.somaxconn.
const backlog = 65535

// Listener accepts TCP connections on one address.
type Listener struct {
	file *os.File
	raw  syscall.RawConn
	addr netip.AddrPort

	close sync.Once
	err   error
}

// Listen binds address, host:port; an empty host is every address of the machine, IPv4 and IPv6.
// Options that the accepted sockets need are set here, because they inherit them. SO_REUSEPORT is
// not used: it would hide that another process has the port. What the kernel refuses is a
// *net.OpError with the address, as from net.Listen.
func Listen(address string) (*Listener, error) {
	if _, _, err := net.SplitHostPort(address); err != nil { // nothing would be any port
		return nil, err
	}
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", address, err)
	}
	l, err := listen(resolved)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: resolved, Err: err}
	}
	return l, nil
}

func listen(resolved *net.TCPAddr) (*Listener, error) {
	addr := resolved.AddrPort()
	switch {
	case resolved.IP == nil:
		addr = netip.AddrPortFrom(netip.IPv6Unspecified(), addr.Port())
	case addr.Addr().Is4In6():
		addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	}
	fd, err := bind(addr)
	if err == unix.EAFNOSUPPORT && resolved.IP == nil { // a kernel without IPv6
		addr = netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())
		fd, err = bind(addr)
	}
	if err != nil {
		return nil, err
	}
	f, raw, err := adopt(fd, "listener")
	if err != nil {
		return nil, err
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		_ = f.Close()
		return nil, os.NewSyscallError("getsockname", err)
	}
	return &Listener{file: f, raw: raw, addr: fromSockaddr(sa)}, nil
}

// bind makes a listening socket. Its errors wrap errno values.
func bind(addr netip.AddrPort) (int, error) {
	sa, family := toSockaddr(addr)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := setListenOptions(fd, addr); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	if err := unix.Bind(fd, sa); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	if err := unix.Listen(fd, backlog); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func setListenOptions(fd int, addr netip.AddrPort) error {
	options := []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
	}
	if addr.Addr().Is6() {
		only := 1
		if addr.Addr().IsUnspecified() {
			only = 0
		}
		options = append(options, struct{ level, name, value int }{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only})
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return nil
}

// Addr is the bound address, with the port that the kernel chose for port 0.
func (l *Listener) Addr() netip.AddrPort { return l.addr }

// Accept waits for the next connection. ErrClosed after Close; a temporary lack of descriptors or
// memory is reported as it is, and the caller paces itself.
func (l *Listener) Accept() (*Conn, error) {
	var (
		fd     int
		sa     unix.Sockaddr
		accept error
	)
	err := l.raw.Read(func(lfd uintptr) bool {
		for {
			fd, sa, accept = unix.Accept4(int(lfd), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			switch accept {
			case unix.EINTR, unix.ECONNABORTED:
				continue // the client left the queue again
			}
			return accept != unix.EAGAIN
		}
	})
	if err != nil {
		return nil, ErrClosed
	}
	if accept != nil {
		return nil, os.NewSyscallError("accept", accept)
	}
	c, err := newConn(fd, fromSockaddr(sa))
	if err != nil {
		return nil, err
	}
	if !l.addr.Addr().IsUnspecified() {
		c.local = l.addr
	}
	return c, nil
}

// Close stops accepting and closes the socket. What had been queued by the kernel is reset. It may
// be called more than once.
func (l *Listener) Close() error {
	l.close.Do(func() { l.err = l.file.Close() })
	return l.err
}
