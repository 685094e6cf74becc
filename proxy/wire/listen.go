package wire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
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

	paused atomic.Bool
	spare  atomic.Pointer[accepting] // of an Accept that has returned; nil: it is in use
	close  sync.Once
	err    error
}

// Listen binds address, host:port; an empty host is every address of the machine, IPv4 and IPv6.
// Options that the accepted sockets need are set here, because they inherit them. SO_REUSEPORT is
// not used: it would hide that another process has the port. What the kernel refuses is a
// *net.OpError with the address, as from net.Listen.
func Listen(address string) (*Listener, error) { return ListenBeside(address, nil) }

// ListenBeside is Listen for an address that overlaps those of others, which are this process's own and
// will be closed: a wildcard and one address of the machine with the same port. Until then the kernel
// gives new connections to the more exact address.
func ListenBeside(address string, others []*Listener) (*Listener, error) {
	if _, _, err := net.SplitHostPort(address); err != nil { // nothing would be any port
		return nil, err
	}
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", address, err)
	}
	var l *Listener
	err = sharing(others, func() (err error) {
		l, err = listen(resolved, len(others) > 0)
		return err
	})
	if err != nil {
		if l != nil {
			err = errors.Join(err, l.Close())
		}
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: resolved, Err: err}
	}
	return l, nil
}

// sharing runs f while others share their port with whoever of the same user wants that too.
func sharing(others []*Listener, f func() error) error {
	if len(others) == 0 {
		return f()
	}
	set := func(value int) (err error) {
		for _, l := range others {
			err = errors.Join(err, setReusePort(l.raw, value))
		}
		return err
	}
	err := set(1)
	if err == nil {
		err = f()
	}
	return errors.Join(err, set(0))
}

func setReusePort(raw syscall.RawConn, value int) error {
	var err error
	if cerr := raw.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, value))
	}); cerr != nil {
		return ErrClosed
	}
	return err
}

// listen binds; shared says that the port is shared with others while that is done.
func listen(resolved *net.TCPAddr, shared bool) (*Listener, error) {
	addr := resolved.AddrPort()
	switch {
	case resolved.IP == nil:
		addr = netip.AddrPortFrom(netip.IPv6Unspecified(), addr.Port())
	case addr.Addr().Is4In6():
		addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	}
	fd, err := bind(addr, shared)
	if err == unix.EAFNOSUPPORT && resolved.IP == nil { // a kernel without IPv6
		addr = netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())
		fd, err = bind(addr, shared)
	}
	if err != nil {
		return nil, err
	}
	f, raw, err := adopt(fd, "listener")
	if err != nil {
		return nil, err
	}
	if shared {
		if err := setReusePort(raw, 0); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		_ = f.Close()
		return nil, os.NewSyscallError("getsockname", err)
	}
	return &Listener{file: f, raw: raw, addr: fromSockaddr(sa)}, nil
}

// bind makes a listening socket, with SO_REUSEPORT set if it is shared. Its errors wrap errno values.
func bind(addr netip.AddrPort, shared bool) (int, error) {
	sa, family := toSockaddr(addr)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := setListenOptions(fd, addr, shared); err != nil {
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

func setListenOptions(fd int, addr netip.AddrPort, shared bool) error {
	options := []socketOption{{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1}}
	if shared {
		options = append(options, socketOption{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1})
	}
	if addr.Addr().Is6() {
		only := 1
		if addr.Addr().IsUnspecified() {
			only = 0
		}
		options = append(options, socketOption{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only})
	}
	return setOptions(fd, append(options, accepted...))
}

type socketOption struct{ level, name, value int }

// accepted are the options that accepted sockets inherit.
var accepted = []socketOption{
	{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
	{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
	{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
	{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
}

func setOptions(fd int, options []socketOption) error {
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return nil
}

// Addr is the bound address, with the port that the kernel chose for port 0.
func (l *Listener) Addr() netip.AddrPort { return l.addr }

// Accept waits for the next connection. ErrClosed after Close, ErrPaused after Pause; a temporary lack of descriptors or
// memory is reported as it is, and the caller paces itself.
func (l *Listener) Accept() (*Conn, error) {
	a := l.spare.Swap(nil)
	if a == nil { // the first one, or another goroutine is at it
		a = &accepting{}
		a.onReady = a.ready
	}
	defer l.spare.Store(a)
	if err := l.raw.Read(a.onReady); err != nil {
		if l.paused.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, ErrPaused
		}
		return nil, ErrClosed
	}
	if a.errno != 0 {
		return nil, os.NewSyscallError("accept", a.errno)
	}
	return l.accepted(a.fd, a.remote), nil
}

// accepting is an Accept in progress. It is kept for the next one, which then allocates nothing but the Conn.
type accepting struct {
	fd      int
	remote  netip.AddrPort
	errno   syscall.Errno
	onReady func(fd uintptr) bool
}

func (a *accepting) ready(listener uintptr) bool {
	a.fd, a.remote, a.errno = accept(listener)
	return a.errno != syscall.EAGAIN
}

// Queued is Accept that does not wait: nil if no connection is there. It empties the queue before the
// Listener is closed.
func (l *Listener) Queued() *Conn {
	var c *Conn
	_ = l.raw.Control(func(lfd uintptr) {
		if fd, remote, errno := accept(lfd); errno == 0 {
			c = l.accepted(fd, remote)
		}
	})
	return c
}

// accepted takes over the socket of a connection.
func (l *Listener) accepted(fd int, remote netip.AddrPort) *Conn {
	c := newConn(fd, remote)
	if !l.addr.Addr().IsUnspecified() {
		c.local = l.addr
	}
	return c
}

// EndHandshakes lets no new handshake begin. A client repeats the first segment of its own after a second,
// and meets whoever has the address then; handshakes that have begun end as usual.
func (l *Listener) EndHandshakes() error {
	const flags, syn = 13, 2 // where a TCP header has its flags (RFC 9293, section 3.1)
	drop := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: syn, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1<<32 - 1},
	}
	var err error
	if cerr := l.raw.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt", unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(drop)), Filter: &drop[0]}))
	}); cerr != nil {
		return ErrClosed
	}
	return err
}

// Close stops accepting and closes the socket. What had been queued by the kernel is reset. It may
// be called more than once.
func (l *Listener) Close() error {
	l.close.Do(func() { l.err = l.file.Close() })
	return l.err
}
