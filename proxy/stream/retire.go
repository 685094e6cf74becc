package stream

import (
	"time"

	"weir/telemetry"
)

// cutRetired is what ends a session of a listener that was removed.
var cutRetired = &cause{telemetry.OutcomeDrainTimeout, byDrain, "cut off: its listener was removed, and drain_timeout of the pool had passed"}

// Retire says, at the time now in ns, that the listener was removed: what it has left may go on for the
// drain_timeout of its pool.
func (c *Clients) Retire(now int64) { c.retired.Store(now) }

// Sweep ends the sessions of a retired listener that have had their time. It is called about once a second.
func (c *Clients) Sweep(now int64) {
	since := c.retired.Load()
	if since == 0 {
		return
	}
	for _, s := range c.all() {
		if s.relay.Load() == nil {
			continue // it is on its way to a backend, for which there are time-outs
		}
		timeout := s.target.pool.settings.Load().drain
		if timeout > 0 && time.Duration(now-since) >= timeout {
			s.cut(cutRetired)
		}
	}
}
