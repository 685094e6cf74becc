package wire

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Side names one of the two connections of a Relay.
type Side uint8

// The sides.
const (
	Client Side = iota
	Backend
)

// String is client or backend.
func (s Side) String() string {
	if s == Client {
		return "client"
	}
	return "backend"
}

// other is the opposite side.
func (s Side) other() Side { return s ^ 1 }

// Cause says what ended a Relay.
type Cause uint8

// The causes.
const (
	CauseEnd      Cause = iota // both sides have ended what they send
	CauseBroken                // a side has reset its connection, or it failed
	CauseIdle                  // no byte either way for too long
	CauseHalfIdle              // the same, after one side had ended
	CauseStopped               // Stop
	CauseDefect                // a recovered panic
)

// Ending is how a Relay ended.
type Ending struct {
	Cause Cause
	// Side is the one that ended first (CauseEnd, CauseHalfIdle) or that broke (CauseBroken).
	Side Side
	Err  error // of CauseBroken
}

// Layer is what is spoken over a Conn in place of plain bytes: TLS. One goroutine may receive while
// another writes.
type Layer interface {
	// Receive takes what is there and does not wait. 0 and no error is the end of the stream;
	// syscall.EAGAIN means that nothing is there yet.
	Receive(p []byte) (int, syscall.Errno)
	// Write sends all of p, waiting for room for as long as it takes.
	Write(p []byte) error
	// CloseWrite says that nothing more will be sent. The FIN is not its business.
	CloseWrite() error
}

// RelayOptions are what a Relay is made with. The zero value copies, without bounds.
type RelayOptions struct {
	// Idle bounds the time without a byte either way, HalfClose the same once a side has ended; 0: no
	// such bound. They act up to a sixteenth late, or 20 ms.
	Idle, HalfClose time.Duration
	// Pipes are for large transfers of plain bytes; nil: everything is copied.
	Pipes *Pipes
	// Layers are spoken over the client's and the backend's connection; nil: plain bytes.
	Layers [2]Layer
	// Totals are added to as bytes move, those that the client and those that the backend has sent.
	// They may belong to others too; nil: nobody counts.
	Totals [2]*atomic.Uint64
	// Lasting is called when the relay has lasted for LastingAfter, or a little longer; nil: nobody wants to
	// know. It must not block and must not call the relay, and may set options of the connections.
	Lasting func()
	// Panicked is told of a recovered panic, from the goroutine that it happened in.
	Panicked func(v any)
}

// Relay carries bytes between two connections until both have ended. What one side ends is ended
// towards the other by a FIN, and what it resets is reset. A buffer or a pipe is held only while
// bytes are under way, at most one of them for each direction, so a side that does not read stops
// the other.
//
// A byte that its sender marks as urgent is not carried; those around it are.
type Relay struct {
	conns   [2]*Conn
	options RelayOptions
	set     *relaySet
	ways    [2]way // by the side that sends
	running atomic.Int32
	ended   atomic.Bool // before its time, see end
	done    func(Ending)
	started int64 // on Now's clock
	first   int64 // when the first bytes of the backend had been passed on; 0: none have. Its way's

	mu      sync.Mutex // guards what follows
	halves  [2]bool    // what a side sends has ended
	over    bool       // fate is final
	lasting bool       // Lasting was called
	fate    Ending
	since   int64  // when a look first found moved as it is, on Now's clock
	moved   uint64 // bytes, at the last look

	due  due  // the next look; the set's mu guards it
	left bool // the set; its mu guards it
}

// NewRelay prepares a relay between two connections. Nobody else may read from or write to either
// until the relay has ended.
func (rs *Relays) NewRelay(client, backend *Conn, o RelayOptions) *Relay {
	r := &Relay{conns: [2]*Conn{client, backend}, options: o, set: rs.set()}
	r.due.of, r.due.place = r, absent
	for s := range r.ways {
		r.ways[s].init(r, Side(s))
	}
	return r
}

// Start relays until the end, and then calls done, once, which is where the connections are closed: if
// the cause is not CauseEnd both have been reset. done must not block, for the goroutine that calls it passes
// on what others send, and may be called before Start returns.
func (r *Relay) Start(done func(Ending)) {
	r.done, r.started = done, Now()
	r.since = r.started
	r.running.Store(int32(len(r.ways)))
	r.set.dueBy(r, r.started+int64(min(LastingAfter, tickOf(r.options.Idle))))
	client, backend := &r.ways[Client], &r.ways[Backend]
	first := wayReadable // what the client has to say first has mostly come
	if client.layered() {
		first |= wayOdd // and layers may hold what has come
		backend.state.Or(first)
	}
	r.listen(backend)
	client.state.Or(first)
	client.turn(true)
	r.listen(client) // what has come meanwhile is an event at once
	backend.turn(true)
}

// listen begins to wait for what w receives.
func (r *Relay) listen(w *way) {
	mark, e := r.set.add(w.fd, w, heard)
	w.mark = mark
	if e != 0 { // no memory, or too many watches
		r.end(Ending{Cause: CauseBroken, Side: w.side, Err: os.NewSyscallError("epoll_ctl", e)})
	}
}

// Run is Start that waits for the end.
func (r *Relay) Run() Ending {
	end := make(chan Ending, 1)
	r.Start(func(e Ending) { end <- e })
	return <-end
}

// Stop ends the relay from outside, at any time: both sides see a reset.
func (r *Relay) Stop() { r.end(Ending{Cause: CauseStopped}) }

// Moved is how many bytes of each side have been passed to the other so far. Anybody may ask.
func (r *Relay) Moved() (client, backend int64) {
	return int64(r.ways[Client].moved.Load()), int64(r.ways[Backend].moved.Load())
}

// FirstByte is how long after Start the first bytes of the backend had been passed on; 0: there were none.
// It may be asked when the relay has ended.
func (r *Relay) FirstByte() time.Duration {
	if r.first != 0 {
		return time.Duration(r.first - r.started)
	}
	return 0
}

// leave notes that one direction has finished.
func (r *Relay) leave() {
	if r.running.Add(-1) == 0 {
		r.done(r.settle())
	}
}

// settle fixes the fate: from now on nothing touches the connections.
func (r *Relay) settle() Ending {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	r.set.forget(r)
	return r.fate
}

// endHalf passes the end of one side on to the other.
func (r *Relay) endHalf(from Side) {
	to := from.other()
	r.mu.Lock()
	if r.resetUnseen(from) {
		r.mu.Unlock()
		r.end(Ending{Cause: CauseBroken, Side: from, Err: syscall.ECONNRESET})
		return
	}
	r.halves[from] = true
	last := r.over || r.halves[to]
	if !last {
		r.fate = Ending{Cause: CauseEnd, Side: from}
		r.halve()
	}
	r.mu.Unlock()
	if last { // the FIN comes with the close
		if l := r.options.Layers[to]; l != nil {
			_ = l.CloseWrite() // whatever comes of it: this is the end
		}
		return
	}
	if err := r.closeWrite(to); err != nil {
		r.end(Ending{Cause: CauseBroken, Side: to, Err: err})
	}
}

// resetUnseen reports whether what looks like the end of a side is a reset. The kernel tells of that once: if a send
// of the other way was told, a receive finds an end in order. A way that is at rest was told of none, and once
// a FIN has been sent there, a connection that is over both ways need not have been reset. mu must be held.
func (r *Relay) resetUnseen(from Side) bool {
	to := from.other()
	return !r.over && !r.halves[to] && r.ways[to].state.Load()&wayBusy != 0 && overBothWays(r.ways[from].fd)
}

// overBothWays reports whether a connection has ended in both directions, or was reset.
func overBothWays(fd uintptr) bool { return look(fd, 0)&unix.POLLHUP != 0 }

func (r *Relay) closeWrite(to Side) error {
	if l := r.options.Layers[to]; l != nil {
		if err := l.CloseWrite(); err != nil {
			return err
		}
	}
	return shutdown(r.conns[to].fd, unix.SHUT_WR)
}

// end ends the relay before its time. The first reason is the one that counts, because it makes
// the other direction fail.
func (r *Relay) end(e Ending) {
	r.mu.Lock()
	if r.over {
		r.mu.Unlock()
		return
	}
	r.over, r.fate = true, e
	// Within the lock: after settle the connections are the owner's again.
	for _, c := range r.conns {
		c.Reset()
	}
	r.ended.Store(true)
	r.mu.Unlock()
	for i := range r.ways { // nothing that they hold would be taken, and nothing more comes
		if w := &r.ways[i]; w.wake(wayReadable) {
			w.awake()
		}
	}
}
