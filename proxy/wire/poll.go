package wire

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// poll is the socket of a Conn on its way to the runtime's poller. It is registered when somebody has to
// wait for the first time: a client that is served and closed at once never is, which saves three system
// calls, the finalizer of an os.File, and a close that tells the scheduler that it might block.
type poll struct {
	sock int32 // the descriptor, for whoever holds mu or has file
	set  int32 // an epoll set that it waited in before, see Arrivals; 0: none

	registered atomic.Bool
	entered    bool     // the reader has waited; its own
	failed     bool     // nobody can wait, though it is registered
	closed     bool     // before it was registered
	file       *os.File // its finalizer closes the descriptor, so it must stay reachable
	raw        syscall.RawConn

	mu sync.Mutex // held by others than the owner while they use sock, and while it is registered or closed
}

// pollable is the result of a registration.
func (p *poll) pollable() error {
	if p.failed {
		return os.ErrNoDeadline
	}
	return nil
}

// register puts the socket on the poller, if it is not there already.
func (p *poll) register() error {
	if p.registered.Load() {
		return p.pollable()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.registered.Load():
		return p.pollable()
	case p.closed:
		return ErrClosed
	}
	if p.set != 0 {
		// Left there, it would make every arrival of bytes dearer.
		_, _, _ = syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.set), unix.EPOLL_CTL_DEL, uintptr(p.sock), 0, 0, 0)
	}
	var err error
	p.file, p.raw, err = onPoller(int(p.sock), "tcp")
	p.failed = err != nil
	p.registered.Store(true)
	return p.pollable()
}

// control calls f with the descriptor, which is not closed meanwhile. It fails if it is closed already.
func (p *poll) control(f func(fd uintptr)) error {
	if p.registered.Load() {
		return p.raw.Control(f)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.registered.Load():
		return p.raw.Control(f)
	case p.closed:
		return ErrClosed
	}
	f(uintptr(p.sock))
	return nil
}

// close closes the descriptor and wakes whoever waits.
func (p *poll) close() error {
	if p.registered.Load() {
		return p.file.Close()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.registered.Load():
		return p.file.Close()
	case p.closed:
		return ErrClosed
	}
	p.closed = true
	// It does not block: what has been sent is the kernel's, or is dropped.
	if _, _, e := syscall.RawSyscall(unix.SYS_CLOSE, uintptr(p.sock), 0, 0); e != 0 && e != syscall.EINTR {
		return os.NewSyscallError("close", e)
	}
	return nil
}

// onPoller puts fd, which must be non-blocking, on the runtime's poller. On failure it belongs to the
// file all the same, unless that is nil.
func onPoller(fd int, name string) (*os.File, syscall.RawConn, error) {
	f := os.NewFile(uintptr(fd), name)
	raw, err := f.SyscallConn()
	if err != nil {
		return f, nil, err
	}
	// A failed registration is silent, but then no deadline can be set.
	return f, raw, f.SetDeadline(time.Time{})
}

// adopt is onPoller that closes fd on failure.
func adopt(fd int, name string) (*os.File, syscall.RawConn, error) {
	f, raw, err := onPoller(fd, name)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, raw, nil
}

// newEpoll makes an epoll set that is itself on the runtime's poller.
func newEpoll() (int, *os.File, syscall.RawConn, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return -1, nil, nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // or os.NewFile would not poll it
		_ = unix.Close(fd)
		return -1, nil, nil, os.NewSyscallError("fcntl", err)
	}
	f, raw, err := adopt(fd, "epoll")
	return fd, f, raw, err
}
