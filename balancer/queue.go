package balancer

import (
	"sync"
	"sync/atomic"
)

// queue is who waits for a lease of a pool, in the order in which they came.
type queue struct {
	waiting atomic.Int64 // length, for those who do not want the lock
	open    atomic.Int64 // of them, those for whom any backend will do

	mu          sync.Mutex
	first, last *Place
}

// Place is a place in the queue of a pool. Its owner tries to acquire, waits on Ready if that ends
// with ErrFull, tries again, Stays if that ends so too, begins anew, and Leaves in the end, whatever came
// of it. It belongs to one goroutine.
type Place struct {
	queue  *queue
	before *Place
	behind *Place
	ready  chan struct{}
	called bool // and has not come back with Stay
	bound  bool // only one backend will do
}

// Ready has a value when a lease may be had.
func (p *Place) Ready() <-chan struct{} { return p.ready }

// Stay keeps the place after a call that led to nothing. pass gives the call to the next one in the
// queue: what has become free is of no use here, but may be there.
func (p *Place) Stay(pass bool) {
	q := p.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	p.called = len(p.ready) > 0
	if pass {
		call(p.behind)
	}
}

// Leave gives the place up. acquired says whether it led to a lease. A call that has not led to one
// goes to the next one.
func (p *Place) Leave(acquired bool) {
	q := p.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if p.called && (!acquired || len(p.ready) > 0) {
		call(p.behind)
	}
	if p.before != nil {
		p.before.behind = p.behind
	} else {
		q.first = p.behind
	}
	if p.behind != nil {
		p.behind.before = p.before
	} else {
		q.last = p.before
	}
	q.count(p, -1)
}

// call tells p, or the first one behind it that has not been told.
func call(p *Place) {
	for ; p != nil; p = p.behind {
		if !p.called {
			p.called = true
			p.ready <- struct{}{} // it has room: who was not called has taken what was there
			return
		}
	}
}

// enter takes a place if fewer than most are taken.
func (q *queue) enter(most int, bound bool) (*Place, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting.Load() >= int64(most) {
		return nil, false
	}
	p := &Place{queue: q, before: q.last, ready: make(chan struct{}, 1), bound: bound}
	if q.last != nil {
		q.last.behind = p
	} else {
		q.first = p
	}
	q.last = p
	q.count(p, 1)
	return p, true
}

// count changes the length by n for the place p. mu must be held.
func (q *queue) count(p *Place, n int64) {
	q.waiting.Add(n)
	if !p.bound {
		q.open.Add(n)
	}
}

// wake calls the first place that has not been called.
func (q *queue) wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	call(q.first)
}

// wakeAll calls everybody: there is another snapshot.
func (q *queue) wakeAll() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for p := q.first; p != nil; p = p.behind {
		call(p)
	}
}
