package exchange

import (
	"time"

	"weir/balancer"
	"weir/telemetry"
)

// settled counts a try that b was sent, which it answered with status (0: not), and tells the pool how it
// went as far as that is the backend's doing.
func (c *client) settled(b *balancer.Backend, status int, o telemetry.Outcome) {
	b.Peer().(*peer).stats.Request(c.shard, status, o)
	switch o {
	case telemetry.OutcomeOK:
		b.Succeeded()
	case telemetry.OutcomeBackendReset:
		c.faulty(b, balancer.FaultReset)
	case telemetry.OutcomeBackendTimeout:
		c.faulty(b, balancer.FaultTimeout)
	case telemetry.OutcomeBackendBadResponse:
		c.faulty(b, balancer.FaultBadResponse)
	}
}

func (c *client) faulty(b *balancer.Backend, why balancer.Fault) {
	c.work.x.target.pool.Balancer.Failed(b, why, time.Now())
}
