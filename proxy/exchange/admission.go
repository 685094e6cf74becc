package exchange

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"time"

	"weir/config"
	"weir/proxy/admit"
	"weir/proxy/wire"
	"weir/telemetry"
)

// clientBits is how much of an IPv6 address is one client: a subscriber has a whole /64.
const clientBits = 64

// admission is what a listener asks of new connections and requests before it works for them. Each
// part may be nil: no limit.
type admission struct {
	access    *admit.Access
	pace      *admit.Pace
	perClient *admit.Connections
	rate      *admit.Rate
	body      admit.BodyRate

	limits    config.ListenerLimits
	rateLimit config.RateLimit
}

// newAdmission makes the admission of a listener. What has not changed goes on from previous, which
// may be nil: a reload gives nobody a fresh burst.
func newAdmission(c *config.Listener, previous *admission) (*admission, error) {
	a := &admission{limits: c.Limits, rateLimit: c.RateLimit}
	a.body = admit.BodyRate{PerSecond: c.Limits.MinBodyRate, Grace: admit.BodyGrace, Window: admit.BodyWindow}
	var err error
	if a.access, err = admit.NewAccess(c.Access.Allow, c.Access.Deny); err != nil {
		return nil, fmt.Errorf("listeners.%s.allow, deny: %w", c.Name, err)
	}
	if previous != nil && previous.limits.NewConnections == c.Limits.NewConnections {
		a.pace = previous.pace
	} else {
		a.pace = admit.NewPace(c.Limits.NewConnections)
	}
	if previous != nil && previous.rateLimit == c.RateLimit {
		a.rate = previous.rate
	} else if a.rate, err = admit.NewRate(admit.RateOptions{
		Rate: c.RateLimit.Rate, Burst: c.RateLimit.Burst, IPv6Bits: clientBits,
	}); err != nil {
		return nil, fmt.Errorf("listeners.%s.rate_limit: %w", c.Name, err)
	}
	return a, a.countClients(c, previous)
}

// countClients keeps the count of the connections that are there, for as long as one is wanted.
func (a *admission) countClients(c *config.Listener, previous *admission) (err error) {
	limit := c.Limits.PerClient
	if previous != nil && previous.perClient != nil && limit > 0 {
		a.perClient = previous.perClient
		return nil // the limit follows when the configuration is in force: see adopt
	}
	if limit > 0 {
		if a.perClient, err = admit.NewConnections(limit, clientBits); err != nil {
			return fmt.Errorf("listeners.%s.limits.per_client_connections: %w", c.Name, err)
		}
	}
	return nil
}

// adopt makes the limit on the connections of a client the one that is in force now.
func (a *admission) adopt() {
	if a.perClient != nil {
		// The limit is positive, which is all that is asked of it.
		_ = a.perClient.SetLimit(a.limits.PerClient)
	}
}

// admit decides about a new connection of a peer. With ok, counted is left when it ends.
func (s *Site) admit(peer netip.Addr) (counted *admit.Connections, why telemetry.RejectReason, ok bool) {
	a := s.admission
	if s.forwarding.trusts(peer) {
		// A proxy: its clients are looked at request by request.
		return nil, 0, true
	}
	if !a.access.Allowed(peer) {
		return nil, telemetry.RejectDenied, false
	}
	if !a.perClient.Enter(peer) { // before the pace, or a client that has its share uses up that of others
		return nil, telemetry.RejectPerClient, false
	}
	if a.pace != nil && !a.pace.Allow(wire.Now()) {
		a.perClient.Leave(peer)
		return nil, telemetry.RejectRate, false
	}
	return a.perClient, 0, true
}

// admitRequest decides about a request, from x.client. It returns false when the
// exchange is over.
func (c *client) admitRequest() bool {
	x := &c.work.x
	a := x.site.admission
	client := x.client
	if !a.access.Allowed(client) {
		c.fail(errDenied)
		return false
	}
	if c.set.engine.Memory.Refusing() {
		x.close = true
		c.fail(errMemory)
		return false
	}
	if a.rate == nil {
		return true
	}
	ok, wait := a.rate.Allow(client, x.started)
	if !ok {
		x.retryIn = wait
		c.fail(errRateLimited)
	}
	return ok
}

// appendRetryAfter writes when to come again, in whole seconds.
func appendRetryAfter(dst []byte, in time.Duration) []byte {
	dst = append(dst, "Retry-After: "...)
	dst = strconv.AppendInt(dst, int64(math.Ceil(max(in, time.Second).Seconds())), 10)
	return append(dst, "\r\n"...)
}
