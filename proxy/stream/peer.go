package stream

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

	mu       sync.Mutex
	sessions map[*session]struct{}
	leaving  int64 // since when it is drained or removed, on wire.Now's clock; 0: it is not
}

var _ balancer.Peer = (*peer)(nil)

// Retire is called when the backend has left its pool.
func (p *peer) Retire() {
	p.since(true, wire.Now())
	p.pool.mu.Lock()
	p.pool.retired[p] = struct{}{}
	p.pool.mu.Unlock()
}

// join adds a session that has a connection to the backend.
func (p *peer) join(s *session) {
	p.mu.Lock()
	p.sessions[s] = struct{}{}
	p.mu.Unlock()
	p.stats.ConnectionOpened()
}

// leave takes it out again.
func (p *peer) leave(s *session) {
	p.mu.Lock()
	delete(p.sessions, s)
	p.mu.Unlock()
	p.stats.ConnectionClosed()
}

// count is the number of sessions.
func (p *peer) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.sessions)
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

// cut ends at most n sessions, and returns how many. They are listed first: a session that ends waits
// for mu.
func (p *peer) cut(n int, why *cause) int {
	done := 0
	for _, s := range p.all() {
		if done >= n {
			break
		}
		if s.cut(why) {
			done++
		}
	}
	return done
}

func (p *peer) all() []*session {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]*session, 0, len(p.sessions))
	for s := range p.sessions {
		list = append(list, s)
	}
	return list
}
