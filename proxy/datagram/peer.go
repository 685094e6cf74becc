package datagram

import (
	"sync"

	"weir/balancer"
	"weir/proxy/wire"
	"weir/telemetry"
)

// peer knows the sessions on one backend.
type peer struct {
	pool    *Pool
	backend *balancer.Backend
	stats   *telemetry.Backend
	ports   *ports

	mu      sync.Mutex
	first   *session
	n       int
	leaving int64 // since when it is drained or removed; 0: it is not
	told    int64 // when somebody was told that it is not there
}

var _ balancer.Peer = (*peer)(nil)

// Retire is called when the backend has left its pool.
func (p *peer) Retire() {
	p.since(true, wire.Now())
	p.pool.mu.Lock()
	p.pool.retired[p] = struct{}{}
	p.pool.mu.Unlock()
}

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

// since notes whether the backend is on its way out, and returns since when, 0 if it is not.
func (p *peer) since(leaving bool, now int64) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !leaving {
		p.leaving = 0
	} else if p.leaving == 0 {
		p.leaving = now
	}
	return p.leaving
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

// absent notes that nobody listens on the backend, and reports whether that is worth telling: once in
// a while.
func (p *peer) absent(now int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told != 0 && now-p.told < absentPause {
		return false
	}
	p.told = now
	return true
}

// absentPause is how often, at most, the health check is told that a backend is not there.
const absentPause = int64(100e6)
