package balancer

import "math"

// rehashes is how often a key that meets tried backends is hashed again before all are searched.
const rehashes = 8

// hashing sends equal keys to equal backends by a table over all eligible backends, and during slow
// starts by a second one without those that ramp.
type hashing struct {
	full, warm binding // warm has no table if nobody or everybody ramps
	// accept[i] is which of its keys full.backends[i] takes: those whose draw is below.
	accept []uint64
}

// binding is a table with the backends that the names stand for at present.
type binding struct {
	table    *maglev
	backends []*Backend // by the table's numbers
}

func (b binding) lookup(hash uint64) *Backend { return b.backends[b.table.lookup(hash)] }

// newHashing makes the picker of s. The pool's mutex must be held.
func (p *Pool) newHashing(s *Snapshot) *hashing {
	full := s.eligible()
	h := &hashing{full: bind(full, s.weighted, &p.tables)}
	if !s.ramping() {
		return h
	}
	var warm []Member
	for _, m := range full {
		if m.Ramp == 1 {
			warm = append(warm, m)
		}
	}
	h.warm = bind(warm, s.weighted, &p.tables)
	accepted := p.acceptance(full, s.weighted)
	for _, b := range h.full.backends {
		h.accept = append(h.accept, threshold(accepted[b]))
	}
	return h
}

// acceptance is how much of its keys each of members takes. Of all keys a backend owns the part
// w/Σw; for its share to be w·r/Σ(w·r) it has to take r·Σw/Σ(w·r) of them, 1 once it is warm. It
// never takes less than before, so that no key goes back, not even when others that ramp catch up.
func (p *Pool) acceptance(members []Member, weighted bool) map[*Backend]float64 {
	weight := func(m Member) float64 {
		if weighted {
			return float64(m.Weight)
		}
		return 1
	}
	var nominal, effective float64
	accepted := make(map[*Backend]float64, len(members))
	for _, m := range members {
		nominal += weight(m)
		effective += weight(m) * m.Ramp
		accepted[m.Backend] = 1
	}
	for _, s := range p.seats {
		if _, member := accepted[s.backend]; member && s.slow.ramping {
			s.slow.accepted = max(s.slow.accepted, min(1, s.slow.ratio*nominal/effective))
			accepted[s.backend] = s.slow.accepted
		}
	}
	return accepted
}

// bind gets the table of members.
func bind(members []Member, weighted bool, cache *tableCache) binding {
	claims := make([]claim, len(members))
	byName := make(map[string]*Backend, len(members))
	for i, m := range members {
		claims[i] = claim{m.Backend.name, 1}
		if weighted {
			claims[i].weight = m.Weight
		}
		byName[m.Backend.name] = m.Backend
	}
	b := binding{table: cache.table(claims), backends: make([]*Backend, len(members))}
	for i, name := range b.table.names {
		b.backends[i] = byName[name]
	}
	return b
}

// threshold is part, from 0 to 1, of the range of a uint64.
func threshold(part float64) uint64 {
	if part >= 1 {
		return math.MaxUint64
	}
	return uint64(part * (1 << 63) * 2)
}

// Pick gives the flow to the backend that owns its key. If that is in avoid the key is hashed again
// and again, which spreads the keys of a dead backend over the others; then the first backend in the
// order of the names, from a place that depends on the key, has it.
func (h *hashing) Pick(hash uint64, avoid *Tried) *Backend {
	b := h.choose(hash, avoid)
	if b != nil {
		b.take()
	}
	return b
}

func (h *hashing) choose(hash uint64, avoid *Tried) *Backend {
	b := h.owner(hash)
	if avoid != nil && avoid.Has(b) {
		return h.other(hash, avoid)
	}
	return b
}

// free is the backend that owns the key, or the next one as for a backend that was tried, of those
// that are not full; nil if there is none.
func (h *hashing) free(hash uint64, avoid *Tried) *Backend {
	if b := h.owner(hash); !b.blocked(avoid) {
		return b
	}
	return h.other(hash, avoid)
}

// owner is the backend of a key. A backend that ramps owns those of its keys whose draw, which never
// changes, is low enough; the others stay with their owner among the warm ones. What it takes only
// grows, so a key moves to the ramping backend once and for good.
func (h *hashing) owner(hash uint64) *Backend {
	i := h.full.table.lookup(hash)
	b := h.full.backends[i]
	if h.accept == nil || h.accept[i] == math.MaxUint64 || avalanche(hash^b.id) < h.accept[i] {
		return b
	}
	return h.warm.lookup(hash)
}

func (h *hashing) other(hash uint64, avoid *Tried) *Backend {
	again := hash
	for range rehashes {
		again = avalanche(again + prime1)
		if b := h.owner(again); !b.blocked(avoid) {
			return b
		}
	}
	n := len(h.full.backends)
	first := int(again % uint64(n))
	for i := range n {
		if b := h.full.backends[(first+i)%n]; !b.blocked(avoid) {
			return b
		}
	}
	return nil
}

var _ Picker = (*hashing)(nil)
