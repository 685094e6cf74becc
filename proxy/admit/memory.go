package admit

import "sync/atomic"

// Memory is the budget of memory of the process. New work is refused from 95 % of it on, until there is
// less than 92 %: the collector keeps what it can below 90 %, so that only what is really in use gets there.
//
// All methods may be called from any goroutine. A nil *Memory sets no limit.
type Memory struct {
	budget   atomic.Uint64 // bytes; 0: no limit
	used     atomic.Uint64 // when last observed
	refusing atomic.Bool
}

// SetBudget makes the budget so many bytes; 0: there is no limit.
func (m *Memory) SetBudget(bytes uint64) { m.budget.Store(bytes) }

// Limited reports whether there is a budget, so that observing makes sense.
func (m *Memory) Limited() bool { return m != nil && m.budget.Load() != 0 }

// Usage is what was used when last observed, and the budget, 0 for none; in bytes.
func (m *Memory) Usage() (used, budget uint64) {
	if m == nil {
		return 0, 0
	}
	return m.used.Load(), m.budget.Load()
}

// Observe is told how many bytes are in use, and reports whether that changes what Refusing says.
func (m *Memory) Observe(used uint64) (changed bool) {
	m.used.Store(used)
	budget := m.budget.Load()
	share := 92.0
	if !m.refusing.Load() {
		share = 95
	}
	refusing := budget != 0 && float64(used) >= float64(budget)/100*share
	return m.refusing.Swap(refusing) != refusing
}

// Refusing reports whether there is no memory for new work.
func (m *Memory) Refusing() bool { return m != nil && m.refusing.Load() }
