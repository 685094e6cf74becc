package stream

import (
	"sync"

	"weir/balancer"
	"weir/telemetry"
)

// peer knows the sessions on one backend.
type peer struct {
	pool    *Pool
	backend *balancer.Backend
	stats   *telemetry.Backend

	mu       sync.Mutex
	sessions map[*session]struct{}
}

var _ balancer.Peer = (*peer)(nil)

// Retire is called when the backend has left its pool.
func (p *peer) Retire() {
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
