package stream

import (
	"math"
	"time"

	"weir/balancer"
	"weir/config"
)

// Sweep ends the sessions that may not go on, and forgets those of expired persistence. It is called
// about once a second, by one goroutine, and sooner if it returns more than 0: then after that time.
// left is false when nothing of the pool is left that Sweep has to look after, once it is closed.
func (p *Pool) Sweep(now int64) (next time.Duration, left bool) {
	s := p.settings.Load()
	s.sticky.sweep(now)
	p.quota.refill(s.rebalance.Rate, now)
	snapshot := p.Balancer.Snapshot()
	waiting := 0
	for _, m := range snapshot.Members() {
		b := m.Backend.Peer().(*peer)
		if !m.Backend.Removed() {
			waiting += p.tend(b, m, s, now)
		}
	}
	for _, b := range p.gone() {
		waiting += p.evict(b, s, b.since(true, now), s.rebalance.Move, now)
		left = true
	}
	if waiting > 0 {
		next = p.quota.wait(s.rebalance.Rate)
	}
	return next, left
}

// tend looks at a backend that is in the pool. It returns how many sessions wait to be cut.
func (p *Pool) tend(b *peer, m balancer.Member, s *settings, now int64) int {
	since := b.since(m.State == config.Drain, now)
	lost := m.Health == balancer.Down && !m.Eligible && s.rebalance.Move // not where the pool has failed open
	return p.evict(b, s, since, lost, now)
}

// evict cuts what may not stay on a backend: everything if it is lost, as fast as the rate allows, and
// everything when it has been on its way out for long enough. It returns how many wait.
func (p *Pool) evict(b *peer, s *settings, since int64, lost bool, now int64) (waiting int) {
	if since != 0 && s.drain > 0 && now-since >= int64(s.drain) {
		b.cut(math.MaxInt, cutDrained)
		return 0
	}
	if !lost {
		return 0
	}
	cut := b.cut(p.quota.left(s.rebalance.Rate), cutRebalanced)
	p.quota.take(s.rebalance.Rate, cut)
	p.stats.Rebalanced(cut)
	return b.remaining()
}

// gone lists the peers of removed backends that still have sessions, and forgets the others.
func (p *Pool) gone() []*peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []*peer
	for b := range p.retired {
		// A session that is connecting has a lease and may join later.
		if b.count() == 0 && b.backend.Active() == 0 {
			delete(p.retired, b)
			continue
		}
		list = append(list, b)
	}
	return list
}

// remaining is how many sessions nobody has ended yet.
func (p *peer) remaining() (n int) {
	for _, s := range p.all() {
		if s.fate.Load() == nil {
			n++
		}
	}
	return n
}

// quota bounds how many sessions are cut in a second. It belongs to the goroutine that sweeps.
type quota struct {
	level float64 // sessions that may be cut
	at    int64   // when it was that much
}

// refill adds what has come since the last time, at most what one second brings.
func (q *quota) refill(rate int, now int64) {
	passed := float64(now-q.at) / float64(time.Second)
	q.level = min(q.level+passed*float64(rate), max(float64(rate)*quotaStep.Seconds(), 1))
	q.at = now
}

// quotaStep is how long sessions that wait are left alone, at least: they are cut in small groups and
// not in one a second.
const quotaStep = 50 * time.Millisecond

// left is how many may be cut now.
func (q *quota) left(rate int) int {
	if rate <= 0 {
		return math.MaxInt
	}
	return int(q.level)
}

func (q *quota) take(rate, n int) {
	if rate > 0 {
		q.level -= float64(n)
	}
}

// wait is how long until another one may be cut.
func (q *quota) wait(rate int) time.Duration {
	if rate <= 0 {
		return quotaStep
	}
	one := time.Duration((1 - q.level) / float64(rate) * float64(time.Second))
	return max(one, quotaStep)
}
