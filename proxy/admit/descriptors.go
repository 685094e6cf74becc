package admit

import (
	"fmt"
	"math"
	"sync/atomic"
)

// reserved descriptors are kept for the admin listener and for probes, so that a process under
// pressure can still be asked what ails it, and does not take its backends for dead.
const reserved = 64

// Descriptors is the budget of file descriptors of the process. New work is refused when the open
// ones reach 90 % of the limit; 64 more are for the admin listener and probes; the rest is for what
// nobody counts. With a low limit the 64 come out of the 90 %, of which at least half remains.
//
// It counts what Enter and Leave tell it, and Observe corrects it by what is really open. All
// methods may be called from any goroutine. A nil *Descriptors sets no limit.
type Descriptors struct {
	limit   int64
	ceiling int64        // of new work
	counted atomic.Int64 // entered and not left
	others  atomic.Int64 // open besides, when last observed
}

// NewDescriptors makes the budget for a limit of descriptors, which [DescriptorLimit] reads.
func NewDescriptors(limit uint64) *Descriptors {
	l := int64(min(limit, math.MaxInt64/100)) // RLIM_INFINITY is the highest of all
	share := l * 9 / 10
	return &Descriptors{limit: l, ceiling: max(min(share, l-reserved), share/2)}
}

// Enter takes n descriptors for new work, all or none. If it returns true, Leave must be called for
// the n, at once or in parts.
func (d *Descriptors) Enter(n int) bool {
	return d == nil || d.enter(n, d.ceiling)
}

// EnterReserved takes n descriptors for an admin connection or a probe: as Enter, but with the
// reserved ones too.
func (d *Descriptors) EnterReserved(n int) bool {
	return d == nil || d.enter(n, min(d.ceiling+reserved, d.limit))
}

func (d *Descriptors) enter(n int, ceiling int64) bool {
	for {
		counted := d.counted.Load()
		if counted+d.others.Load()+int64(n) > ceiling {
			return false
		}
		if d.counted.CompareAndSwap(counted, counted+int64(n)) {
			return true
		}
	}
}

// Leave gives n descriptors back. It panics if fewer have been taken.
func (d *Descriptors) Leave(n int) {
	if d == nil {
		return
	}
	if left := d.counted.Add(-int64(n)); left < 0 {
		panic(fmt.Sprintf("admit: %d descriptors leave, %d more than have entered", n, -left))
	}
}

// Observe is told how many descriptors the process has open, counted as in /proc/self/fd. What that
// is above those that have entered (listeners, logs, epoll sets, leaks) is in use until the next
// call; what enters and leaves while they are being counted makes it that much wrong until then. If
// it is below, some that have entered are not open yet: they are promised, so they stay counted.
func (d *Descriptors) Observe(open int) {
	if d != nil {
		d.others.Store(max(int64(open)-d.counted.Load(), 0))
	}
}

// Used is how many descriptors have entered, and how many more were open when last observed.
func (d *Descriptors) Used() int {
	if d == nil {
		return 0
	}
	return int(d.counted.Load() + d.others.Load())
}
