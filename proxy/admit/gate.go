package admit

import (
	"fmt"
	"net/netip"

	"weir/config"
)

// Refusal says why a gate keeps a connection out.
type Refusal uint8

// The refusals.
const (
	RefusedDenied    Refusal = iota + 1 // by the lists
	RefusedPace                         // too many new connections in a second
	RefusedPerClient                    // too many connections of this client
)

// GateOptions are what a gate is made of. The zero value admits everybody.
type GateOptions struct {
	Allow, Deny []netip.Prefix
	PerSecond   int // new connections; 0: no limit
	PerClient   int // concurrent connections of a client; 0: no limit
	IPv6Bits    int // how much of an IPv6 address is one client; 0: all of it
}

// Gate is what a listener asks of a new connection before it works for it. It is immutable, but for
// its counts; a reload makes another one. All methods may be called from any goroutine.
type Gate struct {
	options   GateOptions
	access    *Access
	pace      *Pace
	perClient *Connections
}

// NewGate makes a gate. What has not changed goes on from previous, which may be nil: a reload gives
// nobody a fresh burst, and forgets no connection.
func NewGate(o GateOptions, previous *Gate) (*Gate, error) {
	g := &Gate{options: o}
	var err error
	if g.access, err = NewAccess(o.Allow, o.Deny); err != nil {
		return nil, fmt.Errorf("allow, deny: %w", err)
	}
	if previous != nil && previous.options.PerSecond == o.PerSecond {
		g.pace = previous.pace
	} else {
		g.pace = NewPace(o.PerSecond)
	}
	if o.PerClient <= 0 {
		return g, nil
	}
	if previous != nil && previous.perClient != nil && previous.options.IPv6Bits == o.IPv6Bits {
		g.perClient = previous.perClient // the limit follows in Adopt
		return g, nil
	}
	if g.perClient, err = NewConnections(o.PerClient, o.IPv6Bits); err != nil {
		return nil, fmt.Errorf("per_client_connections: %w", err)
	}
	return g, nil
}

// clientBits is how much of an IPv6 address is one client of a listener: a subscriber has a whole /64.
const clientBits = 64

// GateOf is NewGate for what the configuration of a listener without HTTP says.
func GateOf(c *config.Listener, previous *Gate) (*Gate, error) {
	g, err := NewGate(GateOptions{
		Allow: c.Access.Allow, Deny: c.Access.Deny,
		PerSecond: c.Limits.NewConnections, PerClient: c.Limits.PerClient, IPv6Bits: clientBits,
	}, previous)
	if err != nil {
		return nil, fmt.Errorf("listeners.%s: %w", c.Name, err)
	}
	return g, nil
}

// Adopt makes the limits of the gate those that are in force. It is called when its configuration is:
// a gate that was made for a configuration that is then refused changes nothing.
func (g *Gate) Adopt() {
	if g.perClient != nil {
		// The limit is positive, which is all that is asked of it.
		_ = g.perClient.SetLimit(g.options.PerClient)
	}
}

// Denied reports whether the lists keep a client out, whatever else there is to say about it.
func (g *Gate) Denied(client netip.Addr) bool { return !g.access.Allowed(client) }

// Enter decides about a connection of a client at the time now, in ns. With refused 0 it is in, and
// counted, which may be nil, is left with the same address when it ends. A connection that is refused
// uses up nothing: a client that has its share takes nobody else's.
func (g *Gate) Enter(client netip.Addr, now int64) (counted *Connections, refused Refusal) {
	switch {
	case !g.access.Allowed(client):
		return nil, RefusedDenied
	case !g.perClient.Enter(client):
		return nil, RefusedPerClient
	case !g.pace.Allow(now):
		g.perClient.Leave(client)
		return nil, RefusedPace
	}
	return g.perClient, 0
}

// Keep counts a connection that another gate has let in, as Enter does. Where its client has as many as it
// may have now, it is in all the same, without being counted.
func (g *Gate) Keep(client netip.Addr) (counted *Connections) {
	if !g.perClient.Enter(client) {
		return nil
	}
	return g.perClient
}
