package datagram

import (
	"fmt"
	"time"

	"weir/config"
	"weir/proxy/admit"
	"weir/telemetry"
)

// Site is everything that a listener's configuration says about its sessions. It is immutable and
// replaced as a whole.
type Site struct {
	name        string
	idle        time.Duration // without a datagram either way; 0: without bound
	responses   int           // to each datagram of a client; 0: unknown
	maxSessions int
	gate        *admit.Gate
	listed      bool // it keeps clients out by their addresses
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
	var before *admit.Gate
	if o.Previous != nil {
		before = o.Previous.gate
	}
	gate, err := admit.GateOf(c, before)
	if err != nil {
		panic(fmt.Sprintf("datagram: a site that was not checked: %v", err))
	}
	s := &Site{
		name: c.Name, idle: c.Timeouts.UDPIdle, responses: c.UDP.Responses, maxSessions: c.UDP.MaxSessions,
		gate: gate, listed: len(c.Access.Allow)+len(c.Access.Deny) > 0, stats: e.Telemetry.Listener(c.Name),
		target: target{o.Pools[c.Pool], e.Telemetry.UDP(c.Name, c.Pool)},
	}
	if s.maxSessions == 0 {
		s.maxSessions = max(e.MaxSessions, 1)
	}
	return s
}

// CheckSite reports what NewSite could not use of c.
func CheckSite(c *config.Listener) error {
	_, err := admit.GateOf(c, nil)
	return err
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
