package balancer

import (
	"slices"
	"time"

	"weir/config"
)

// lastLeases is how long, at most, a flow takes from the snapshot that it has looked at to its lease. So
// long after it left, a backend without leases will have none any more.
const lastLeases = 5 * time.Second

// leave notes that a backend began to drain, or was removed. The pool's mutex must be held.
func (b *Backend) leave(now time.Time) {
	if b.status.Load().leaving.IsZero() {
		b.update(func(st *status) { st.leaving = now })
	}
}

// remain notes that it does neither.
func (b *Backend) remain() {
	if st := b.status.Load(); !st.leaving.IsZero() || st.drained {
		b.update(func(st *status) { st.leaving, st.drained = time.Time{}, false })
	}
}

// Close is the end of a pool: from now on its backends count as removed, which Drained heeds. Flows that
// are with the pool already can still acquire.
func (p *Pool) Close(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed.IsZero() {
		p.closed = now
	}
}

// Ended reports whether a closed pool has no leases, and nobody who could want one.
func (p *Pool) Ended(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed.IsZero() || now.Sub(p.closed) < lastLeases || p.Queued() != 0 {
		return false
	}
	var leases int64
	for _, s := range p.seats {
		leases += s.backend.Active()
	}
	for _, b := range p.removed {
		leases += b.Active()
	}
	return leases == 0
}

// Drained lists the backends whose leases are to be ended: they have been draining, or were removed,
// for as long as the drain_timeout of the pool, and have leases left. From then on those that drain have
// no sessions any more: AcquireBackend refuses. A draining backend that takes new flows, because the pool
// has no other, is not among them. It is called about once a second.
func (p *Pool) Drained(now time.Time) []*Backend {
	p.mu.Lock()
	defer p.mu.Unlock()
	timeout := p.config.DrainTimeout
	over := func(since time.Time) bool { return !since.IsZero() && timeout > 0 && now.Sub(since) >= timeout }
	var list []*Backend
	refused := false
	for i, m := range p.snapshot.Load().members {
		b := m.Backend
		st := b.status.Load()
		drained := over(st.leaving) && !m.Eligible && p.seats[i].state() == config.Drain
		if drained != st.drained {
			b.update(func(st *status) { st.drained = drained })
			refused = refused || drained
		}
		if (drained || over(p.closed)) && b.Active() > 0 {
			list = append(list, b)
		}
	}
	p.forgetRemoved(now)
	for _, b := range p.removed {
		if over(b.status.Load().leaving) && b.Active() > 0 {
			list = append(list, b)
		}
	}
	if refused && p.queue.waiting.Load() != 0 {
		p.queue.wakeAll()
	}
	return list
}

// forgetRemoved lets go of removed backends that have no leases and will get none. The pool's mutex must be
// held.
func (p *Pool) forgetRemoved(now time.Time) {
	p.removed = slices.DeleteFunc(p.removed, func(b *Backend) bool {
		return b.Active() == 0 && now.Sub(b.status.Load().leaving) >= lastLeases
	})
}
