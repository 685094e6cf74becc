package proxy

import (
	"weir/config"
	"weir/proxy/certs"
	"weir/proxy/exchange"
	"weir/proxy/stream"
	"weir/proxy/wire"
	"weir/telemetry"
)

// listener is one configured listener in service, of those that accept. Its fields are guarded by the
// server's mu, but for fault; its clients never change.
type listener struct {
	name     string
	config   *config.Listener
	identity *certs.Identity // of an https or tls listener
	pages    exchange.Pages  // of an http or https listener
	fault    string          // why its files could not be read again; the steward's
	sockets  []*socket       // that it owns
	stats    *telemetry.Listener

	clients clients           // one of the two that follow
	http    *exchange.Clients // of http and https listeners, nil of others
	streams *stream.Clients   // of tcp and tls listeners, nil of others
}

// clients serve the connections of a listener.
type clients interface {
	Count() int
	Drain() // lets the connections come to an end
	Stop()  // ends them at once
	Wait()  // returns when none is left
}

var (
	_ clients = (*exchange.Clients)(nil)
	_ clients = (*stream.Clients)(nil)
)

// entrance is a way by which connections come to the clients of a listener: a listening socket, for as
// long as it is theirs.
type entrance interface {
	Serve(*wire.Conn)
	Leave()      // lets the connections that came in here come to an end when that disturbs nobody
	Drain()      // the same, and closes those that are idle
	Ending() int // how many of them Leave will close before their clients do
}

var (
	_ entrance = (*exchange.Entrance)(nil)
	_ entrance = (*stream.Clients)(nil) // to whom it is all the same where they came in
)

// entrance opens one.
func (l *listener) entrance() entrance {
	if l.http != nil {
		return l.http.Entrance()
	}
	return l.streams
}

// akin reports whether the connections of l can go on under the configuration c.
func (l *listener) akin(c *config.Listener) bool { return ofStreams(c.Protocol) == (l.streams != nil) }

// addresses are those that were bound.
func (l *listener) addresses() []string {
	var list []string
	for _, socket := range l.sockets {
		list = append(list, socket.Addr().String())
	}
	return list
}
