package balancer

import (
	"net/netip"
	"sync/atomic"
	"time"

	"weir/config"
)

// Peer is the data plane's side of a backend: its idle connections, its counters.
type Peer interface {
	// Retire is called once, after the backend left its pool: the snapshot without it is already
	// published. Leases may still be held.
	Retire()
}

// Health is the last verdict about a backend.
type Health uint8

// The healths.
const (
	Checking Health = iota // no verdict has been given
	Up
	Down
)

// String is checking, up or down.
func (h Health) String() string {
	switch h {
	case Up:
		return "up"
	case Down:
		return "down"
	default:
		return "checking"
	}
}

// status is everything about a backend that changes and is read outside the pool's mutex. It is
// replaced as a whole, so a reader never sees the health of one moment with the time of another.
type status struct {
	health  Health
	since   time.Time // of health
	state   config.State
	removed bool
	leaving time.Time // since when it drains or is removed; the zero time: it is neither
	drained bool      // it has drained for as long as it may: no sessions any more

	ejection *Ejection // nil: it is not ejected
}

// Backend is one server of a pool, the same object from snapshot to snapshot. A changed address or
// host makes a new Backend. All its methods may be called concurrently.
type Backend struct {
	name    string
	address netip.AddrPort
	host    string // of which address is one; empty: of none
	id      uint64 // hash of the name, for keys that must not depend on the position in the file
	peer    Peer
	status  atomic.Pointer[status]
	limit   atomic.Int64 // of leases at the same time; 0: none
	queue   *queue       // of the pool

	// The counters are written by every flow, so they keep away from the fields above, which every
	// flow reads, and from the next object on the heap.
	_ [64]byte
	load
	_ [64]byte
}

// load counts the leases of a backend. Two counters that only grow give both figures, the leases
// held and their total, for one atomic addition on either side.
type load struct {
	acquired atomic.Uint64
	released atomic.Uint64
	faults   atomic.Int64 // of live traffic, in a row
}

// active is the number of leases held. released is read first: it never passes acquired, so the
// difference is never negative.
func (l *load) active() (active int64, acquired uint64) {
	released := l.released.Load()
	acquired = l.acquired.Load()
	return int64(acquired - released), acquired
}

// take counts one lease more.
func (l *load) take() { l.acquired.Add(1) }

// full reports whether the backend has as many leases as it may have.
func (b *Backend) full() bool {
	limit := b.limit.Load()
	if limit == 0 {
		return false
	}
	active, _ := b.active()
	return active >= limit
}

// reserve takes a lease unless the backend is full. The count of leases given is the ticket: while it
// is the one that was looked at, nobody else has taken one, and those released since only make room.
func (b *Backend) reserve() bool {
	for {
		active, acquired := b.active()
		if limit := b.limit.Load(); limit != 0 && active >= limit {
			return false
		}
		if b.acquired.CompareAndSwap(acquired, acquired+1) {
			return true
		}
	}
}

// blocked reports whether a flow cannot go to b.
func (b *Backend) blocked(avoid *Tried) bool { return avoid.Has(b) || b.full() }

// Limit is how many leases it may have at the same time; 0: any number.
func (b *Backend) Limit() int64 { return b.limit.Load() }

// Name is the name of the backend in its pool.
func (b *Backend) Name() string { return b.name }

// Address is where it listens.
func (b *Backend) Address() netip.AddrPort { return b.address }

// Host is the name of which Address is one of the addresses; empty: the address itself was configured.
func (b *Backend) Host() string { return b.host }

// Peer is what Options.Attach returned for it, or nil.
func (b *Backend) Peer() Peer { return b.peer }

// Active is the number of leases held.
func (b *Backend) Active() int64 {
	n, _ := b.active()
	return n
}

// Picks is the number of leases ever given.
func (b *Backend) Picks() uint64 { return b.acquired.Load() }

// Health is the last verdict.
func (b *Backend) Health() Health { return b.status.Load().health }

// Since is the time of the change to the present health.
func (b *Backend) Since() time.Time { return b.status.Load().since }

// State is what the operator wants of it: the file's state or an override.
func (b *Backend) State() config.State { return b.status.Load().state }

// Removed reports whether it has left its pool.
func (b *Backend) Removed() bool { return b.status.Load().removed }

// update replaces the status. The pool's mutex must be held.
func (b *Backend) update(change func(*status)) {
	s := *b.status.Load()
	change(&s)
	b.status.Store(&s)
}
