package wire

import (
	"sync"

	"golang.org/x/sys/unix"
)

// PipeSize is how many bytes one splice asks for, and what a pipe is made for. The kernel counts
// pages, not bytes, so a pipe may hold more.
const PipeSize = 256 << 10

// leastPipe is what a pipe must hold to be better than a buffer. The kernel gives less to a user who
// has many (pipe-user-pages-soft in pipe(7)).
const leastPipe = LargeSize

// Pipes is a bounded stock of pipes, each of which takes two descriptors. Transfers take one while they
// need it; where there is none they copy. All methods may be called from any goroutine. A nil *Pipes has
// none.
type Pipes struct {
	limit int
	enter func(descriptors int) bool
	leave func(descriptors int)

	mu      sync.Mutex // guards what follows
	idle    []*Pipe    // the one used last is used first
	spare   int        // the fewest that were idle since the last Sweep
	open    int
	refused bool // the kernel gives no more, until the next Sweep
	closed  bool
}

// NewPipes makes a stock of at most limit pipes. enter asks whether there may be so many more
// descriptors and leave gives them back; both may be nil.
func NewPipes(limit int, enter func(int) bool, leave func(int)) *Pipes {
	if enter == nil {
		enter, leave = func(int) bool { return true }, func(int) {}
	}
	return &Pipes{limit: limit, enter: enter, leave: leave}
}

// Open is how many pipes there are, in use or not.
func (p *Pipes) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}

// Get takes a pipe, which is empty, or nil.
func (p *Pipes) Get() *Pipe {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := len(p.idle) - 1; last >= 0 {
		got := p.idle[last]
		p.idle[last] = nil
		p.idle = p.idle[:last]
		p.spare = min(p.spare, last)
		return got
	}
	if p.closed || p.refused || p.open >= p.limit || !p.enter(2) {
		return nil
	}
	got := newPipe()
	if got == nil {
		p.refused = true
		p.leave(2)
		return nil
	}
	p.open++
	return got
}

// Put gives a pipe back. One that still holds bytes is closed: they belong to nobody else.
func (p *Pipes) Put(back *Pipe) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if back.held > 0 || p.closed {
		p.discard(back)
		return
	}
	p.idle = append(p.idle, back)
}

// Sweep closes the pipes that nobody has needed since the last call. About once a second is right.
func (p *Pipes) Sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, old := range p.idle[:p.spare] {
		p.discard(old)
	}
	p.idle = append(p.idle[:0], p.idle[p.spare:]...)
	clear(p.idle[len(p.idle):cap(p.idle)])
	p.spare, p.refused = len(p.idle), false
}

// Close closes what is not in use, and the rest as it comes back.
func (p *Pipes) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, old := range p.idle {
		p.discard(old)
	}
	p.idle, p.spare = nil, 0
}

// discard closes a pipe. mu must be held.
func (p *Pipes) discard(old *Pipe) {
	old.close()
	p.open--
	p.leave(2)
}

// newPipe makes a pipe, or nil if the kernel does not give one of use.
func newPipe() *Pipe {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil
	}
	made := &Pipe{out: fds[0], in: fds[1]}
	made.onReadable, made.onRoom = made.fill, made.pour
	size, err := unix.FcntlInt(uintptr(made.in), unix.F_SETPIPE_SZ, PipeSize)
	if err != nil { // more than this user may have: what is it without asking?
		size, err = unix.FcntlInt(uintptr(made.in), unix.F_GETPIPE_SZ, 0)
	}
	if err != nil || size < leastPipe {
		made.close()
		return nil
	}
	return made
}

// close gives both ends back. Closing a pipe cannot fail in a way that matters: nobody else has it.
func (p *Pipe) close() {
	_ = unix.Close(p.out)
	_ = unix.Close(p.in)
}
