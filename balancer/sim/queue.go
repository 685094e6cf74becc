package sim

import (
	"slices"
	"time"

	"weir/balancer"
)

// waiter is a flow in the queue: all backends had their maximum of leases when it arrived.
type waiter struct {
	client int
	since  time.Duration
}

// never is a time after the end of every run.
const never = maxTime + 1

// enqueue makes a flow wait, unless the queue is full.
func (r *run) enqueue(at time.Duration, client int) {
	if len(r.waiting) >= r.config.Queue {
		r.ledger.refused(at)
		return
	}
	r.waiting = append(r.waiting, waiter{client, at})
	r.ledger.queued(at)
}

// expiry is when the first in the queue has waited for too long.
func (r *run) expiry() time.Duration {
	if len(r.waiting) == 0 || r.config.Timeouts.Queue <= 0 {
		return never
	}
	return r.waiting[0].since + r.config.Timeouts.Queue
}

// expire refuses the first in the queue.
func (r *run) expire(at time.Duration) error {
	r.waiting = slices.Delete(r.waiting, 0, 1)
	r.ledger.refused(at)
	return nil
}

// serve lets those in the queue go on for whom there is room, or no backend any more.
func (r *run) serve(at time.Duration) {
	n := 0
	for _, w := range r.waiting {
		l, err := r.pool.Acquire(flowOf(w.client), nil)
		if err == balancer.ErrFull {
			break
		}
		if n++; err != nil {
			r.ledger.refused(at)
			continue
		}
		r.ledger.waited(at - w.since)
		r.begin(at, l)
	}
	r.waiting = slices.Delete(r.waiting, 0, n)
}
