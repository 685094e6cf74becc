package datagram

import (
	"sync"
	"sync/atomic"
	"time"

	"weir/balancer"
	"weir/telemetry"
)

// peer knows the sessions on one backend.
type peer struct {
	pool    *Pool
	backend *balancer.Backend
	stats   *telemetry.Backend
	ports   *ports
	refused atomic.Int64 // until when new sessions avoid it; 0: it has answered since it was not there

	mu    sync.Mutex
	first *session
	n     int
	told  int64 // when somebody was told that it is not there
	pause int64 // for how long it was avoided last
}

var _ balancer.Peer = (*peer)(nil)

// Retire is called when the backend has left its pool, or the pool is closed.
func (p *peer) Retire() { p.pool.engine.ports.leave(p.ports) }

func (p *peer) join(s *session) {
	p.mu.Lock()
	s.next = p.first
	if p.first != nil {
		p.first.prev = s
	}
	p.first = s
	p.n++
	p.mu.Unlock()
	p.stats.ConnectionOpened()
}

func (p *peer) leave(s *session) {
	p.mu.Lock()
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		p.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.next, s.prev = nil, nil
	p.n--
	p.mu.Unlock()
	p.stats.ConnectionClosed()
}

// count is the number of sessions.
func (p *peer) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

// all lists the sessions, held. A session that has left the table leaves here before it lets go of its
// last hold, so those that are found can be held.
func (p *peer) all() []*session {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]*session, 0, p.n)
	for s := p.first; s != nil; s = s.next {
		s.hold()
		list = append(list, s)
	}
	return list
}

// cut ends all sessions.
func (p *peer) cut(why *cause) {
	for _, s := range p.all() {
		s.end(why)
		s.release()
	}
}

// refusing reports whether new sessions had better go elsewhere.
func (p *peer) refusing(now int64) bool {
	return now < p.refused.Load()
}

// present notes that the backend has answered.
func (p *peer) present() {
	p.backend.Succeeded()
	if p.refused.Load() != 0 {
		p.refused.Store(0)
	}
}

// For how long new sessions avoid a backend that is not there, before one of them tries it: ever longer.
const (
	firstPause = int64(time.Second)
	lastPause  = int64(30 * time.Second)
)

// absent notes that nobody listens on the backend, and reports whether that is worth telling: once in
// a while.
func (p *peer) absent(now int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch until := p.refused.Load(); {
	case until == 0:
		p.pause = firstPause
		p.refused.Store(now + p.pause)
	case now >= until:
		p.pause = min(2*p.pause, lastPause)
		p.refused.Store(now + p.pause)
	}
	if p.told != 0 && now-p.told < absentPause {
		return false
	}
	p.told = now
	return true
}

// absentPause is how often, at most, the health check is told that a backend is not there.
const absentPause = int64(100 * time.Millisecond)
