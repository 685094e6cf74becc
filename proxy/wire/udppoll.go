package wire

import (
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// UDPPoll tells which of many sockets have something to receive. It is an epoll set that is itself on
// the runtime's poller, so one goroutine serves any number of sockets.
type UDPPoll struct {
	file *os.File
	raw  syscall.RawConn
	fd   int

	ending atomic.Bool
}

// NewUDPPoll makes an empty set.
func NewUDPPoll() (*UDPPoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // or os.NewFile would not poll it
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	f, raw, err := adopt(fd, "epoll")
	if err != nil {
		return nil, err
	}
	return &UDPPoll{file: f, raw: raw, fd: fd}, nil
}

// Add adds a socket, which leaves by being closed. Each time that something has come, or failed, its
// token is reported, once: the receiver goes on until nothing is left.
func (p *UDPPoll) Add(c UDPConn, token uint64) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLERR | unix.EPOLLET&0xffffffff, Fd: int32(uint32(token)), Pad: int32(uint32(token >> 32))}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, int(c.fd), &ev))
}

// Run calls ready with the tokens of the sockets that have something, until Close. The slice is used
// again. While ready reports that it has more to do, it is called again at once, without any token if
// nothing has come: what is new need not wait for it.
func (p *UDPPoll) Run(ready func(tokens []uint64) (more bool)) {
	var events [256]unix.EpollEvent
	var tokens [len(events)]uint64
	more := false
	_ = p.raw.Read(func(fd uintptr) bool {
		for {
			n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
			switch {
			case e == syscall.EINTR:
				continue
			case e != 0:
				return false
			case n == 0 && !more:
				return false
			}
			for i, ev := range events[:n] {
				tokens[i] = uint64(uint32(ev.Fd)) | uint64(uint32(ev.Pad))<<32
			}
			more = ready(tokens[:n])
			// What has come meanwhile is an edge of the set itself, so it is not asked again.
			if int(n) < len(events) && !more {
				return false
			}
			if p.ending.Load() {
				return true
			}
		}
	})
}

// Close ends Run and waits for ready to return. No socket may be added any more.
func (p *UDPPoll) Close() error {
	p.ending.Store(true)
	return p.file.Close()
}
