package datagram

import (
	"fmt"
	"time"

	"weir/config"
	"weir/proxy/admit"
	"weir/telemetry"
)

// clientBits is how much of an IPv6 address is one client: a subscriber has a whole /64.
const clientBits = 64

// Site is everything that a listener's configuration says about its sessions. It is immutable and
// replaced as a whole.
type Site struct {
	name        string
	idle        time.Duration // without a datagram either way; 0: without bound
	responses   int           // to each datagram of a client; 0: unknown
	maxSessions int
	gate        *admit.Gate
	stats       *telemetry.Listener
	target      target
}

// target is where sessions lead.
type target struct {
	pool  *Pool // nil: nowhere
	stats *telemetry.UDP
}

// SiteOptions is what a site is made of.
type SiteOptions struct {
	Config   *config.Listener // CheckSite must have found nothing
	Pools    map[string]*Pool // every pool that Config names
	Previous *Site            // that it takes the place of; nil: it is the first
}

// NewSite builds the site of a listener. It is in force when Clients have it.
func (e *Engine) NewSite(o SiteOptions) *Site {
	c := o.Config
	gate, err := newGate(c, o.Previous)
	if err != nil {
		panic(fmt.Sprintf("datagram: a site that was not checked: %v", err))
	}
	s := &Site{
		name: c.Name, idle: c.Timeouts.UDPIdle, responses: c.UDP.Responses, maxSessions: c.UDP.MaxSessions,
		gate: gate, stats: e.Telemetry.Listener(c.Name),
		target: target{o.Pools[c.Pool], e.Telemetry.UDP(c.Name, c.Pool)},
	}
	if s.maxSessions == 0 {
		s.maxSessions = max(e.MaxSessions, 1)
	}
	return s
}

// CheckSite reports what NewSite could not use of c.
func CheckSite(c *config.Listener) error {
	_, err := newGate(c, nil)
	return err
}

func newGate(c *config.Listener, previous *Site) (*admit.Gate, error) {
	var old *admit.Gate
	if previous != nil {
		old = previous.gate
	}
	g, err := admit.NewGate(admit.GateOptions{
		Allow: c.Access.Allow, Deny: c.Access.Deny,
		PerSecond: c.Limits.NewConnections, PerClient: c.Limits.PerClient, IPv6Bits: clientBits,
	}, old)
	if err != nil {
		return nil, fmt.Errorf("listeners.%s: %w", c.Name, err)
	}
	return g, nil
}

// quarantine is how long a port is left alone after its last use.
func (s *Site) quarantine() time.Duration {
	if s.idle > 0 {
		return s.idle
	}
	return usualIdle
}

// drops are the words of the telemetry for the refusals of a gate.
var drops = map[admit.Refusal]telemetry.DropReason{
	admit.RefusedDenied:    telemetry.DropDenied,
	admit.RefusedPace:      telemetry.DropRate,
	admit.RefusedPerClient: telemetry.DropPerClient,
}
