package proxy

import (
	"time"

	"weir/config"
)

// Repopulate puts the backends of c in force, which must otherwise say what the configuration in force says:
// it is for names that have other addresses than before. It reads no file and binds nothing, so it cannot
// fail. Backends that stay keep all that they have, those that have gone drain as after any other change.
// Calls are the caller's to serialise, with those of Prepare, Commit and Apply.
func (s *Server) Repopulate(c *config.Config) Change {
	var change Change
	now := time.Now()
	s.mu.Lock()
	before := s.config
	for name, pc := range c.Pools {
		switch {
		case pc.Protocol.HTTP():
			change.pool((*s.pools.Load())[name].Apply(pc, s.tls[name], now))
		case ofStreams(pc.Protocol):
			change.pool((*s.streams.pools.Load())[name].Apply(pc, s.tls[name], now))
		case ofDatagrams(pc.Protocol):
			change.pool((*s.datagrams.pools.Load())[name].Apply(pc, now))
		}
	}
	s.config = c
	s.mu.Unlock()
	s.probe(c, before)
	s.seriesLeft.Store(s.stats.Retain(c))
	s.steward.wake()
	return change
}
