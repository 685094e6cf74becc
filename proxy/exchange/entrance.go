package exchange

import (
	"net/netip"
	"sync/atomic"

	"weir/proxy/wire"
)

// Entrance is a way by which connections come to Clients: a listening socket, for as long as it is
// theirs.
type Entrance struct {
	clients *Clients
	leaving atomic.Bool // its connections end with their next response
	closed  atomic.Bool // and none stays idle
}

// Entrance opens one.
func (s *Clients) Entrance() *Entrance { return &Entrance{clients: s} }

// Serve takes over an accepted connection and serves it in a goroutine of its own. It must not be
// called any more when Clients.Wait is.
func (e *Entrance) Serve(conn *wire.Conn) { e.clients.serve(conn, e) }

// Leave lets the connections that came in here come to an end, with their next response, which says so.
// None is closed while it is idle, for its client may be sending a request at this moment; see Drain.
func (e *Entrance) Leave() { e.leaving.Store(true) }

// Continue makes those of its connections go on that to, an entrance of the same clients, is there for as
// well: as if they had come in by it. serves says so of the address that a client has connected to.
func (e *Entrance) Continue(to *Entrance, serves func(netip.AddrPort) bool) {
	e.clients.mu.Lock()
	defer e.clients.mu.Unlock()
	for c := range e.clients.conns {
		if c.entrance.Load() == e && serves(c.conn.Destination()) {
			c.entrance.Store(to)
		}
	}
}

// Drain lets the connections that came in here come to an end, as Clients.Drain does with all.
func (e *Entrance) Drain() {
	e.closed.Store(true)
	e.clients.endIdle(func(c *client) bool { return c.entrance.Load() == e })
}

// Ending is how many connections came in here and are there: Leave has them closed with their next
// response.
func (e *Entrance) Ending() int {
	e.clients.mu.Lock()
	defer e.clients.mu.Unlock()
	n := 0
	for c := range e.clients.conns {
		if c.entrance.Load() == e {
			n++
		}
	}
	return n
}
