package exchange

import (
	"sync/atomic"

	"weir/proxy/wire"
)

// Entrance is a way by which connections come to Clients: a listening socket, for as long as it is
// theirs.
type Entrance struct {
	clients *Clients
	closed  atomic.Bool
}

// Entrance opens one.
func (s *Clients) Entrance() *Entrance { return &Entrance{clients: s} }

// Serve takes over an accepted connection and serves it in a goroutine of its own. It must not be
// called any more when Clients.Wait is.
func (e *Entrance) Serve(conn *wire.Conn) { e.clients.serve(conn, e) }

// Drain lets the connections that came in here come to an end, as Clients.Drain does with all.
func (e *Entrance) Drain() {
	e.closed.Store(true)
	e.clients.endIdle(func(c *client) bool { return c.entrance == e })
}

// Ending is how many connections came in here and are there: Drain closes them, those that are idle at
// once and the others with their next response.
func (e *Entrance) Ending() int {
	e.clients.mu.Lock()
	defer e.clients.mu.Unlock()
	n := 0
	for c := range e.clients.conns {
		if c.entrance == e {
			n++
		}
	}
	return n
}
