package stream

import (
	"math"
	"time"

	"weir/balancer"
	"weir/proxy/wire"
)

// Sweep ends the sessions that may not go on, and forgets those of expired persistence. It is called
// about once a second, by one goroutine, and sooner if it returns more than 0: then after that time.
func (p *Pool) Sweep(now int64) (next time.Duration) {
	s := p.settings.Load()
	s.sticky.Sweep(wire.Now)
	for _, b := range p.Balancer.Drained(wire.Time(now)) {
		b.Peer().(*peer).cut(math.MaxInt, cutDrained)
	}
	p.quota.refill(s.rebalance.Rate, now)
	waiting := 0
	for _, b := range p.lost() {
		if s.rebalance.Move {
			waiting += p.move(b, s.rebalance.Rate)
		}
	}
	if waiting > 0 {
		next = p.quota.wait(s.rebalance.Rate)
	}
	return next
}

// move cuts the sessions of a backend, as fast as the rate allows. It returns how many wait.
func (p *Pool) move(b *peer, rate int) (waiting int) {
	cut, left := b.cut(p.quota.left(rate), cutRebalanced)
	p.quota.take(rate, cut)
	p.stats.Rebalanced(cut)
	return left
}

// lost lists the peers of the backends that are down, but where the pool has failed open, and of those
// that were removed. Of these it forgets the ones that nobody will come to any more.
func (p *Pool) lost() (list []*peer) {
	for _, m := range p.Balancer.Snapshot().Members() {
		if m.Health == balancer.Down && !m.Eligible {
			list = append(list, m.Backend.Peer().(*peer))
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for b := range p.retired {
		if b.count() == 0 && b.backend.Active() == 0 { // a session that is connecting has a lease
			delete(p.retired, b)
			continue
		}
		list = append(list, b)
	}
	return list
}

// quota bounds how many sessions are cut in a second. It belongs to the goroutine that sweeps.
type quota struct {
	level float64 // sessions that may be cut
	at    int64   // when it was that much
}

// refill adds what has come since the last time, at most what one step brings.
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
