package exchange

import (
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"

	"weir/balancer"
	"weir/proxy/certs"
	"weir/proxy/wire"
	"weir/telemetry"
)

// peer holds the connections to one backend. The one used last is used first, so that surplus ones
// age and are closed.
type peer struct {
	pool    *Pool
	backend *balancer.Backend
	stats   *telemetry.Backend
	tls     atomic.Pointer[peerTLS] // nil: no handshake was begun yet

	mu      sync.Mutex
	idle    []*backendConn            // oldest first
	kept    map[*client]*backendConn  // idle ones that are for one client alone; nil: none
	conns   map[*backendConn]struct{} // all that are open
	retired bool
}

var _ balancer.Peer = (*peer)(nil)

// take returns an idle connection that is fit for use, or nil. Every one is looked at first, which
// costs a system call, 1 to 2 % of a request: a backend may have closed it, and bytes that it has sent
// behind its response would be read as the response to somebody else, however soon that comes.
// It was made by transport t.
func (p *peer) take(t *transport) *backendConn {
	for {
		p.mu.Lock()
		last := len(p.idle) - 1
		if last < 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.idle[last]
		p.idle[last] = nil
		p.idle = p.idle[:last]
		p.mu.Unlock()
		if c.transport == t && c.alive() {
			return c
		}
		c.close()
	}
}

// put returns a connection that is in a state to be used again.
func (p *peer) put(c *backendConn, now int64) {
	c.usedAt = now
	p.mu.Lock()
	if !p.retired {
		p.idle = append(p.idle, c)
		c = nil
	}
	p.mu.Unlock()
	if c != nil {
		c.close()
	}
}

// Retire closes the idle connections and makes every connection in use be closed after it.
func (p *peer) Retire() {
	p.mu.Lock()
	p.retired = true
	idle := append(p.idle, p.withdrawOld(func(*backendConn) bool { return true })...)
	p.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}

// Idle is the number of idle connections.
func (p *peer) Idle() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle) + len(p.kept)
}

// sweep closes connections idle for longer than keep (0: without bound), all of them if the backend
// is not usable.
func (p *peer) sweep(now int64, keep time.Duration, usable bool) {
	p.mu.Lock()
	n, expired := 0, func(c *backendConn) bool { return !usable || (keep > 0 && now-c.usedAt > int64(keep)) }
	for n < len(p.idle) && expired(p.idle[n]) {
		n++
	}
	old := append(p.withdrawOld(expired), p.idle[:n]...)
	p.idle = append(p.idle[:0], p.idle[n:]...)
	clear(p.idle[len(p.idle):cap(p.idle)])
	p.mu.Unlock()
	for _, c := range old {
		c.close()
	}
}

// headerTime is how long a backend may take to take a PROXY header: it fits into any new socket's buffer.
const headerTime = 5 * time.Second

// dial opens a connection: TCP, then TLS if the pool has it. hold is given the socket, so that it
// can be shut down meanwhile. header, which may be empty, is what the backend gets before anything else.
func (p *peer) dial(s *settings, header []byte, hold func(*wire.Conn)) (*backendConn, error) {
	budget := p.pool.engine.Descriptors
	if !budget.EnterReserved(1) {
		return nil, errDescriptors
	}
	w, err := wire.DialHeld(p.backend.Address(), s.timeouts.Connect, hold)
	if err != nil {
		budget.Leave(1)
		return nil, err
	}
	if len(header) > 0 {
		if err := w.Write(header, headerTime); err != nil {
			_ = w.Close()
			budget.Leave(1)
			return nil, err
		}
	}
	c := &backendConn{stream: stream{wire: w}, peer: p, transport: s.transport}
	if config := s.transport.tls; config != nil {
		if err := c.handshake(p.tlsConfig(config), s.timeouts.TLS); err != nil {
			_ = w.Close()
			budget.Leave(1)
			return nil, err
		}
	}
	p.opened(c)
	return c, nil
}

// peerTLS is the settings of a transport for one backend.
type peerTLS struct{ of, config *tls.Config }

// tlsConfig is c for this backend: see certs.ToBackend. It is made once, for handshakes are dear enough
// as they are.
func (p *peer) tlsConfig(c *tls.Config) *tls.Config {
	if t := p.tls.Load(); t != nil && t.of == c {
		return t.config
	}
	t := &peerTLS{c, certs.ToBackend(c, p.backend.Address(), p.backend.Host())}
	p.tls.Store(t)
	return t.config
}
