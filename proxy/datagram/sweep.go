package datagram

import (
	"sync"
	"time"

	"weir/balancer"
	"weir/config"
)

// Sweep ends the sessions that may not go on, and forgets those of expired persistence. It is called
// about once a second, by one goroutine. left is false when nothing of the pool is left that Sweep has
// to look after, once it is closed.
func (p *Pool) Sweep(now int64) (left bool) {
	s := p.settings.Load()
	s.sticky.sweep(now)
	for _, m := range p.Balancer.Snapshot().Members() {
		if b := m.Backend.Peer().(*peer); !m.Backend.Removed() {
			b.drained(b.since(m.State == config.Drain, now), s, now)
		}
	}
	for _, b := range p.gone() {
		b.drained(b.since(true, now), s, now)
		left = true
	}
	return left
}

// drained cuts what is left on a backend that has been on its way out for long enough.
func (p *peer) drained(since int64, s *settings, now int64) {
	if since != 0 && s.drain > 0 && now-since >= int64(s.drain) {
		p.cut(endDrained)
	}
}

// gone lists the peers of removed backends that still have sessions, and forgets the others.
func (p *Pool) gone() (list []*peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for b := range p.retired {
		// One that is being opened has a lease and joins later.
		if b.count() == 0 && b.backend.Active() == 0 {
			delete(p.retired, b)
			p.engine.ports.leave(b.ports)
			continue
		}
		list = append(list, b)
	}
	return list
}

// mayStay reports whether a session goes on with its backend.
func (s *session) mayStay(now int64) bool {
	b := s.lease.Backend()
	removed := b.Removed()
	if !removed && b.Health() != balancer.Down && !s.fails.Load() {
		return true
	}
	set := s.pool.settings.Load()
	if !set.rebalance.Move {
		return true
	}
	// Where the pool has failed open, nobody knows better.
	if !removed && !s.fails.Load() && s.pool.Balancer.Snapshot().Tier() == balancer.TierFailOpen && b.State() != config.Maintenance {
		return true
	}
	return !s.pool.quota.take(set.rebalance.Rate, now)
}

// quota bounds how many sessions are moved in a second.
type quota struct {
	mu    sync.Mutex
	level float64 // sessions that may be moved
	at    int64   // when it was that many
}

// take takes one session, unless that would be too many. A rate of 0 is no bound.
func (q *quota) take(rate int, now int64) bool {
	if rate <= 0 {
		return true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.at == 0 {
		q.level = 1
	} else if now > q.at {
		q.level += float64(now-q.at) / float64(time.Second) * float64(rate)
	}
	// As many at once as come in 50 ms, so that they move in small groups and not in one a second.
	q.level = min(q.level, max(float64(rate)/20, 1))
	q.at = max(q.at, now)
	if q.level < 1 {
		return false
	}
	q.level--
	return true
}

// give takes a take back.
func (q *quota) give() {
	q.mu.Lock()
	q.level++
	q.mu.Unlock()
}
