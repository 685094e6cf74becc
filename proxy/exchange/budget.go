package exchange

import (
	"sync"

	"weir/balancer"
)

const (
	budgetWindow = 10e9 // ns
	budgetFloor  = 3    // retries of a window that are allowed however few requests there are
)

// budget bounds retries to a share of the requests, so that a pool in trouble is not buried under
// repetitions. It is looked at only when something failed, and counts the requests then by what the
// backends have been picked for.
type budget struct {
	mu      sync.Mutex
	start   int64  // of the window
	picks   uint64 // at that moment
	retries uint64 // since
}

// allow takes one retry out of the budget, share of the requests of the last seconds.
func (b *budget) allow(p *balancer.Pool, share float64, now int64) bool {
	var picks uint64
	for _, m := range p.Snapshot().Members() {
		picks += m.Backend.Picks()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.start == 0 || now-b.start > budgetWindow || picks < b.picks {
		b.start, b.picks, b.retries = now, picks, 0
	}
	if b.retries >= budgetFloor && float64(b.retries) >= share*float64(picks-b.picks) {
		return false
	}
	b.retries++
	return true
}
