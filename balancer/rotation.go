package balancer

import (
	"math/bits"
	"slices"
	"sync/atomic"
)

// rotation is a cycle of turns and the place that it has reached. Only the cursor changes.
type rotation struct {
	backends   []*Backend
	slots      []int // turns of each backend in a cycle
	credit     []int64
	cycle      []uint16
	reciprocal uint64 // 2^64 / len(cycle), rounded up
	divide     uint64 // cursors from here on are divided the slow way
	start      uint64 // where the cursor began

	_      [64]byte // every pick writes the cursor
	cursor atomic.Uint64
	_      [56]byte
}

// newRotation makes the rotation of backends by weights. credit, which may be nil, is what each is
// owed; offset is where a rotation without credit begins.
func newRotation(backends []*Backend, slots []int, credit []int64, offset uint64) *rotation {
	r := &rotation{backends: backends, slots: slots, credit: credit, cycle: schedule(slots, credit)}
	r.reciprocal = ^uint64(0)/uint64(len(r.cycle)) + 1
	r.divide = 1 << 48
	if len(r.cycle) == 1 { // its reciprocal has no room in 64 bits
		r.divide = 0
	}
	if credit == nil {
		r.start = offset % uint64(len(r.cycle))
		r.cursor.Store(r.start)
	}
	return r
}

// turn moves on by one pick and returns the slot of the cycle that it has.
func (r *rotation) turn() int {
	count := r.cursor.Add(1) - 1
	length := uint64(len(r.cycle))
	if count >= r.divide {
		return int(count % length)
	}
	// Below 2^48 this is the quotient, exactly, and cheaper than a division.
	quotient, _ := bits.Mul64(count, r.reciprocal)
	return int(count - quotient*length)
}

// Pick gives the flow to the backend whose turn it is, or whose turn is next of those that are not
// in avoid.
func (r *rotation) Pick(_ uint64, avoid *Tried) *Backend {
	b := r.choose(avoid)
	if b != nil {
		b.take()
	}
	return b
}

func (r *rotation) choose(avoid *Tried) *Backend {
	slot := r.turn()
	b := r.backends[r.cycle[slot]]
	if avoid != nil && avoid.Has(b) {
		return r.after(slot, avoid)
	}
	return b
}

// free is the backend whose turn it is, or is next, of those that are neither in avoid nor full; nil
// if there is none.
func (r *rotation) free(avoid *Tried) *Backend { return r.freeFrom(r.turn(), avoid) }

// freeFrom looks through so much of the cycle, from slot on, as every backend should have a turn in, and
// then at the backends themselves.
func (r *rotation) freeFrom(slot int, avoid *Tried) *Backend {
	for range min(len(r.cycle), 2*len(r.backends)) {
		if b := r.backends[r.cycle[slot]]; !b.blocked(avoid) {
			return b
		}
		if slot++; slot == len(r.cycle) {
			slot = 0
		}
	}
	for _, b := range r.backends {
		if !b.blocked(avoid) {
			return b
		}
	}
	return nil
}

// after is the backend of the first slot behind slot that is not in avoid; nil if all are.
func (r *rotation) after(slot int, avoid *Tried) *Backend {
	if avoid.Len() >= len(r.backends) && !slices.ContainsFunc(r.backends, func(b *Backend) bool { return !avoid.Has(b) }) {
		return nil
	}
	for i := range r.cycle {
		at := slot + 1 + i
		if at >= len(r.cycle) {
			at -= len(r.cycle)
		}
		if b := r.backends[r.cycle[at]]; !avoid.Has(b) {
			return b
		}
	}
	return nil
}

var _ Picker = (*rotation)(nil)
