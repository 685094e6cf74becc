package exchange

import (
	"time"

	"weir/balancer"
	"weir/config"
	"weir/proxy/wire"
	"weir/telemetry"
)

// acquire picks a backend and gets a connection to it, trying the next one when that fails. False:
// the exchange is over, the client has its answer.
func (c *client) acquire() bool {
	x := &c.work.x
	for {
		if !x.leased && !c.pick() {
			return false
		}
		err := c.connect()
		if c.gone.Load() {
			c.lost(c.whoLeft())
			return false
		}
		if err == nil {
			if s := x.settings.sticky; s != nil && !x.fresh {
				x.target.pool.stats.Session(c.shard, s.joined(&x.member, x.lease.Backend()))
			}
			return true
		}
		c.connectFailed(err)
		x.failed, x.cause = connectError(err), err
		if x.attempts > x.settings.attempts || !x.settings.onConnect {
			c.fail(x.failed)
			return false
		}
		x.target.pool.stats.Retry(telemetry.RetryConnectFailure)
	}
}

// pick takes a lease on a backend that has not been tried. While no backend has had its first
// verdict it waits for one.
func (c *client) pick() bool {
	x := &c.work.x
	pool := x.target.pool.Balancer
	lease, bound := c.pickMember()
	if bound && lease.Backend() == nil {
		c.fail(x.failed)
		return false
	}
	var err error
	if !bound {
		lease, err = pool.Acquire(x.flow, &x.tried)
	}
	if err == balancer.ErrChecking {
		lease, err = c.awaitVerdict()
	}
	if err != nil {
		switch {
		case x.failed != nil:
			c.fail(x.failed) // no other backend is left to try
		case err == balancer.ErrNoCapacity:
			c.fail(errNoCapacity)
		case err == balancer.ErrChecking:
			c.fail(errQueueTimeout)
		default:
			c.fail(errNoBackendUp)
		}
		return false
	}
	x.lease, x.leased = lease, true
	x.attempts++
	return true
}

// pickMember takes a lease on the backend of the request's session. bound says that the request may
// go nowhere else; without a lease it has failed then, and x.failed says how.
func (c *client) pickMember() (lease balancer.Lease, bound bool) {
	x := &c.work.x
	s := x.settings.sticky
	if s == nil || x.member.backend == nil {
		return balancer.Lease{}, false
	}
	if lease, err := x.target.pool.Balancer.AcquireBackend(x.member.backend, &x.tried); err == nil {
		return lease, true
	}
	if s.config.Fallback != config.FallbackFail {
		return balancer.Lease{}, false
	}
	if x.failed == nil {
		x.failed = errSessionLost
	}
	return balancer.Lease{}, true
}

// awaitVerdict waits in the queue until the pool has a backend to offer.
func (c *client) awaitVerdict() (balancer.Lease, error) {
	x := &c.work.x
	since := wire.Now()
	defer func() { x.queue += wire.Now() - since }()
	pool := x.target.pool.Balancer
	var expired <-chan time.Time
	if d := x.settings.timeouts.Queue; d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		expired = t.C
	}
	gone, unwatch := c.watchQueue()
	defer unwatch()
	for {
		replaced := pool.Snapshot().Replaced()
		lease, err := pool.Acquire(x.flow, &x.tried)
		if err != balancer.ErrChecking {
			return lease, err
		}
		select {
		case <-replaced:
		case <-expired:
			return balancer.Lease{}, balancer.ErrChecking
		case <-gone:
			return balancer.Lease{}, balancer.ErrChecking
		}
	}
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

// connect gives the exchange a connection to the backend of its lease.
func (c *client) connect() error {
	x := &c.work.x
	p := x.lease.Backend().Peer().(*peer)
	if !x.fresh {
		if b := p.take(x.settings.transport); b != nil {
			c.hold(b.wire)
			b.reused = true
			x.backend = b
			p.stats.Reused(c.shard)
			return nil
		}
	}
	since := wire.Now()
	watch := c.watchLate()
	defer watch.end()
	b, err := p.dial(x.settings, c.hold)
	x.connect += wire.Now() - since
	if err != nil {
		c.active.Store(nil)
		return err
	}
	x.backend = b
	return nil
}

// hold makes w the connection that is shut down if the client leaves or the process stops.
func (c *client) hold(w *wire.Conn) {
	c.active.Store(w)
	if c.gone.Load() {
		w.Shutdown()
	}
}

// connectFailed gives the lease back and tells the world. A lack of descriptors or ports on this
// machine is no fault of the backend.
func (c *client) connectFailed(err error) {
	x := &c.work.x
	b := x.lease.Backend()
	reason := telemetry.ConnectReasonOf(err)
	b.Peer().(*peer).stats.ConnectError(reason)
	x.lease.Release()
	x.leased, x.fresh = false, false
	x.tried.Add(b)
	if f := c.set.engine.ConnectFailed; f != nil && reason != telemetry.ConnectLocal {
		f(x.target.pool.Balancer.Name(), b, err)
	}
}
