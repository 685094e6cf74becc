package wire

import (
	"io"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// bulkAfter is how many full buffers in a row make a large transfer.
	bulkAfter = 3
	// inlineMoves is how many buffers the goroutine of a set passes on before others have their turn.
	inlineMoves = 4
)

// The state of a way is what has happened that it has yet to look into, and whether somebody does.
const (
	wayBusy     uint32 = 1 << iota // it has a goroutine, whose the fields are
	wayWants                       // room to send to
	wayReadable                    // something has come, or may have
	wayWritable                    // there is room
	wayEnding                      // the end of the stream is among what has come
	wayOdd                         // and so is something that a receive may stop before: then only EAGAIN says that nothing is left

	wayNews = wayReadable | wayWritable | wayEnding | wayOdd
)

// heard is what a way waits for, on the socket that it receives from; room to send to it only when the other
// way wants some.
const heard = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLPRI | unix.EPOLLET&0xffffffff

// way is one direction of a relay. It belongs to the goroutine that has made it busy, but for the fields
// that are atomic.
type way struct {
	relay *Relay
	fd    uintptr // that it receives from
	mark  uint32  // see relaySet.add; both ways read it
	state atomic.Uint32
	side  Side // that it receives from

	more    bool   // there may be something to receive
	last    bool   // the stream ends with the rest
	sending bool   // err is of the side that it sends to
	copied  bool   // nothing is spliced: what comes cannot be
	news    uint32 // wayEnding and wayOdd, once they were

	rest   []byte  // of the buffer, that there was no room for
	buffer *Buffer // nil: nothing is under way, or it is in the pipe
	pipe   *Pipe
	full   int32 // buffers in a row that were received full
	short  int32 // splices in a row that moved little
	err    error
	again  func() // is run; nil until it is needed

	moved atomic.Uint64 // has one writer
}

func (w *way) init(r *Relay, from Side) {
	w.relay, w.side, w.fd = r, from, r.conns[from].fd
	w.state.Store(wayBusy) // until Start
}

// other is the opposite way.
func (w *way) other() *way { return &w.relay.ways[w.side.other()] }

func (w *way) in() Layer  { return w.relay.options.Layers[w.side] }
func (w *way) out() Layer { return w.relay.options.Layers[w.side.other()] }

func (w *way) layered() bool { return w.relay.options.Layers != [2]Layer{} }

// hear is told of an event of the socket that w receives from.
func (w *way) hear(events uint32) {
	const odd = unix.EPOLLERR | unix.EPOLLHUP | unix.EPOLLPRI
	var news uint32
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|odd) != 0 {
		news = wayReadable
		if events&unix.EPOLLRDHUP != 0 {
			news |= wayEnding
		}
		if events&odd != 0 {
			news |= wayOdd
		}
		if w.wake(news) {
			w.turn(true)
		}
	}
	if events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) == 0 {
		return
	}
	if o := w.other(); o.state.Load()&wayWants != 0 && o.wake(wayWritable) {
		o.turn(true)
	}
}

// wake tells w of news, and reports whether the caller must give it a turn.
func (w *way) wake(news uint32) bool { return w.state.Or(news|wayBusy)&wayBusy == 0 }

// awake gives w a turn of a goroutine of its own.
func (w *way) awake() {
	if w.again == nil {
		w.again = w.run
	}
	w.relay.set.run.start(w.again)
}

func (w *way) run() { w.turn(false) }

// turn moves what can be moved until there is no news. Inline means that it must not take long.
func (w *way) turn(inline bool) {
	defer w.recovered()
	for {
		news := w.state.And(^wayNews) & wayNews
		switch w.step(news, inline) {
		case stepLong:
			w.awake()
			return
		case stepEnded:
			w.end()
			return
		}
		if w.rested() {
			return
		}
	}
}

// rested ends the turn, unless there is news.
func (w *way) rested() bool {
	for {
		s := w.state.Load()
		if s&wayNews != 0 {
			return false
		}
		if w.state.CompareAndSwap(s, s&^wayBusy) {
			return true
		}
	}
}

// recovered ends this relay, and only this one, on a defect of ours.
func (w *way) recovered() {
	r := w.relay
	if r.options.Panicked == nil {
		return
	}
	if v := recover(); v != nil {
		r.options.Panicked(v)
		r.end(Ending{Cause: CauseDefect})
		w.release()
		r.leave()
	}
}

// stepped is what a step has led to.
type stepped uint8

const (
	stepRest  stepped = iota // nothing is left to do, or there is no room
	stepLong                 // there is more than may be done inline
	stepEnded                // err, or the relay has been ended
)

// step looks into news, and moves what is there. It waits for room where it sends to, with a buffer or a
// pipe in its hands, but never for more to come.
func (w *way) step(news uint32, inline bool) stepped {
	if w.relay.ended.Load() || w.err != nil {
		return stepEnded
	}
	if news&wayReadable != 0 {
		w.more = true
		w.news |= news & (wayEnding | wayOdd)
	}
	if w.blocked() {
		if news&wayWritable == 0 {
			return stepRest
		}
		if w.retry(); w.err != nil {
			return stepEnded
		}
	}
	for moves := 0; w.more && !w.blocked(); moves++ {
		if inline && (moves >= inlineMoves || w.full >= bulkAfter || w.layered()) {
			return stepLong
		}
		if w.move(); w.err != nil {
			return stepEnded
		}
	}
	if !w.blocked() {
		w.release()
	}
	return stepRest
}

// blocked reports whether w holds bytes that there was no room for.
func (w *way) blocked() bool { return len(w.rest) > 0 || w.pipe != nil && w.pipe.held > 0 }

// move receives once and passes that on. more says whether anything can be left.
func (w *way) move() {
	var n int
	var e syscall.Errno
	if w.bulk() {
		n, e = w.splice()
	} else {
		n, e = w.copy()
	}
	switch {
	case w.err != nil:
	case e == syscall.EAGAIN:
		w.more = false
	case e != 0:
		w.err = os.NewSyscallError("recv", e)
	case n == 0:
		w.err = io.EOF
	}
}

// copy receives once, through a buffer, and sends.
func (w *way) copy() (int, syscall.Errno) {
	if w.buffer == nil {
		w.buffer = GetBuffer(SmallSize)
	}
	p := w.buffer.B
	n, e := w.receive(p)
	if e != 0 || n == 0 {
		return n, e
	}
	// Less than there was room for is all that had come, unless something odd is among it. If the end had
	// come as well, this is the last of it.
	all := n < len(p) && w.in() == nil && w.news&wayOdd == 0
	w.last = all && w.news&wayEnding != 0
	w.more = !all
	if w.send(p[:n]); w.err != nil {
		return n, 0
	}
	if w.last && !w.blocked() {
		w.err = io.EOF
	}
	if n < len(p) {
		w.full = 0
		return n, 0
	}
	if w.full++; w.full >= bulkAfter && len(p) < LargeSize && !w.blocked() {
		w.buffer.Put()
		w.buffer = GetBuffer(LargeSize) // if splicing is impossible
	}
	return n, 0
}

func (w *way) receive(p []byte) (int, syscall.Errno) {
	if l := w.in(); l != nil {
		return l.Receive(p)
	}
	return Recv(w.fd, p)
}

// send passes p on. What there is no room for is the rest, and room is waited for.
func (w *way) send(p []byte) {
	if l := w.out(); l != nil {
		if err := l.Write(p); err != nil {
			w.err, w.sending = err, true
			return
		}
		w.count(len(p))
		return
	}
	flags := 0
	if w.last { // the FIN that follows goes into the same segment
		flags = unix.MSG_MORE
	}
	n, e := sendWith(w.other().fd, p, flags)
	if e != 0 && e != syscall.EAGAIN {
		w.err, w.sending = os.NewSyscallError("send", e), true
		return
	}
	w.count(n)
	if w.rest = p[n:]; len(w.rest) > 0 {
		w.wantRoom()
	}
}

// wantRoom waits for room.
func (w *way) wantRoom() {
	w.state.Or(wayWants) // before anybody can hear that there is some
	o := w.other()
	if e := w.relay.set.change(o.fd, o.mark, heard|unix.EPOLLOUT); e != 0 {
		w.err, w.sending = os.NewSyscallError("epoll_ctl", e), true
	}
}

// retry sends what there was no room for.
func (w *way) retry() {
	w.state.And(^wayWants)
	if len(w.rest) > 0 {
		w.send(w.rest)
	} else {
		w.pour()
	}
	if w.err == nil && w.last && !w.blocked() {
		w.err = io.EOF
	}
}

// count notes that n bytes have moved.
func (w *way) count(n int) {
	if r := w.relay; w.side == Backend && r.first == 0 && n > 0 {
		r.first = Now()
	}
	w.moved.Store(w.moved.Load() + uint64(n))
	if t := w.relay.options.Totals[w.side]; t != nil {
		t.Add(uint64(n))
	}
}

// end is the end of w: of what one side sends, or of the relay.
func (w *way) end() {
	w.release()
	r := w.relay
	switch {
	case r.ended.Load(): // and whoever has ended it has said why
	case w.err == io.EOF:
		r.endHalf(w.side)
	default:
		broken := w.side
		if w.sending {
			broken = broken.other()
		}
		r.end(Ending{Cause: CauseBroken, Side: broken, Err: w.err})
	}
	r.leave()
}

// release gives back what is not needed while nothing moves.
func (w *way) release() {
	if w.buffer != nil {
		w.rest = nil
		w.buffer.Put()
		w.buffer = nil
	}
	if w.pipe != nil {
		w.relay.options.Pipes.Put(w.pipe)
		w.pipe = nil
	}
}
