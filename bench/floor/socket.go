package floor

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

const socketType = unix.SOCK_STREAM | unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC

// bind returns a listening socket and the address that it got.
func bind(to netip.AddrPort) (fd int, got netip.AddrPort, err error) {
	fd, err = unix.Socket(unix.AF_INET, socketType, 0)
	if err != nil {
		return -1, got, err
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd) // the first error is the one to tell
			fd = -1
		}
	}()
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return fd, got, err
	}
	if err = unix.Bind(fd, sockaddr(to)); err != nil {
		return fd, got, err
	}
	if err = unix.Listen(fd, 1024); err != nil {
		return fd, got, err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return fd, got, err
	}
	in := name.(*unix.SockaddrInet4)
	return fd, netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port)), nil
}

// connect blocks until the connection stands, then makes the socket non-blocking.
func connect(to netip.AddrPort) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err = unix.Connect(fd, sockaddr(to)); err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err != nil {
		_ = unix.Close(fd) // the first error is the one to tell
		return -1, err
	}
	return fd, nil
}

func acceptFrom(listener int) (int, error) {
	fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		return -1, err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		_ = unix.Close(fd) // the first error is the one to tell
		return -1, err
	}
	return fd, nil
}

func sockaddr(a netip.AddrPort) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
}

// The calls below are raw: they do not tell the scheduler, which would cost some 50 ns each. While
// one blocks, a signal of the runtime ends it with EINTR, so a garbage collection is not held up.

// wait returns the number of ready sockets; 0 after a signal.
func wait(epoll int, events []unix.EpollEvent) (int, unix.Errno) {
	n, _, err := unix.RawSyscall6(unix.SYS_EPOLL_WAIT, uintptr(epoll),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), ^uintptr(0), 0, 0)
	if err == unix.EINTR {
		return 0, 0
	}
	return int(n), err
}

// Receive is one recv: how many bytes came, 0 at the end of the stream.
func Receive(fd int, b []byte) (int, unix.Errno) {
	n, _, err := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
	return int(n), err
}

// SendAll sends all of b, which is not empty; false: the connection is broken.
func SendAll(fd int, b []byte) bool {
	for {
		n, _, err := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
			uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
			if _, err := unix.Poll(ready, -1); err != nil && err != unix.EINTR {
				return false
			}
			continue
		case err != 0:
			return false
		case int(n) == len(b):
			return true
		}
		b = b[n:]
	}
}
