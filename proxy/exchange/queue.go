package exchange

import (
	"time"

	"weir/balancer"
	"weir/config"
	"weir/proxy/wire"
	"weir/telemetry"
)

var (
	errFull      = &failure{503, telemetry.OutcomeQueueTimeout, "every backend had its maximum of requests for too long", false, true}
	errQueueFull = &failure{503, telemetry.OutcomeNoCapacity, "every backend has its maximum of requests, and no place is left to wait", false, true}
)

// await acquires a lease as soon as there is one, within the time-out of the queue and while the client
// is there: see balancer.Pool.Await. The exchange holds no lease meanwhile.
func (c *client) await() (balancer.Lease, error) {
	x := &c.work.x
	since := wire.Now()
	defer func() { x.queue += wire.Now() - since }()
	w := balancer.Wait{Flow: x.flow, Tried: &x.tried, Backend: x.bound(), Places: x.settings.places}
	if d := x.settings.timeouts.Queue; d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		w.Expired = t.C
	}
	gone, unwatch := c.watchQueue()
	defer unwatch()
	w.Gone = gone
	pool := x.target.pool.Balancer
	lease, err := pool.Await(&w)
	if w.Backend == nil || err != balancer.ErrNoBackendUp {
		return lease, err
	}
	if x.settings.sticky.config.Fallback == config.FallbackFail {
		return lease, errBound
	}
	w.Backend = nil
	return pool.Await(&w)
}

// watchQueue tells when the client leaves while it waits in the queue.
func (c *client) watchQueue() (gone <-chan struct{}, unwatch func()) {
	left := make(chan struct{})
	id, err := c.set.engine.Watcher.Watch(c.conn, func() {
		c.gone.Store(true)
		close(left)
	})
	if err != nil {
		return nil, func() {}
	}
	return left, func() { c.set.engine.Watcher.Unwatch(c.conn, id) }
}
