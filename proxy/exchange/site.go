package exchange

import (
	"crypto/tls"
	"net/netip"

	"weir/config"
	"weir/proxy/http1"
	"weir/proxy/route"
	"weir/telemetry"
)

// Site is everything that a listener's configuration says about its requests. It is immutable and
// replaced as a whole.
type Site struct {
	name      string
	routes    *route.Table[*Target]
	timeouts  config.ClientTimeouts
	limits    http1.Limits
	maxBody   int64
	maxConns  int64
	requests  int // per connection; 0: unlimited
	trust     []netip.Prefix
	mode      config.ForwardedMode
	noPool    *telemetry.HTTP // counts what was refused before it had a pool
	connStats *telemetry.Listener

	tls        *tls.Config // nil: plain
	certFields bool        // backends are told about the certificate of the client
}

// Target is where a route leads.
type Target struct {
	pool  *Pool
	stats *telemetry.HTTP
}

// NewSite builds the site of a listener; pools must hold every pool that c names. tlsConfig is nil for
// a plain one.
func (e *Engine) NewSite(c *config.Listener, pools map[string]*Pool, tlsConfig *tls.Config) *Site {
	targets := map[string]*Target{}
	target := func(pool string) *Target {
		if targets[pool] == nil {
			targets[pool] = &Target{pool: pools[pool], stats: e.Telemetry.HTTP(c.Name, pool)}
		}
		return targets[pool]
	}
	return &Site{
		name:     c.Name,
		routes:   route.New(c.Routes, c.Pool, target),
		timeouts: c.Timeouts,
		limits:   http1.Limits{Header: c.Limits.MaxHeader, Fields: c.Limits.MaxHeaderCount, Target: c.Limits.MaxTarget},
		maxBody:  c.Limits.MaxBody, maxConns: int64(c.Limits.MaxConnections),
		requests: c.KeepaliveRequests,
		trust:    c.Forwarded.Trust, mode: c.Forwarded.Mode,
		noPool: e.Telemetry.HTTP(c.Name, ""), connStats: e.Telemetry.Listener(c.Name),
		tls: tlsConfig, certFields: c.TLS != nil && c.TLS.ClientCertHeaders,
	}
}

// trusts reports whether the forwarding fields of a peer are believed.
func (s *Site) trusts(a netip.Addr) bool {
	for _, p := range s.trust {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
