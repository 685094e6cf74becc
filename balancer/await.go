package balancer

import (
	"errors"
	"time"
)

// Why Await gave up.
var (
	// ErrQueueFull: as ErrFull, and all places in the queue are taken.
	ErrQueueFull = errors.New("too many wait for a backend")
	// ErrGone: who waited has gone.
	ErrGone = errors.New("nobody waits any more")
)

// Wait is a flow that waits for a lease.
type Wait struct {
	Flow    Flow
	Tried   *Tried           // may be nil
	Backend *Backend         // of the session that the flow belongs to, which alone will do; nil: any
	Places  int              // in the queue; 0: none, so that ErrFull is not waited out
	Expired <-chan time.Time // the time is over; nil: never
	Gone    <-chan struct{}  // nobody waits any more; nil: never
}

// Await acquires a lease for w as soon as there is one: in the queue while that ends with ErrFull, and
// with those who wait for the first verdicts while it ends with ErrChecking. Other errors are those of
// Acquire or, with w.Backend, of AcquireBackend, at once. ErrFull and ErrChecking mean that the time
// expired. Await belongs to no snapshot: who waits follows each change of the pool.
func (p *Pool) Await(w *Wait) (Lease, error) {
	for {
		replaced := p.Snapshot().Replaced()
		lease, err := p.try(w, false)
		if err == ErrFull {
			lease, err = p.awaitRoom(w)
		}
		if err != ErrChecking {
			return lease, err
		}
		select {
		case <-replaced:
		case <-w.Expired:
			return Lease{}, ErrChecking
		case <-w.Gone:
			return Lease{}, ErrGone
		}
	}
}

// awaitRoom waits in the queue. It returns ErrChecking too, as soon as that is so.
func (p *Pool) awaitRoom(w *Wait) (Lease, error) {
	place, ok := p.queue.enter(w.Places, w.Backend != nil)
	if !ok {
		return Lease{}, ErrQueueFull
	}
	acquired := false
	defer func() { place.Leave(acquired) }()
	for {
		// Once before each wait: what was released since the last look has called somebody else.
		lease, err := p.try(w, true)
		if err == ErrFull {
			select {
			case <-place.Ready():
			case <-w.Expired:
				return Lease{}, ErrFull
			case <-w.Gone:
				return Lease{}, ErrGone
			}
			lease, err = p.try(w, true)
		}
		if err != ErrFull {
			acquired = err == nil
			return lease, err
		}
		// What has become free may be of no use here, but elsewhere.
		place.Stay(w.Backend != nil || w.Tried.Len() > 0)
	}
}

// try acquires once.
func (p *Pool) try(w *Wait, queued bool) (Lease, error) {
	switch {
	case w.Backend != nil:
		return p.AcquireBackend(w.Backend, w.Tried)
	case queued:
		return p.AcquireQueued(w.Flow, w.Tried)
	}
	return p.Acquire(w.Flow, w.Tried)
}
