package wire

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrPaused is what Accept returns after Pause.
var ErrPaused = errors.New("accepting is paused")

// past is a deadline that is over.
var past = time.Unix(1, 0)

// Pause makes Accept return ErrPaused until Resume. Clients wait in the queue of the kernel meanwhile.
func (l *Listener) Pause() error {
	l.paused.Store(true)
	return l.file.SetReadDeadline(past)
}

// Resume undoes Pause.
func (l *Listener) Resume() error {
	l.paused.Store(false)
	return l.file.SetReadDeadline(time.Time{})
}

// Duplicate returns another descriptor of the same socket, with the same queue, that is the caller's to
// close.
func (l *Listener) Duplicate() (fd int, err error) { return duplicate(l.raw) }

// AdoptListener makes a Listener of a listening TCP socket that another process has made. fd is its own
// from then on, also after an error. Options that Listen sets are set.
func AdoptListener(fd int) (*Listener, error) {
	addr, err := adoptable(fd, unix.SOCK_STREAM)
	if err == nil {
		if listens, e := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); e != nil || listens == 0 {
			err = errors.Join(errors.New("the socket does not listen"), e)
		}
	}
	if err == nil {
		err = setOptions(fd, accepted)
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	f, raw, err := adopt(fd, "listener")
	if err != nil {
		return nil, err
	}
	return &Listener{file: f, raw: raw, addr: addr}, nil
}

// Pause ends Receive, with ErrPaused, until Resume. Datagrams wait in the kernel meanwhile.
func (l *UDPListener) Pause() error {
	l.paused.Store(true)
	return l.file.SetReadDeadline(past)
}

// Resume undoes Pause; then Receive may be called again.
func (l *UDPListener) Resume() error {
	l.paused.Store(false)
	return l.file.SetReadDeadline(time.Time{})
}

// Duplicate returns another descriptor of the same socket that is the caller's to close.
func (l *UDPListener) Duplicate() (fd int, err error) { return duplicate(l.raw) }

// AdoptUDPListener makes a UDPListener of a bound UDP socket that another process has made. fd is its own
// from then on, also after an error.
func AdoptUDPListener(fd int) (*UDPListener, error) {
	addr, err := adoptable(fd, unix.SOCK_DGRAM)
	if err == nil {
		err = adoptUDPOptions(fd, addr.Addr())
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	f, raw, err := adopt(fd, "datagrams")
	if err != nil {
		return nil, err
	}
	l := &UDPListener{file: f, raw: raw, addr: addr, family: unix.AF_INET, wildcard: addr.Addr().IsUnspecified()}
	if addr.Addr().Is6() {
		l.family = unix.AF_INET6
	}
	return l, nil
}

// adoptUDPOptions sets what a socket needs that was not made here.
func adoptUDPOptions(fd int, addr netip.Addr) error {
	var err error
	switch {
	case !addr.IsUnspecified():
	case addr.Is6():
		err = errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1), unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1))
	default:
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	}
	if err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	for _, option := range []int{unix.SO_RCVBUF, unix.SO_SNDBUF} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, udpBuffer); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	joinSegments(fd)
	return nil
}

// AdoptUDPConn makes a UDPConn of a connected UDP socket that another process has made. fd is its own from
// then on.
func AdoptUDPConn(fd int) UDPConn { return UDPConn{int32(fd)} }

// Remove takes a socket out of the set that another process goes on with: to close it here would leave it
// in.
func (p *UDPPoll) Remove(c UDPConn) error {
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, int(c.fd), nil))
}

// UDPFromKey is where the datagrams of a key come from and go to.
func UDPFromKey(k UDPKey) UDPFrom {
	return UDPFrom{client: k.Client, local: k.Local, scope: uint32(k.Scopes >> 32), index: uint32(k.Scopes), ports: k.Ports}
}

// duplicate is another descriptor of a socket. It does not ask the os.File for its own, which would make
// the socket block.
func duplicate(raw syscall.RawConn) (fd int, err error) {
	cerr := raw.Control(func(own uintptr) {
		fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 3)
	})
	if cerr != nil {
		return -1, ErrClosed
	}
	return fd, os.NewSyscallError("fcntl", err)
}

// adoptable looks at a socket of another process, makes it one that does not block, and returns where it
// is bound.
func adoptable(fd, kind int) (netip.AddrPort, error) {
	got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return netip.AddrPort{}, os.NewSyscallError("getsockopt", err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, os.NewSyscallError("getsockname", err)
	}
	_, v4 := sa.(*unix.SockaddrInet4)
	_, v6 := sa.(*unix.SockaddrInet6)
	if got != kind || !v4 && !v6 {
		return netip.AddrPort{}, fmt.Errorf("the socket is not of the kind that is wanted (type %d, want %d)", got, kind)
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return netip.AddrPort{}, os.NewSyscallError("fcntl", err)
	}
	return fromSockaddr(sa), nil
}
