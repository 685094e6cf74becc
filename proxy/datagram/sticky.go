package datagram

import (
	"weir/balancer"
	"weir/config"
	persistence "weir/proxy/session"
	"weir/telemetry"
)

// maxClients bounds the table of a pool; an entry takes about 100 bytes.
const maxClients = 1 << 19

// sticky keeps client addresses on the backends of a pool that they had first.
type sticky struct {
	fail  bool // where the backend of a client cannot be used, nobody else will do
	table *persistence.Table
}

// newSticky makes the persistence of a pool, nil for none. A table goes on over reloads.
func newSticky(c *config.Persistence, old *sticky) *sticky {
	if c == nil || c.Type != config.PersistSourceIP {
		return nil
	}
	s := &sticky{fail: c.Fallback == config.FallbackFail}
	if old == nil {
		s.table = persistence.NewTable(maxClients, c.Timeout)
	} else {
		s.table = old.table
		s.table.SetTimeout(c.Timeout)
	}
	s.table.SetKeep(s.fail)
	return s
}

// follow adapts to the backends that the pool has: the clients of those that were removed start again, or
// are refused until a backend of that name is back or they have been away for long enough.
func (s *sticky) follow(p *balancer.Pool, removed []*balancer.Backend) {
	if s == nil {
		return
	}
	if !s.fail {
		for _, b := range removed {
			s.table.Forget(b)
		}
		return
	}
	var backends []*balancer.Backend
	for _, m := range p.Snapshot().Members() {
		backends = append(backends, m.Backend)
	}
	s.table.Restore(backends)
}

// sweep removes what has expired.
func (s *sticky) sweep(now int64) {
	for s != nil && s.table.Sweep(now) {
	}
}

// find returns the backend that a client had first, nil if there is none.
func (s *sticky) find(key persistence.Key, now int64) *balancer.Backend {
	if s == nil {
		return nil
	}
	return s.table.Get(key, now)
}

// joined notes that the client is on b, when before it was on had, and says what became of that.
func (s *sticky) joined(key persistence.Key, had, b *balancer.Backend, now int64) telemetry.SessionResult {
	if had == b {
		return telemetry.SessionHit
	}
	s.table.Put(key, b, now)
	if had == nil {
		return telemetry.SessionNew
	}
	return telemetry.SessionLost
}
