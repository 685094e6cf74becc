package balancer

import (
	"fmt"
	"math"
	"math/bits"
)

// rotation explains a pick of weighted round robin.
func (e *Explanation) rotation(r *rotation) {
	e.Turn = r.explain()
	slot := e.Turn.Place
	turn := r.backends[r.cycle[slot]]
	e.Pick = turn
	if e.Snapshot.bounded {
		e.Pick = r.freeFrom(slot, nil)
	}
	switch {
	case e.Pick == turn:
		e.Why = fmt.Sprintf("its turn is next, slot %d of the cycle of %d", slot, len(r.cycle))
	case e.Pick != nil:
		e.Why = fmt.Sprintf("the turn is %s's, which has its maximum of %d; this one is the next that has room", turn.name, turn.Limit())
	}
}

// explain says whose turn it is, without taking it.
func (r *rotation) explain() *Turn {
	t := &Turn{Place: int(r.cursor.Load() % uint64(len(r.cycle))), Length: len(r.cycle)}
	for i := range min(nextTurns, len(r.cycle)) {
		t.Next = append(t.Next, r.backends[r.cycle[(t.Place+i)%len(r.cycle)]])
	}
	return t
}

// shares is how much of a cycle each backend has.
func (r *rotation) shares() map[*Backend]float64 {
	shares := make(map[*Backend]float64, len(r.backends))
	for i, b := range r.backends {
		shares[b] = float64(r.slots[i]) / float64(len(r.cycle))
	}
	return shares
}

// leastConnections explains a pick of the least (active+1)/weight.
func (e *Explanation) leastConnections(l *leastConnections) {
	guest := -1
	if l.turns != nil {
		e.Turn = l.turns.explain()
		guest = l.guestAt(e.Turn.Place, nil)
	}
	best := l.least(guest, nil, e.Snapshot.bounded)
	if best.index < 0 {
		return
	}
	e.Pick = l.backends[best.index]
	load := fmt.Sprintf("(%d+1)/%d", best.load-1, l.weights[best.index])
	switch {
	case best.index == guest:
		e.Why = fmt.Sprintf("in its slow start, but this pick is its turn, and %s is not beaten", load)
	case l.turns != nil:
		e.Why = fmt.Sprintf("the least (active+1)/weight, %s, of those that are not in their slow start", load)
	case l.equals(best) > 1:
		e.Why = fmt.Sprintf("the least (active+1)/weight, %s; of %d that are equal its turn is next", load, l.equals(best))
	default:
		e.Why = fmt.Sprintf("the least (active+1)/weight, %s", load)
	}
}

// equals counts the backends with no more load for their weight than best.
func (l *leastConnections) equals(best candidate) (n int) {
	for i := range l.backends {
		if c := l.look(i); !l.less(best, c) {
			n++
		}
	}
	return n
}

// hashing explains a pick by a key.
func (e *Explanation) hashing(h *hashing) {
	hash := e.Key.Hash
	e.Entry = h.explain(hash)
	owner := h.owner(hash)
	e.Pick = owner
	if e.Snapshot.bounded {
		e.Pick = h.free(hash, nil)
	}
	switch ramp := e.Entry.Ramp; {
	case e.Pick == nil:
	case e.Pick != owner:
		e.Why = fmt.Sprintf("the key is %s's, which has its maximum of %d; hashed again, the key leads here", owner.name, owner.Limit())
	case ramp == nil:
		e.Why = fmt.Sprintf("owns the key: entry %d of %d", e.Entry.Number, e.Entry.Size)
	case ramp.Taken:
		e.Why = fmt.Sprintf("owns the key, and has it already in its slow start: draw %.3f is below %.3f", ramp.Draw, ramp.Accepted)
	default:
		e.Why = fmt.Sprintf("%s owns the key, but is in its slow start: draw %.3f is not below %.3f yet; of the others this one has it",
			e.Entry.Owner.name, ramp.Draw, ramp.Accepted)
	}
}

// explain says where a key leads.
func (h *hashing) explain(hash uint64) *Entry {
	i := h.full.table.lookup(hash)
	entry := &Entry{Size: len(h.full.table.entries), Number: h.full.table.entry(hash), Owner: h.full.backends[i]}
	if h.accept == nil || h.accept[i] == math.MaxUint64 {
		return entry
	}
	draw := avalanche(hash ^ entry.Owner.id)
	entry.Ramp = &RampDecision{
		Draw: float64(draw) / math.MaxUint64, Accepted: float64(h.accept[i]) / math.MaxUint64, Taken: draw < h.accept[i],
		Number: h.warm.table.entry(hash), Owner: h.warm.lookup(hash),
	}
	return entry
}

// keys goes through one key for each entry of the table: the one in the middle of those that it has.
func (h *hashing) keys(yield func(hash uint64) bool) {
	size := uint64(len(h.full.table.entries))
	for i := range size {
		key, _ := bits.Div64(i, 1<<63, size)
		if !yield(key) {
			return
		}
	}
}

// shares is how many of all keys each backend has: of those of a backend that ramps, the part that it has
// taken, while the rest is shared out as the other table says.
func (h *hashing) shares() map[*Backend]float64 {
	full, warm := h.full, h.warm
	counts, others := make([]float64, len(full.backends)), make([]float64, len(warm.backends))
	for hash := range h.keys {
		i := full.table.lookup(hash)
		if h.accept == nil || h.accept[i] == math.MaxUint64 {
			counts[i]++
			continue
		}
		accepted := float64(h.accept[i]) / math.MaxUint64
		counts[i] += accepted
		others[warm.table.lookup(hash)] += 1 - accepted
	}
	shares, keys := make(map[*Backend]float64, len(full.backends)), float64(len(full.table.entries))
	for i, b := range full.backends {
		shares[b] += counts[i] / keys
	}
	for i, b := range warm.backends {
		shares[b] += others[i] / keys
	}
	return shares
}

// moved is the share of all keys that have another owner in h than they have in other.
func (h *hashing) moved(other *hashing) float64 {
	n := 0
	for hash := range h.keys {
		if h.owner(hash) != other.owner(hash) {
			n++
		}
	}
	return float64(n) / float64(len(h.full.table.entries))
}
