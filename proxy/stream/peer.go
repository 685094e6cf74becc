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

// cut ends at most n sessions, and returns how many, and how many are left that nobody has ended yet.
func (p *peer) cut(n int, why *cause) (done, left int) {
	list, left := p.choose(n)
	for _, s := range list {
		if s.cut(why) {
			done++
		}
	}
	return done, left
}

// choose lists at most n sessions that nobody has ended yet, and counts the others. They are not ended here:
// a session that ends waits for mu.
func (p *peer) choose(n int) (list []*session, others int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.sessions {
		switch {
		case s.fate.Load() != nil:
		case len(list) < n:
			list = append(list, s)
		default:
			others++
		}
	}
	return list, others
}
