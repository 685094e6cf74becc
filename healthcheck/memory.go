package healthcheck

import (
	"net/netip"
	"time"
)

// Memory is what is known of a target that a process hands over to the one that takes its place.
type Memory struct {
	Key     Key
	Backend netip.AddrPort // identity of the target
	State   State
	Streak  int
	Since   time.Time
	Reason  string
	Settled bool      // a probe was observed
	Judged  bool      // one that said something was
	LastOK  time.Time // zero: none yet
	Probes  []Probe   // oldest first
}

// Memory lists what is known of all targets.
func (m *Monitor) Memory() []Memory {
	m.mu.RLock()
	defer m.mu.RUnlock()
	list := make([]Memory, 0, len(m.schedules))
	for _, s := range m.schedules {
		list = append(list, s.record.memory())
	}
	return list
}

// Remember has the targets of the next Apply go on where they were for the process before, if they have
// the same key and backend. It is called before the first.
func (m *Monitor) Remember(list []Memory) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.memories = make(map[Key]*Memory, len(list))
	for i := range list {
		m.memories[list[i].Key] = &list[i]
	}
}

// remembered makes the record of a target that the process before has known; nil if it has not. mu must be
// held.
func (m *Monitor) remembered(t Target) *record {
	known := m.memories[t.Key]
	delete(m.memories, t.Key)
	if known == nil || known.Backend != t.Backend || known.State > Down {
		return nil
	}
	r := newRecord(t, known.Since)
	r.tracker.state, r.tracker.streak = known.State, known.Streak
	r.reason, r.settled, r.judged, r.lastOK = known.Reason, known.Settled, known.Judged, known.LastOK
	for _, p := range known.Probes[max(0, len(known.Probes)-HistorySize):] {
		r.keep(p)
	}
	return r
}

func (r *record) memory() Memory {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := Memory{
		Key: r.target.Key, Backend: r.target.Backend, State: r.tracker.state, Streak: r.tracker.streak,
		Since: r.since, Reason: r.reason, Settled: r.settled, Judged: r.judged, LastOK: r.lastOK,
	}
	for i := range r.probes {
		m.Probes = append(m.Probes, r.probes[(r.count-uint64(len(r.probes))+uint64(i))%HistorySize])
	}
	return m
}
