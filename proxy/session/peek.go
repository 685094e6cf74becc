package session

import (
	"fmt"
	"net/netip"
	"time"

	"weir/balancer"
)

// Peek is Get for those who only want to know: it is no use of the session, and counted nowhere. left is
// how long the session lasts if it is not used.
func (t *Table) Peek(k Key, now int64) (b *balancer.Backend, left time.Duration) {
	s := t.shard(&k)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.index[k]
	if !ok {
		return nil, 0
	}
	e, timeout := &s.entries[i], t.timeout.Load()
	if e.expired(now, timeout) || e.lost() && !t.keep.Load() {
		return nil, 0
	}
	return e.backend, time.Duration(e.used + timeout - now)
}

// Explain says in words what a table of client addresses knows of one.
func (t *Table) Explain(client netip.Addr, now int64) (*balancer.Backend, string) {
	b, left := t.Peek(AddressKey(client), now)
	if b == nil {
		return nil, fmt.Sprintf("nothing is known of %s", client)
	}
	return b, fmt.Sprintf("%s was sent to %s; that lasts another %s", client, b.Name(), left.Round(time.Second))
}

// Peek is Session for those who only want to know.
func (l *Learner) Peek(now int64, cookies ...[]byte) *balancer.Backend {
	var lost *balancer.Backend
	looked := 0
	for _, line := range cookies {
		for name, value := range Pairs(line) {
			if !l.follows(name) {
				continue
			}
			if len(value) > 0 {
				switch b, _ := l.table.Peek(CookieKey(name, value), now); {
				case b == nil:
				case !b.Removed():
					return b
				case lost == nil:
					lost = b
				}
			}
			if looked++; !l.any || looked == maxCookies {
				return lost
			}
		}
	}
	return lost
}
