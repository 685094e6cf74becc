package balancer

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"weir/config"
)

// Supposition is a backend that is supposed to be otherwise than it is.
type Supposition struct {
	Backend string       // its name
	Down    bool         // its health check fails
	State   config.State // what the operator wants of it; empty: what he does
}

// ExplainIf is Explain for what the pool would be right after all the suppositions came true. moved is
// the share of all keys, or of all turns, that would go to another backend; NaN if that depends on the
// load, or if nobody served before or would then. The error names a backend that the pool does not have.
// Nothing changes.
func (p *Pool) ExplainIf(f Flow, suppositions []Supposition) (e Explanation, moved float64, err error) {
	before := p.snapshot.Load()
	s, err := p.suppose(suppositions)
	if err != nil {
		return Explanation{}, 0, err
	}
	return s.Explain(f), moves(before, s), nil
}

// moves is how much goes elsewhere from one snapshot to another.
func moves(before, after *Snapshot) float64 {
	switch old := before.picker.(type) {
	case *hashing:
		if h, ok := after.picker.(*hashing); ok {
			return old.moved(h)
		}
	case *rotation:
		if r, ok := after.picker.(*rotation); ok {
			had, has, gone := old.shares(), r.shares(), 0.0
			for b, share := range had {
				gone += max(0, share-has[b])
			}
			return gone
		}
	}
	return math.NaN()
}

// suppose builds the snapshot that would be published, on a copy of what the writers know.
func (p *Pool) suppose(suppositions []Supposition) (*Snapshot, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	copied := p.copy()
	members := copied.members()
	for _, want := range suppositions {
		i := slices.IndexFunc(members, func(m Member) bool { return m.Backend.name == want.Backend })
		if i < 0 {
			return nil, fmt.Errorf("pool %s has no backend %q", p.name, want.Backend)
		}
		m := &members[i]
		if want.Down {
			m.Health, m.Ejected = Down, false
		}
		if want.State != "" {
			m.State = want.State
		}
		if m.Health == Down || m.State == config.Maintenance { // a slow start ends with that
			copied.seats[i].slow.ramping, copied.seats[i].slow.ratio, m.Ramp = false, 1, 1
		}
	}
	if !slices.ContainsFunc(members, Member.usable) { // nobody is kept out then
		for i := range members {
			members[i].Ejected = false
		}
	}
	s := copied.build(members)
	copied.equip(s)
	return s, nil
}

// usable is that of a seat.
func (m Member) usable() bool {
	return m.Health == Up && !m.Ejected && m.State == config.Ready && m.Weight > 0
}

// copy is a pool with the backends of p and everything that building a snapshot changes for its own. The
// pool's mutex must be held. It has no snapshot.
func (p *Pool) copy() *Pool {
	c := &Pool{
		name: p.name, options: Options{Offset: p.options.Offset}, config: p.config,
		ledger: ledger{p.ledger.rotation, maps.Clone(p.ledger.owed)}, tables: p.tables, scan: p.scan,
	}
	for _, s := range p.seats {
		seat := *s
		c.seats = append(c.seats, &seat)
	}
	return c
}
