package wire

import (
	"io"
	"os"
	"sync/atomic"
	"syscall"
)

// bulkAfter is how many full buffers in a row make a large transfer.
const bulkAfter = 3

// way is one direction of a relay. It belongs to the goroutine that runs it, but for moved.
type way struct {
	from, to *Conn
	in, out  Layer
	pipes    *Pipes
	total    *atomic.Uint64

	buffer  *Buffer // nil: nothing is under way, or it is in the pipe
	pipe    *Pipe
	full    int   // buffers in a row that were received full
	short   int   // splices in a row that moved little
	first   int64 // when the first bytes had moved, on Now's clock; 0: none have
	err     error
	sending bool // err is of the receiving side

	onReadable, onRoom func(fd uintptr) bool

	// moved has one writer. The padding keeps it from the counter of the other way, which another core
	// writes.
	_     [64]byte
	moved atomic.Uint64
	_     [56]byte
}

func (w *way) init(r *Relay, from Side) {
	to := from.other()
	w.from, w.to = r.conns[from], r.conns[to]
	w.in, w.out = r.options.Layers[from], r.options.Layers[to]
	w.total = r.options.Totals[from]
	if w.in == nil && w.out == nil {
		w.pipes = r.options.Pipes
	}
	w.onReadable = w.readable
}

// run moves bytes until the end of the stream, io.EOF, or a failure.
func (w *way) run() error {
	if err := w.from.Rearm(0); err != nil {
		return err
	}
	if err := w.from.toPoller(); err != nil {
		return err
	}
	if err := w.from.Serve(w.onReadable); err != nil {
		return err
	}
	return w.err
}

// readable moves what is there. It waits for room where it sends to, with a buffer or a pipe in its
// hands, but never for more to come. It receives until there is nothing: data and the end of the
// stream may be announced as one.
func (w *way) readable(fd uintptr) bool {
	for {
		var e syscall.Errno
		var n int
		if w.bulk() {
			n, e = w.splice(fd)
		} else {
			n, e = w.copy(fd)
		}
		switch {
		case w.err != nil:
			return true
		case e == syscall.EAGAIN:
			w.release()
			return false
		case e != 0:
			w.err = os.NewSyscallError("recv", e)
			return true
		case n == 0:
			w.err = io.EOF
			return true
		}
	}
}

// copy receives once, through a buffer, and sends.
func (w *way) copy(fd uintptr) (int, syscall.Errno) {
	if w.buffer == nil {
		w.buffer = GetBuffer(SmallSize)
	}
	p := w.buffer.B
	n, e := w.receive(fd, p)
	if e != 0 || n == 0 {
		return n, e
	}
	if err := w.send(p[:n]); err != nil {
		w.err, w.sending = err, true
		return n, 0
	}
	w.count(n)
	if n < len(p) {
		w.full = 0
		return n, 0
	}
	if w.full++; w.full >= bulkAfter && len(p) < LargeSize {
		w.buffer.Put()
		w.buffer = GetBuffer(LargeSize) // if splicing is impossible
	}
	return n, 0
}

func (w *way) receive(fd uintptr, p []byte) (int, syscall.Errno) {
	if w.in != nil {
		return w.in.Receive(p)
	}
	return Recv(fd, p)
}

func (w *way) send(p []byte) error {
	if w.out != nil {
		return w.out.Write(p)
	}
	return w.to.Write(p, 0)
}

// count notes that n bytes have moved.
func (w *way) count(n int) {
	if w.first == 0 {
		w.first = Now()
	}
	w.moved.Store(w.moved.Load() + uint64(n))
	if w.total != nil {
		w.total.Add(uint64(n))
	}
}

// release gives back what is not needed while nothing moves.
func (w *way) release() {
	if w.buffer != nil {
		w.buffer.Put()
		w.buffer = nil
	}
	if w.pipe != nil {
		w.pipes.Put(w.pipe)
		w.pipe = nil
	}
}
