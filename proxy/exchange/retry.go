package exchange

import (
	"weir/config"
	"weir/proxy/wire"
	"weir/telemetry"
)

// repeatable reports whether the request may be sent a second time after a first one may have
// arrived: idempotent methods whose body is at hand.
func (c *client) repeatable() bool {
	if u := c.work.x.upload; u != nil && !u.repeatable() {
		return false
	}
	return c.idempotent()
}

// idempotent reports whether the method is one that may be repeated (RFC 9110, section 9.2.2).
func (c *client) idempotent() bool {
	switch c.work.x.method {
	case telemetry.MethodGet, telemetry.MethodHead, telemetry.MethodOptions, telemetry.MethodTrace,
		telemetry.MethodPut, telemetry.MethodDelete:
		return true
	}
	return false
}

// retryAfter decides what follows on a round trip that failed before the first byte of a response.
// True: there may be another one.
func (c *client) retryAfter(err error) bool {
	x := &c.work.x
	stale := x.backend.reused
	c.dropBackend()
	if c.gone.Load() {
		c.lost(c.whoLeft())
		return false
	}
	if err == wire.ErrTimeout || err == wire.ErrStalled {
		return c.retryElsewhere(x.settings.onTimeout, errBackendTimeout, telemetry.RetryTimeout)
	}
	if err == errCut {
		return c.retryElsewhere(x.settings.onReset, errDrained, telemetry.RetryReset)
	}
	if stale && x.settings.onReset && x.settings.attempts > 0 && c.repeatable() && !x.fresh {
		// The backend closed an idle connection, as it may at any time: that says nothing about it,
		// so the request goes to it again, once, on a new connection, and outside the budget.
		x.fresh = true
		return true
	}
	return c.retryElsewhere(x.settings.onReset, errBackendReset, telemetry.RetryReset)
}

// retryElsewhere prepares another try after f, on a backend that was not tried yet, if that is wanted,
// safe and within the budget. Otherwise the exchange ends with f.
func (c *client) retryElsewhere(wanted bool, f *failure, why telemetry.RetryReason) bool {
	x := &c.work.x
	if !wanted || !c.mayRepeat() {
		c.fail(f)
		return false
	}
	b := x.lease.Backend()
	c.settled(b, 0, f.outcome)
	x.lease.Release()
	x.leased, x.fresh, x.failed, x.cause = false, false, f, nil
	x.tried.Add(b)
	x.again, x.why = true, why
	return true
}

// mayRepeat reports whether the request, which a backend may have had, may be sent to another one.
func (c *client) mayRepeat() bool {
	x := &c.work.x
	if !c.repeatable() || x.attempts > x.settings.attempts {
		return false
	}
	pool := x.target.pool
	return pool.budget.allow(pool.Balancer, x.settings.budget, wire.Now())
}

// retryStatus gives up the response at hand, of which only the head has been read, for one of another
// backend: if its status is one to retry on, nothing has gone to the client, and another backend is
// there to be tried. Otherwise the response is as good as any.
func (c *client) retryStatus(interim bool) bool {
	x := &c.work.x
	i := c.work.res.Status - 502
	if i < 0 || i >= len(retryStatuses) || !x.settings.onStatus[i] || interim || !c.repeatable() {
		return false // before a pick, which would take somebody's turn
	}
	if s := x.settings.sticky; s != nil && s.config.Fallback == config.FallbackFail && x.member.backend != nil {
		return false
	}
	b, tried := x.lease.Backend(), x.tried
	tried.Add(b)
	next, err := x.target.pool.Balancer.Acquire(x.flow, &tried) // does not wait: nobody waits with a lease
	if err != nil {
		return false
	}
	if !c.mayRepeat() {
		next.Release()
		return false
	}
	c.dropBackend()
	c.settled(b, c.work.res.Status, telemetry.OutcomeOK)
	x.lease.Release()
	x.lease, x.tried, x.fresh = next, tried, false
	x.attempts++
	x.target.pool.stats.Retry(retryReasons[i])
	return true
}
