package balancer

import "math"

// rehashes is how often a key that meets tried backends is hashed again before all are searched.
const rehashes = 8

// hashing sends equal keys to equal backends by a table over all eligible backends, and during slow
// starts by a second one without those that ramp.
type hashing struct {
	full, warm binding // warm has no table if nobody or everybody ramps
	// accept[i] is how much of the keys of full.backends[i] it takes: those whose draw is below.
	accept []uint64
}

// binding is a table with the backends that the names stand for at present.
type binding struct {
	table    *maglev
	backends []*Backend // by the table's numbers
}

func (b binding) lookup(hash uint64) *Backend { return b.backends[b.table.lookup(hash)] }

func newHashing(s *Snapshot, cache *tableCache) *hashing {
	h := &hashing{}
	full := s.eligible()
	var warm []Member
	for _, m := range full {
		if m.Ramp == 1 {
			warm = append(warm, m)
		}
	}
	h.full = bind(full, s.weighted, cache)
	if len(warm) == 0 || len(warm) == len(full) {
		return h
	}
	h.warm = bind(warm, s.weighted, cache)
	ratio := make(map[*Backend]float64, len(full))
	for _, m := range full {
		ratio[m.Backend] = m.Ramp
	}
	for _, b := range h.full.backends {
		h.accept = append(h.accept, threshold(ratio[b]))
	}
	return h
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

// threshold is ratio as a part of the range of a uint64.
func threshold(ratio float64) uint64 {
	if ratio >= 1 {
		return math.MaxUint64
	}
	return uint64(ratio * (1 << 63) * 2)
}

// Pick gives the flow to the backend that owns its key. If that is in avoid the key is hashed again
// and again, which spreads the keys of a dead backend over the others; then the first backend in the
// order of the names, from a place that depends on the key, has it.
func (h *hashing) Pick(hash uint64, avoid *Tried) *Backend {
	b := h.owner(hash)
	if avoid != nil && avoid.Has(b) {
		if b = h.other(hash, avoid); b == nil {
			return nil
		}
	}
	b.take()
	return b
}

// owner is the backend of a key. A backend that ramps owns those of its keys whose draw, which never
// changes, is below its ratio; the others stay with their owner among the warm ones. The ratio only
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
		if b := h.owner(again); !avoid.Has(b) {
			return b
		}
	}
	n := len(h.full.backends)
	first := int(again % uint64(n))
	for i := range n {
		if b := h.full.backends[(first+i)%n]; !avoid.Has(b) {
			return b
		}
	}
	return nil
}

var _ Picker = (*hashing)(nil)
