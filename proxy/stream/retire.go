package stream

import (
	"time"

	"weir/telemetry"
)

// cutRetired is what ends a session of a listener that was removed.
var cutRetired = &cause{telemetry.OutcomeDrainTimeout, byDrain, "cut off: its listener was removed, and drain_timeout of the pool had passed"}

// Retire says, at the time now in ns, that the listener was removed: what it has left may go on for the
// drain_timeout of its pool, and what has yet to come to one for the longest of those that it could come to.
func (c *Clients) Retire(now int64) { c.retired.Store(now) }

// Sweep ends the sessions of a retired listener that have had their time. It is called about once a second.
func (c *Clients) Sweep(now int64) {
	since := c.retired.Load()
	if since == 0 {
		return
	}
	for _, s := range c.all() {
		pools := s.site.pools
		if s.relay.Load() != nil { // else it belongs to the goroutine that runs it
			pools = []*Pool{s.target.pool}
		}
		if timeout := longestDrain(pools); timeout > 0 && time.Duration(now-since) >= timeout {
			s.cut(cutRetired)
		}
	}
}

// longestDrain is the longest drain_timeout of pools; 0: without bound.
func longestDrain(pools []*Pool) (longest time.Duration) {
	for _, p := range pools {
		timeout := p.settings.Load().drain
		if timeout == 0 {
			return 0
		}
		longest = max(longest, timeout)
	}
	return longest
}
