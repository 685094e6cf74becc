package exchange

import (
	"errors"
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
		if err != nil {
			x.settings.sticky.failed(&x.member)
		}
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
		x.again, x.why = true, telemetry.RetryConnectFailure
	}
}

// pick takes a lease on a backend that has not been tried. While no backend has had its first
// verdict, or all have their maximum of requests, it waits for one.
func (c *client) pick() bool {
	x := &c.work.x
	for {
		lease, err := c.tryPick()
		if err == balancer.ErrFull || err == balancer.ErrChecking {
			lease, err = c.await()
		}
		if err != nil {
			c.fail(c.refusal(err))
			return false
		}
		if x.settings.sticky.claims(&x.member, lease.Backend()) {
			x.lease, x.leased = lease, true
			x.attempts++
			if x.again {
				x.again = false
				x.target.pool.stats.Retry(x.why)
			}
			return true
		}
		lease.Release()
	}
}

// errBound is why there is no lease: the backend of the session cannot be used, and no other may be.
var errBound = errors.New("the backend of the session cannot be used")

// tryPick acquires without waiting: the backend of the request's session, or, if that cannot be used and
// another one will do, any.
func (c *client) tryPick() (balancer.Lease, error) {
	x := &c.work.x
	pool := x.target.pool.Balancer
	if b := x.bound(); b != nil {
		lease, err := pool.AcquireBackend(b, &x.tried)
		if err != balancer.ErrNoBackendUp {
			return lease, err
		}
		if x.settings.sticky.config.Fallback == config.FallbackFail {
			return lease, errBound
		}
	}
	return pool.Acquire(x.flow, &x.tried)
}

// bound is the backend of the request's session; nil: it has none.
func (x *exchange) bound() *balancer.Backend {
	if x.settings.sticky == nil {
		return nil
	}
	return x.member.backend
}

// refusal is the answer to a request that got no lease.
func (c *client) refusal(err error) *failure {
	if f := c.work.x.failed; f != nil {
		return f // no other backend is left to try
	}
	switch err {
	case errBound:
		return errSessionLost
	case balancer.ErrNoCapacity:
		return errNoCapacity
	case balancer.ErrChecking:
		return errQueueTimeout
	case balancer.ErrFull:
		return errFull
	case balancer.ErrQueueFull:
		return errQueueFull
	}
	return errNoBackendUp
}

// connect gives the exchange a connection to the backend of its lease.
func (c *client) connect() error {
	x := &c.work.x
	p := x.lease.Backend().Peer().(*peer)
	if !x.fresh {
		if b := c.idle(p, x.settings.transport); b != nil {
			c.hold(b.wire)
			b.reused = true
			x.backend = b
			p.stats.Reused(c.shard)
			return nil
		}
	}
	since := wire.Now()
	watch := c.set.engine.Watcher.WatchLate(c.conn, time.Duration(gonePatience), c.onGone)
	defer watch.End()
	b, err := p.dial(x.settings, c.appendProxy(nil, x.settings.transport.proxy), c.hold)
	x.connect += wire.Now() - since
	if err != nil {
		c.active.Store(nil)
		return err
	}
	x.backend = b
	return nil
}

// idle returns an idle connection to p that the client may use, or nil.
func (c *client) idle(p *peer, t *transport) *backendConn {
	if t.proxy != config.ProxyNone {
		return p.takeKept(c, t)
	}
	return p.take(t)
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
	if reason == telemetry.ConnectLocal {
		return
	}
	if f := c.set.engine.ConnectFailed; f != nil {
		f(x.target.pool.Balancer.Name(), b, err)
	}
	c.faulty(b, balancer.FaultConnect)
}
