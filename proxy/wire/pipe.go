package wire

import (
	"os"
	"syscall"
	"time"
)

// Pipe is what large transfers are spliced through: bytes go from socket to socket without being
// copied. It belongs to one goroutine at a time, as the directions do that it connects.
type Pipe struct {
	out, in int // descriptors
	held    int // bytes

	// The operation in progress.
	want, got int
	looks     int // of Fill, at which nothing had come
	err       error

	onReadable, onRoom func(fd uintptr) bool
}

// Fill moves at most n bytes from c into the pipe, which is empty, and no more than PipeSize, waiting
// until due (0: without bound) for the first. The errors are those of Read. 0 without an error means
// that what comes next cannot be spliced, and may be the end of the stream: only Read tells.
func (p *Pipe) Fill(c *Conn, n int, due int64) (int, error) {
	p.want, p.got, p.looks, p.err = min(n, PipeSize), 0, 0, nil
	if err := c.await(p.onReadable, due); err != nil {
		return 0, err
	}
	return p.got, p.err
}

// fill is called by the wait of Fill. A socket that does not wait says EAGAIN at an urgent byte too,
// whatever has come behind it: when that follows an event it is looked into.
func (p *Pipe) fill(fd uintptr) bool {
	n, e := splice(int(fd), p.in, p.want)
	switch e {
	case 0:
		p.got, p.held = n, n
	case syscall.EAGAIN:
		p.looks++
		return p.looks > 1 && pending(fd)
	case syscall.EINVAL: // not a socket that can be spliced from
	default:
		p.err = os.NewSyscallError("splice", e)
	}
	return true
}

// Pour sends all that the pipe holds. It fails with ErrTimeout when the peer of c has taken nothing
// for idle (0: without bound).
func (p *Pipe) Pour(c *Conn, idle time.Duration) error {
	p.err = nil
	if c.fd == closedFD {
		return ErrClosed
	}
	p.pour(c.fd)
	for p.held > 0 && p.err == nil {
		if err := c.awaitRoom(p.onRoom, After(Now(), idle)); err != nil {
			return err
		}
	}
	return p.err
}

// pour sends what there is room for. It returns false if that is nothing.
func (p *Pipe) pour(fd uintptr) bool {
	before := p.held
	for p.held > 0 {
		n, e := splice(p.out, int(fd), p.held)
		if e == syscall.EAGAIN {
			return p.held < before
		}
		if e != 0 {
			p.err = os.NewSyscallError("splice", e)
			return true
		}
		p.held -= n
	}
	return true
}
