package session

import (
	"slices"
	"time"

	"weir/balancer"
)

// Memory is a session that a process hands over to the one that takes its place.
type Memory struct {
	Key     Key
	Backend string        // its name
	Idle    time.Duration // since its last use
}

// Memory lists the sessions at the time now, those used last at the end: if there is not room for all of
// them elsewhere, these are kept. Those that several backends claim are left out.
func (t *Table) Memory(now int64) []Memory {
	list := make([]Memory, 0, t.entries.Load())
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for at := s.oldest(); at != 0; at = s.entries[at].prev {
			e := &s.entries[at]
			if e.backend != nil && !e.expired(now, t.timeout.Load()) {
				list = append(list, Memory{e.key, e.backend.Name(), time.Duration(now - e.used)})
			}
		}
		s.mu.Unlock()
	}
	slices.SortStableFunc(list, func(a, b Memory) int { return int(min(max(b.Idle-a.Idle, -1), 1)) })
	return list
}

// Remember enters the sessions of the process before, with the backends of the same names, at the time now.
// Those of other backends are lost.
func (t *Table) Remember(list []Memory, backends []*balancer.Backend, now int64) {
	byName := make(map[string]*balancer.Backend, len(backends))
	for _, b := range backends {
		byName[b.Name()] = b
	}
	for _, m := range list {
		b, used := byName[m.Backend], now-int64(max(m.Idle, 0))
		if b != nil && now-used < t.timeout.Load() {
			t.Put(m.Key, b, used)
		}
	}
}
