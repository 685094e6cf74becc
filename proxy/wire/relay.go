package wire

import (
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
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
	// such bound. They act up to a sixteenth late.
	Idle, HalfClose time.Duration
	// Pipes are for large transfers of plain bytes; nil: everything is copied.
	Pipes *Pipes
	// Layers are spoken over the client's and the backend's connection; nil: plain bytes.
	Layers [2]Layer
	// Totals are added to as bytes move, those that the client and those that the backend has sent.
	// They may belong to others too; nil: nobody counts.
	Totals [2]*atomic.Uint64
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
	ways    [2]way // by the side that sends
	running atomic.Int32
	done    func(Ending)
	started int64 // on Now's clock

	mu     sync.Mutex // guards what follows
	ended  [2]bool    // what a side sends has ended
	over   bool       // fate is final
	fate   Ending
	ticker *time.Timer
	since  int64  // when a look first found moved as it is, on Now's clock
	moved  uint64 // bytes, at the last look
}

// NewRelay prepares a relay between two connections. Nobody else may read from or write to either
// until the relay has ended.
func NewRelay(client, backend *Conn, o RelayOptions) *Relay {
	r := &Relay{conns: [2]*Conn{client, backend}, options: o}
	for s := range r.ways {
		r.ways[s].init(r, Side(s))
	}
	return r
}

// Start relays until the end, and then calls done, once, which is where the connections are closed: if
// the cause is not CauseEnd both have been reset. It starts two goroutines, one for each direction, and
// done is called by the one that ends last. They are new ones so that their stacks are small.
func (r *Relay) Start(done func(Ending)) {
	r.done, r.started = done, Now()
	r.running.Store(int32(len(r.ways)))
	r.startTicking()
	go r.carry(Client)
	go r.carry(Backend)
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
	if first := r.ways[Backend].first; first != 0 {
		return time.Duration(first - r.started)
	}
	return 0
}

// settle fixes the fate: from now on nothing touches the connections.
func (r *Relay) settle() Ending {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	if r.ticker != nil {
		r.ticker.Stop()
	}
	return r.fate
}

// carry moves what one side sends until that side has ended, or the relay has.
func (r *Relay) carry(from Side) {
	defer r.leave()
	defer r.recovered()
	w := &r.ways[from]
	err := w.run()
	w.release()
	if err == io.EOF {
		r.endHalf(from)
		return
	}
	broken := from
	if w.sending {
		broken = from.other()
	}
	r.end(Ending{Cause: CauseBroken, Side: broken, Err: err})
}

// leave notes that one direction has finished.
func (r *Relay) leave() {
	if r.running.Add(-1) == 0 {
		r.done(r.settle())
	}
}

// recovered ends this relay, and only this one, on a defect of ours.
func (r *Relay) recovered() {
	if r.options.Panicked == nil {
		return
	}
	if v := recover(); v != nil {
		r.options.Panicked(v)
		r.end(Ending{Cause: CauseDefect})
	}
}

// endHalf passes the end of one side on to the other.
func (r *Relay) endHalf(from Side) {
	to := from.other()
	r.mu.Lock()
	r.ended[from] = true
	last := r.over || r.ended[to]
	if !last {
		r.fate = Ending{Cause: CauseEnd, Side: from}
		r.tickHalf()
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

func (r *Relay) closeWrite(to Side) error {
	if l := r.options.Layers[to]; l != nil {
		if err := l.CloseWrite(); err != nil {
			return err
		}
	}
	return r.conns[to].CloseWrite()
}

// end ends the relay before its time. The first reason is the one that counts, because it makes
// the other direction fail.
func (r *Relay) end(e Ending) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	r.over, r.fate = true, e
	// Within the lock: after settle the connections are the owner's again.
	for _, c := range r.conns {
		c.Reset()
	}
}
