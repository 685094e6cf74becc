package balancer

import (
	"errors"

	"weir/config"
)

// Why Acquire gave no lease. The three are distinct answers to the client, so the data plane
// branches on them with errors.Is.
var (
	// ErrNoBackendUp: nothing is eligible, or everything eligible has been tried.
	ErrNoBackendUp = errors.New("no backend is up")
	// ErrNoCapacity: backends are up, but all of them have weight 0 and take no new flows.
	ErrNoCapacity = errors.New("every backend that is up has weight 0")
	// ErrChecking: no backend has had its first verdict. Wait on Snapshot.Replaced and try again.
	ErrChecking = errors.New("every backend is still being checked")
	// ErrFull: every backend that could serve has as many leases as it may have. Await one.
	ErrFull = errors.New("every backend that is up has its maximum of connections")
)

// Lease is a counted pick: it is part of its backend's load until it is released.
type Lease struct{ backend *Backend }

// Backend is the backend that was picked; nil for the zero Lease.
func (l Lease) Backend() *Backend { return l.backend }

// Release ends the lease. It must be called exactly once for every lease that Acquire gave.
func (l Lease) Release() {
	l.backend.released.Add(1)
	if q := l.backend.queue; q.waiting.Load() != 0 {
		q.wake()
	}
}

// Acquire picks a backend for f and counts a lease on it. Backends in tried, which may be nil, are
// never picked. The error is ErrNoBackendUp, ErrNoCapacity, ErrChecking or ErrFull, which it is too
// while others wait in the queue for any of them. Acquire takes no lock, allocates nothing and reads no
// clock; any number of goroutines may call it.
func (p *Pool) Acquire(f Flow, tried *Tried) (Lease, error) {
	s := p.snapshot.Load()
	if s.bounded && p.queue.open.Load() != 0 {
		return Lease{}, ErrFull
	}
	return s.acquire(f, tried)
}

// AcquireQueued is Acquire for the owner of a Place.
func (p *Pool) AcquireQueued(f Flow, tried *Tried) (Lease, error) {
	return p.snapshot.Load().acquire(f, tried)
}

// Queue takes a place among those who wait for a lease, unless most have one. Whoever has a place
// tries AcquireQueued each time before waiting: a lease may have become free meanwhile. Await does all
// that.
func (p *Pool) Queue(most int) (*Place, bool) { return p.queue.enter(most, false) }

// Queued is the length of the queue.
func (p *Pool) Queued() int64 { return p.queue.waiting.Load() }

func (s *Snapshot) acquire(f Flow, tried *Tried) (Lease, error) {
	if s.picker == nil {
		return Lease{}, s.refusal
	}
	if tried != nil && tried.overflow {
		return Lease{}, ErrNoBackendUp
	}
	var hash uint64
	if s.keyed {
		hash = f.hash(s.tuple, s.seed)
	}
	if s.bounded {
		return s.acquireBounded(hash, tried)
	}
	b := s.pick(hash, tried)
	if b == nil {
		return Lease{}, ErrNoBackendUp
	}
	return Lease{b}, nil
}

// acquireBounded is acquire where backends may be full.
func (s *Snapshot) acquireBounded(hash uint64, tried *Tried) (Lease, error) {
	for {
		b, taken := s.pickFree(hash, tried)
		if b == nil {
			break
		}
		if taken || b.reserve() {
			return Lease{b}, nil
		}
	}
	for _, m := range s.members {
		if m.Eligible && !tried.Has(m.Backend) {
			return Lease{}, ErrFull
		}
	}
	return Lease{}, ErrNoBackendUp
}

// AcquireBackend counts a lease on b for a session that belongs to it, past weight, tier and slow
// start: a backend keeps its sessions until it is down, ejected, in maintenance, removed, or has drained for
// as long as it may. It refuses then, unless the pool has failed open and b is not in maintenance, and if b
// is in tried, which may be nil; the error is ErrNoBackendUp then, ErrChecking if b has had no verdict
// yet, and ErrFull if it has its maximum of leases. b must be, or have been, of this pool. As Acquire it
// takes no lock.
func (p *Pool) AcquireBackend(b *Backend, tried *Tried) (Lease, error) {
	if tried != nil && tried.Has(b) {
		return Lease{}, ErrNoBackendUp
	}
	if err := p.keeps(b); err != nil {
		return Lease{}, err
	}
	if !b.reserve() {
		return Lease{}, ErrFull
	}
	return Lease{b}, nil
}

// keeps says why the sessions of b cannot go on, nil if they can.
func (p *Pool) keeps(b *Backend) error {
	st := b.status.Load()
	if st.removed || st.drained || st.state == config.Maintenance {
		return ErrNoBackendUp
	}
	if (st.health != Up || st.ejection != nil) && p.snapshot.Load().tier != TierFailOpen {
		if st.health == Checking {
			return ErrChecking
		}
		return ErrNoBackendUp
	}
	return nil
}

// pick names the pickers: a call through the interface would move every caller's Tried to the heap.
func (s *Snapshot) pick(hash uint64, avoid *Tried) *Backend {
	switch p := s.picker.(type) {
	case *rotation:
		return p.Pick(hash, avoid)
	case *leastConnections:
		return p.Pick(hash, avoid)
	case *hashing:
		return p.Pick(hash, avoid)
	default:
		panic("balancer: a picker that pick does not name")
	}
}

// pickFree is pick among those that are not full. taken says that the lease is counted already.
func (s *Snapshot) pickFree(hash uint64, avoid *Tried) (b *Backend, taken bool) {
	switch p := s.picker.(type) {
	case *rotation:
		return p.free(avoid), false
	case *leastConnections:
		return p.PickFree(avoid), true
	case *hashing:
		return p.free(hash, avoid), false
	default:
		panic("balancer: a picker that pickFree does not name")
	}
}

// Picker chooses among the eligible backends of one snapshot.
type Picker interface {
	// Pick chooses a backend that is not in avoid, counts a lease on it and returns it; nil if all
	// are in avoid. Only pickers that hash look at hash.
	Pick(hash uint64, avoid *Tried) *Backend
}
