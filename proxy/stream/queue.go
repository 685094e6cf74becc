package stream

import (
	"time"

	"weir/balancer"
	"weir/proxy/wire"
)

// wait acquires a lease as soon as there is one, within the time-out of the queue: while no backend
// has had its first verdict, and while all have their maximum of connections. With a backend that one
// alone will do.
func (s *session) wait(pool *Pool, backend *balancer.Backend, tried *balancer.Tried) (balancer.Lease, error) {
	since := wire.Now()
	defer func() { s.queue += wire.Now() - since }()
	w := balancer.Wait{
		Flow: s.flow(), Tried: tried, Backend: backend, Places: s.settings.places, Gone: s.untilCut(),
	}
	if d := s.settings.timeouts.Queue; d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		w.Expired = t.C
	}
	defer s.watch()()
	return pool.Balancer.Await(&w)
}
