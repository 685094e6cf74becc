package balancer

import (
	"net/netip"
	"time"
)

// Memory is what is known of a backend that a process hands over to the one that takes its place. Times
// are those of the wall clock.
type Memory struct {
	Name    string
	Address netip.AddrPort

	Health   Health
	Since    time.Time
	Leaving  time.Time // since when it drains; the zero time: it does not
	Override Override

	Founder, Cold, Warmed bool // where it is between cold and warm
	Ramping               bool
	Began                 time.Time // of the ramp
	Ratio, Accepted       float64

	Ejection     *Ejection // nil: it is not ejected
	Ejections    int       // that are remembered
	LastEjection time.Time // its end
}

// Memory lists what is known of the backends, in the order of the configuration.
func (p *Pool) Memory() []Memory {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]Memory, 0, len(p.seats))
	for _, s := range p.seats {
		st := s.backend.status.Load()
		list = append(list, Memory{
			Name: s.backend.name, Address: s.backend.address, Health: st.health, Since: st.since, Leaving: st.leaving,
			Override: s.override.clone(),
			Founder:  s.slow.founder, Cold: s.slow.cold, Warmed: s.slow.warmed, Ramping: s.slow.ramping,
			Began: s.slow.began, Ratio: s.slow.ratio, Accepted: s.slow.accepted,
			Ejection: st.ejection, Ejections: s.outlier.times, LastEjection: s.outlier.ended,
		})
	}
	return list
}

// Remember makes the backends of a pool that nobody uses yet what they were for the process before. Those
// that have another address than they had, or are not checked any more, keep only what the operator wants
// of them; those that are not in the list stay as they are.
func (p *Pool) Remember(list []Memory, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	byName := make(map[string]*Memory, len(list))
	for i := range list {
		byName[list[i].Name] = &list[i]
	}
	for _, s := range p.seats {
		m := byName[s.file.Name]
		if m == nil {
			continue
		}
		if m.Override.validate() == nil {
			s.override = m.Override.clone()
		}
		if m.Address == s.backend.address && p.config.Health != nil {
			s.remember(m)
		}
	}
	p.settle(now)
	p.publish()
}

// remember takes over what was known of the same backend.
func (s *seat) remember(m *Memory) {
	s.backend.update(func(st *status) {
		st.health, st.since, st.leaving, st.ejection = m.Health, m.Since, m.Leaving, m.Ejection
	})
	s.slow = slowStart{
		founder: m.Founder, cold: m.Cold, warmed: m.Warmed, ramping: m.Ramping, began: m.Began,
		ratio: min(max(m.Ratio, firstRatio), 1), accepted: m.Accepted,
	}
	s.outlier = outlier{times: m.Ejections, ended: m.LastEjection}
}

// Resume counts a lease on a backend of the pool for a flow that had one in the process before, whatever
// has become of the backend since.
func (p *Pool) Resume(b *Backend) Lease {
	b.take()
	return Lease{b}
}
