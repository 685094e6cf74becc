package stream

import (
	"errors"
	"time"

	"weir/balancer"
	"weir/proxy/wire"
)

var (
	errQueueFull = errors.New("the queue is full")
	errStopping  = errors.New("the listener is stopping")
)

// wait acquires a lease as soon as there is one, within the time-out of the queue: while no backend
// has had its first verdict, and while all have their maximum of connections. err says which it is.
func (s *session) wait(pool *Pool, tried *balancer.Tried, err error) (lease balancer.Lease, _ error) {
	since := wire.Now()
	defer func() { s.queue += wire.Now() - since }()
	var expired <-chan time.Time
	if d := s.settings.timeouts.Queue; d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		expired = t.C
	}
	if err == balancer.ErrChecking {
		lease, err = s.awaitVerdict(pool, tried, expired)
	}
	if err == balancer.ErrFull {
		lease, err = s.awaitRoom(pool, tried, expired)
	}
	return lease, err
}

// awaitVerdict waits until a backend of the pool has been checked.
func (s *session) awaitVerdict(pool *Pool, tried *balancer.Tried, expired <-chan time.Time) (balancer.Lease, error) {
	for {
		replaced := pool.Balancer.Snapshot().Replaced()
		lease, err := pool.Balancer.Acquire(s.flow, tried)
		if err != balancer.ErrChecking {
			return lease, err
		}
		select {
		case <-replaced:
		case <-expired:
			return balancer.Lease{}, balancer.ErrChecking
		case <-s.clients.stopping:
			return balancer.Lease{}, errStopping
		}
	}
}

// awaitRoom waits in the queue until a backend has room.
func (s *session) awaitRoom(pool *Pool, tried *balancer.Tried, expired <-chan time.Time) (balancer.Lease, error) {
	place, ok := pool.Balancer.Queue(s.settings.places)
	if !ok {
		return balancer.Lease{}, errQueueFull
	}
	acquired := false
	defer func() { place.Leave(acquired) }()
	for {
		lease, err := pool.Balancer.AcquireQueued(s.flow, tried)
		if err != balancer.ErrFull {
			acquired = err == nil
			return lease, err
		}
		select {
		case <-place.Ready():
		case <-expired:
			return balancer.Lease{}, balancer.ErrFull
		case <-s.clients.stopping:
			return balancer.Lease{}, errStopping
		}
		lease, err = pool.Balancer.AcquireQueued(s.flow, tried)
		if err != balancer.ErrFull {
			acquired = err == nil
			return lease, err
		}
		place.Stay(tried.Len() > 0) // what has become free may be what was tried already
	}
}
