package balancer

import (
	"math"
	"slices"
	"sync/atomic"
)

// leastConnections picks the least (active+1)/weight. Of several it takes the first behind the last
// pick, so ties rotate.
type leastConnections struct {
	backends []*Backend
	weights  []int64
	warm     []bool    // takes part in every pick
	turns    *rotation // whose turn it is to take part, of all backends; nil: all are warm
	lightest int64     // the least and
	heaviest int64     // the greatest of weights

	_      [64]byte // every pick writes the cursor
	cursor atomic.Uint64
	_      [56]byte
}

// newLeastConnections chooses among members, of which there is at least one, and continues where
// prev, which may be nil, is. turns is nil unless some of the members ramp.
func newLeastConnections(members []Member, turns *rotation, prev *leastConnections) *leastConnections {
	l := &leastConnections{turns: turns}
	for _, m := range members {
		l.backends = append(l.backends, m.Backend)
		l.weights = append(l.weights, int64(m.Weight))
		l.warm = append(l.warm, m.Ramp == 1)
	}
	l.lightest, l.heaviest = slices.Min(l.weights), slices.Max(l.weights)
	if prev != nil {
		l.cursor.Store(prev.resume(l.backends))
	}
	return l
}

// resume is the place among backends of the first one that has its place in l at or behind the
// cursor.
func (l *leastConnections) resume(backends []*Backend) uint64 {
	place := make(map[*Backend]uint64, len(backends))
	for i, b := range backends {
		place[b] = uint64(i)
	}
	for i := range l.backends {
		at := (int(l.cursor.Load()) + i) % len(l.backends)
		if p, ok := place[l.backends[at]]; ok {
			return p
		}
	}
	return 0
}

// Pick takes its place by compare-and-swap on the count of leases that it saw, so two picks never
// both go by the same state of a backend.
func (l *leastConnections) Pick(_ uint64, avoid *Tried) *Backend {
	return l.take(avoid, false)
}

// PickFree is Pick among those that are not full.
func (l *leastConnections) PickFree(avoid *Tried) *Backend { return l.take(avoid, true) }

func (l *leastConnections) take(avoid *Tried, bounded bool) *Backend {
	guest := l.guest(avoid)
	for {
		best := l.least(guest, avoid, bounded)
		if best.index < 0 {
			return nil
		}
		b := l.backends[best.index]
		if b.acquired.CompareAndSwap(best.acquired, best.acquired+1) {
			l.cursor.Store(l.behind(best.index))
			return b
		}
	}
}

// guest is the ramping backend that may take part in this pick because it is its turn; -1: none.
func (l *leastConnections) guest(avoid *Tried) int {
	if l.turns == nil {
		return -1
	}
	return l.guestAt(l.turns.turn(), avoid)
}

// guestAt is the one that a slot of the turns lets take part.
func (l *leastConnections) guestAt(slot int, avoid *Tried) int {
	i := int(l.turns.cycle[slot])
	if l.warm[i] || avoid.Has(l.backends[i]) {
		return -1
	}
	return i
}

// behind is the place after i.
func (l *leastConnections) behind(i int) uint64 {
	if i++; i < len(l.backends) {
		return uint64(i)
	}
	return 0
}

// candidate is a backend with the load that it was seen to have.
type candidate struct {
	index    int    // -1: none
	load     int64  // leases with the one to come
	acquired uint64 // the counter that load was computed from
}

func (l *leastConnections) look(i int) candidate {
	active, acquired := l.backends[i].active()
	return candidate{i, active + 1, acquired}
}

// less reports whether a has less load for its weight than b.
func (l *leastConnections) less(a, b candidate) bool {
	return a.load*l.weights[b.index] < b.load*l.weights[a.index]
}

// least is the best candidate of a pick. A guest wins ties: otherwise it would fall short of its
// share in an idle pool.
func (l *leastConnections) least(guest int, avoid *Tried, bounded bool) candidate {
	if l.turns == nil {
		if avoid.Len() == 0 && !bounded {
			return l.scan()
		}
		return l.scanWithout(avoid, false)
	}
	best := l.scanWithout(avoid, true)
	if guest >= 0 && !l.backends[guest].full() {
		if c := l.look(guest); best.index < 0 || !l.less(best, c) {
			return c
		}
	}
	if best.index < 0 { // only ramping ones are left: better out of turn than not at all
		return l.scanWithout(avoid, false)
	}
	return best
}

// scan looks at all backends from the cursor on. It ends early at an idle one of the greatest
// weight: nothing can be better.
func (l *leastConnections) scan() candidate {
	if l.lightest == l.heaviest {
		return l.scanEqual()
	}
	best := candidate{index: -1}
	i := int(l.cursor.Load())
	for range l.backends {
		if c := l.look(i); best.index < 0 || l.less(c, best) {
			if best = c; c.load == 1 && l.weights[i] == l.heaviest {
				break
			}
		}
		if i++; i == len(l.backends) {
			i = 0
		}
	}
	return best
}

// scanEqual is scan for equal weights. Without the weights and the wrap-around it costs a sixth
// less: BenchmarkPick/least_connections/64 went from 113 to 97 ns.
func (l *leastConnections) scanEqual() candidate {
	first := int(l.cursor.Load())
	best := leastLoad(l.backends[first:], first, candidate{index: -1, load: math.MaxInt64})
	if best.load == 1 {
		return best
	}
	return leastLoad(l.backends[:first], 0, best)
}

// leastLoad is the first of backends with less load than best, or that. It ends early at an idle one.
// offset is the place of the first.
func leastLoad(backends []*Backend, offset int, best candidate) candidate {
	for i, b := range backends {
		active, acquired := b.active()
		if active+1 < best.load {
			best = candidate{offset + i, active + 1, acquired}
			if active == 0 {
				break
			}
		}
	}
	return best
}

// scanWithout is scan over those that are neither in avoid nor full and, if warm is set, do not ramp.
func (l *leastConnections) scanWithout(avoid *Tried, warm bool) candidate {
	best := candidate{index: -1}
	i := int(l.cursor.Load())
	for range l.backends {
		if (l.warm[i] || !warm) && !l.backends[i].blocked(avoid) {
			if c := l.look(i); best.index < 0 || l.less(c, best) {
				best = c
			}
		}
		if i++; i == len(l.backends) {
			i = 0
		}
	}
	return best
}

var _ Picker = (*leastConnections)(nil)
