package datagram

import (
	"sync"
	"time"

	"weir/balancer"
	"weir/config"
	"weir/proxy/wire"
)

// Sweep ends the sessions of backends that have been on their way out for long enough, and forgets
// expired persistence. It is called about once a second, by one goroutine.
func (p *Pool) Sweep(now int64) {
	p.settings.Load().sticky.Sweep(wire.Now)
	for _, b := range p.Balancer.Drained(wire.Time(now)) {
		b.Peer().(*peer).cut(endDrained)
	}
}

// mayStay reports whether a session goes on with its backend.
func (s *session) mayStay(now int64) bool {
	b := s.lease.Backend()
	removed := b.Removed() || s.pool.closed.Load()
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
