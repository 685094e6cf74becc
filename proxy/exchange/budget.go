package exchange

import (
	"sync"

	"weir/balancer"
)

const (
	budgetSlot  = 1e9 // ns
	budgetSlots = 10  // of a window
	budgetFloor = 3   // retries of a window that are allowed however few requests there are
)

// budget bounds retries to a share of the requests of the last ten seconds, so that a pool in
// trouble is not buried under repetitions. Requests are counted by what the backends have been
// picked for, about once a second (note) and when something failed (allow).
type budget struct {
	mu      sync.Mutex
	slot    int64 // the latest that was counted
	retries uint64
	// ends is picks and retries as they stood at the end of each slot of the window.
	ends [budgetSlots + 1]struct{ picks, retries uint64 }
}

// note counts what was picked so far.
func (b *budget) note(p *balancer.Pool, now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn(picked(p), now)
}

// allow takes one retry out of the budget, share of the requests of the last seconds.
func (b *budget) allow(p *balancer.Pool, share float64, now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	picks := picked(p)
	b.turn(picks, now)
	begin := b.ends[(b.slot+1)%int64(len(b.ends))] // the oldest
	retries := b.retries - begin.retries
	// Picks go down with a backend that is removed.
	requests := picks - min(picks, begin.picks)
	if retries >= budgetFloor && float64(retries) >= share*float64(requests) {
		return false
	}
	b.retries++
	b.ends[b.slot%int64(len(b.ends))].retries = b.retries
	return true
}

// turn makes the slot of now the latest. Slots in which nobody counted end as the one before. mu
// must be held.
func (b *budget) turn(picks uint64, now int64) {
	slot, n := now/budgetSlot, int64(len(b.ends))
	last := b.ends[b.slot%n]
	for i := max(b.slot+1, slot-n+1); i <= slot; i++ {
		b.ends[i%n] = last
	}
	b.slot = max(b.slot, slot)
	b.ends[b.slot%n].picks, b.ends[b.slot%n].retries = picks, b.retries
}

// picked adds up what the backends have been picked for.
func picked(p *balancer.Pool) (picks uint64) {
	for _, m := range p.Snapshot().Members() {
		picks += m.Backend.Picks()
	}
	return picks
}
