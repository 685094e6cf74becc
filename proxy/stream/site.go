package stream

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"time"

	"weir/config"
	"weir/proxy/admit"
	"weir/proxy/route"
	"weir/proxy/wire"
	"weir/telemetry"
)

// Site is everything that a listener's configuration says about its connections. It is immutable and
// replaced as a whole.
type Site struct {
	name     string
	maxConns int64
	idle     time.Duration // without a byte either way; 0: without bound
	tcp      config.TCPOptions
	gate     *admit.Gate
	stats    *telemetry.Listener
	routes   *route.Streams[*target]
	nowhere  *target // of what no route takes
	pools    []*Pool // that routes lead to

	tls     *tls.Config    // nil: bytes are carried as they come
	proxies []netip.Prefix // whose connections begin with a PROXY header
	opening time.Duration  // what the client may take for that, and for the handshake or the first message of TLS; 0: without bound
}

// target is where a connection leads.
type target struct {
	pool  *Pool // nil: nowhere
	stats *telemetry.TCP
}

// SiteOptions is what a site is made of.
type SiteOptions struct {
	Config   *config.Listener // CheckSite must have found nothing
	Pools    map[string]*Pool // every pool that Config names
	TLS      *tls.Config      // nil: connections are carried as they come
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
		panic(fmt.Sprintf("stream: a site that was not checked: %v", err))
	}
	targets := map[string]*target{}
	lead := func(pool string) *target {
		if targets[pool] == nil {
			targets[pool] = &target{o.Pools[pool], e.Telemetry.TCP(c.Name, pool)}
		}
		return targets[pool]
	}
	s := &Site{
		name: c.Name, maxConns: int64(c.Limits.MaxConnections), idle: c.Timeouts.TCPIdle, tcp: c.TCP, gate: gate, stats: e.Telemetry.Listener(c.Name),
		routes: route.NewStreams(c.Routes, c.Pool, lead), nowhere: lead(""),
		tls: o.TLS, proxies: c.Proxy.From, opening: c.Timeouts.TLS,
	}
	for _, t := range targets {
		if t.pool != nil {
			s.pools = append(s.pools, t.pool)
		}
	}
	return s
}

// CheckSite reports what NewSite could not use of c.
func CheckSite(c *config.Listener) error {
	_, err := admit.GateOf(c, nil)
	return err
}

// inheritedKeepalive is what accepted sockets have by themselves: see wire.Listen.
const inheritedKeepalive = 15 * time.Second

// tune sets the options of the socket of a client or a backend that act at once. A connection that is gone
// already cannot be tuned, and shows that soon.
func (s *Site) tune(c *wire.Conn) {
	if s.tcp.UserTimeout > 0 {
		_ = c.UserTimeout(s.tcp.UserTimeout)
	}
}

// tuneLasting sets the options of sockets that matter to connections that last. Most of those that bring a
// single request are over before, and never pay for them.
func (s *Site) tuneLasting(client, backend *wire.Conn) {
	if s.tcp.Keepalive != inheritedKeepalive {
		_ = client.Keepalive(s.tcp.Keepalive)
	}
	_ = backend.Keepalive(s.tcp.Keepalive)
}

// refusals are the words of the telemetry for those of a gate.
var refusals = map[admit.Refusal]telemetry.RejectReason{
	admit.RefusedDenied:    telemetry.RejectDenied,
	admit.RefusedPace:      telemetry.RejectRate,
	admit.RefusedPerClient: telemetry.RejectPerClient,
}
