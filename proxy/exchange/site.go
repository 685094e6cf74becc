package exchange

import (
	"crypto/tls"
	"fmt"
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
	idleLook  int64 // ns: the constant, or timeouts.Idle if that is less
	limits    http1.Limits
	maxBody   int64
	maxConns  int64
	requests  int             // per connection; 0: unlimited
	noPool    *telemetry.HTTP // counts what was refused before it had a pool
	connStats *telemetry.Listener

	admission  *admission
	pages      Pages
	requestID  bool           // every request gets one
	tls        *tls.Config    // nil: plain
	proxies    []netip.Prefix // whose connections begin with a PROXY header
	certFields bool           // backends are told about the certificate of the client
	forwarding forwarding
}

// Target is where a route leads.
type Target struct {
	pool  *Pool
	stats *telemetry.HTTP
}

// SiteOptions is what a site is made of.
type SiteOptions struct {
	Config   *config.Listener // CheckAdmission must have found nothing
	Pools    map[string]*Pool // every pool that Config names
	TLS      *tls.Config      // nil: plain
	Pages    Pages
	Previous *Site // that it takes the place of; nil: it is the first
}

// NewSite builds the site of a listener.
func (e *Engine) NewSite(o SiteOptions) *Site {
	c := o.Config
	admission, err := newAdmission(c, o.Previous.admits())
	if err != nil {
		panic(fmt.Sprintf("exchange: an admission that was not checked: %v", err))
	}
	admission.adopt()
	targets := map[string]*Target{}
	target := func(pool string) *Target {
		if targets[pool] == nil {
			targets[pool] = &Target{pool: o.Pools[pool], stats: e.Telemetry.HTTP(c.Name, pool)}
		}
		return targets[pool]
	}
	look := idleLook
	if idle := c.Timeouts.Idle; idle > 0 {
		look = min(look, idle)
	}
	return &Site{
		name: c.Name, idleLook: int64(look),
		routes:   route.New(c.Routes, c.Pool, target),
		timeouts: c.Timeouts,
		limits:   http1.Limits{Header: c.Limits.MaxHeader, Fields: c.Limits.MaxHeaderCount, Target: c.Limits.MaxTarget},
		maxBody:  c.Limits.MaxBody, maxConns: int64(c.Limits.MaxConnections),
		requests: c.KeepaliveRequests,
		noPool:   e.Telemetry.HTTP(c.Name, ""), connStats: e.Telemetry.Listener(c.Name),
		admission: admission, pages: o.Pages, requestID: c.RequestID,
		tls: o.TLS, proxies: c.Proxy.From, certFields: c.TLS != nil && c.TLS.ClientCertHeaders, forwarding: newForwarding(c),
	}
}

// admits is the admission of a site that may be nil.
func (s *Site) admits() *admission {
	if s == nil {
		return nil
	}
	return s.admission
}

// CheckAdmission reports what NewSite could not use of the limits of c.
func CheckAdmission(c *config.Listener) error {
	_, err := newAdmission(c, nil)
	return err
}
