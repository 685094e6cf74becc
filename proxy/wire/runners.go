package wire

import (
	"sync"
	"time"
)

const (
	// spareRunners is how many goroutines wait for work, at most. They bridge the gap between the end of
	// one connection and the beginning of the next; more would hold memory for nobody.
	spareRunners = 64

	// spareTime is how long they wait without being needed, at least.
	spareTime = time.Second
)

// runners are goroutines that are used again with the stacks that they have grown. The stack of a new
// goroutine is copied twice until a connection has been served on it, which is 5 % of the CPU time of
// one that brings a single request.
//
// The zero value is ready. Anybody may use it at any time, but for close.
type runners struct {
	wg sync.WaitGroup

	mu     sync.Mutex
	spare  []*runner // the last one that has ended its work is the first that gets some
	idle   int       // how many of them nobody has needed since the last sweep
	sweeps *time.Timer
	swept  bool // a sweep is to come
	closed bool
}

// runner is one goroutine. Its next piece of work waits for it, so that whoever brings it does not.
type runner struct{ next chan func() } // nil until it has rested, which most connections need not pay for

// start calls f in a goroutine of its own.
func (r *runners) start(f func()) {
	r.mu.Lock()
	last := len(r.spare) - 1
	if last < 0 {
		r.mu.Unlock()
		r.wg.Add(1)
		go r.run(&runner{}, f)
		return
	}
	w := r.spare[last]
	r.spare[last] = nil
	r.spare = r.spare[:last]
	r.idle = min(r.idle, last)
	r.mu.Unlock()
	w.next <- f
}

// close ends the goroutines and waits for them. Nothing may be started any more, and what runs must come
// to its end.
func (r *runners) close() {
	r.mu.Lock()
	r.closed = true
	if r.sweeps != nil {
		r.sweeps.Stop()
	}
	r.end(len(r.spare))
	r.mu.Unlock()
	r.wg.Wait()
}

func (r *runners) run(w *runner, f func()) {
	defer r.wg.Done()
	for f != nil {
		f()
		if !r.rest(w) {
			return
		}
		f = <-w.next
	}
}

// rest makes w one that waits, unless there are enough of them.
func (r *runners) rest(w *runner) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || len(r.spare) >= spareRunners {
		return false
	}
	if w.next == nil {
		w.next = make(chan func(), 1)
	}
	r.spare = append(r.spare, w)
	if !r.swept {
		r.arm()
	}
	return true
}

// arm lets a sweep come. mu must be held.
func (r *runners) arm() {
	r.swept, r.idle = true, len(r.spare)
	if r.sweeps == nil {
		r.sweeps = time.AfterFunc(spareTime, r.sweep)
		return
	}
	r.sweeps.Reset(spareTime)
}

// sweep ends those that nobody has needed for a while.
func (r *runners) sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end(min(r.idle, len(r.spare)))
	if r.swept = false; len(r.spare) > 0 && !r.closed {
		r.arm()
	}
}

// end ends the n that have waited for longest. mu must be held.
func (r *runners) end(n int) {
	for _, w := range r.spare[:n] {
		close(w.next)
	}
	r.spare = append(r.spare[:0], r.spare[n:]...)
	clear(r.spare[len(r.spare):cap(r.spare)])
}

// spares is how many wait.
func (r *runners) spares() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.spare)
}
