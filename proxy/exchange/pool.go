package exchange

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"
	"time"

	"weir/balancer"
	"weir/config"
	"weir/telemetry"
)

// Pool is the data plane's side of a pool: the balancer's pool, the connections to its backends and
// the settings that exchanges follow.
type Pool struct {
	Balancer *balancer.Pool

	engine   *Engine
	stats    *telemetry.Pool
	settings atomic.Pointer[settings]
	budget   budget
}

// settings are the parts of a pool's configuration that an exchange looks at; they change as a
// whole.
type settings struct {
	timeouts  config.BackendTimeouts
	places    int // in the queue
	maxHead   int
	attempts  int // tries after the first
	onConnect bool
	onReset   bool
	onTimeout bool
	onStatus  [3]bool // 502, 503, 504
	budget    float64
	transport *transport
	hashesDst bool    // the algorithm looks at the destination of a flow
	sticky    *sticky // nil: no persistence
}

// transport is what a connection to a backend was made by. It is the same pointer for as long as
// the configuration says the same, and connections of another one are not used again.
type transport struct {
	protocol config.Protocol
	tls      *tls.Config // nil: plain
	proxy    config.ProxyVersion
}

// NewPool makes the pool that c describes. tlsConfig is nil for plain HTTP; it must not be changed
// afterwards, and is given to Apply again for as long as it says the same.
func (e *Engine) NewPool(c *config.Pool, tlsConfig *tls.Config, offset uint64, now time.Time) *Pool {
	p := &Pool{engine: e, stats: e.Telemetry.Pool(c.Name)}
	s := newSettings(c, tlsConfig)
	s.sticky = mustSticky(c, e, nil)
	p.Balancer = balancer.NewPool(c, balancer.Options{Attach: p.attach, Offset: offset, Ejected: p.ejected}, now)
	s.sticky.follow(p.Balancer, nil)
	p.settings.Store(s)
	return p
}

// Apply changes the pool to what c describes. Backends that stay keep their connections, health and
// ramp; those that leave finish what they are doing.
func (p *Pool) Apply(c *config.Pool, tlsConfig *tls.Config, now time.Time) balancer.Change {
	old, s := p.settings.Load(), newSettings(c, tlsConfig)
	if *s.transport == *old.transport {
		s.transport = old.transport
	}
	if s.sticky = mustSticky(c, p.engine, old.sticky); s.sticky != old.sticky {
		s.sticky.follow(p.Balancer, nil)
	}
	p.settings.Store(s)
	change := p.Balancer.Apply(c, now)
	s.sticky.follow(p.Balancer, change.Removed)
	return change
}

// CheckPersistence reports what NewPool and Apply could not use of the persistence of c.
func CheckPersistence(c *config.Pool) error {
	_, err := newSticky(c, nil, nil, nil)
	return err
}

// mustSticky is newSticky for a configuration that was checked.
func mustSticky(c *config.Pool, e *Engine, old *sticky) *sticky {
	s, err := newSticky(c, e.SessionKey, e.Log, old)
	if err != nil {
		panic(fmt.Sprintf("exchange: a persistence that was not checked: %v", err))
	}
	return s
}

// Close closes the idle connections of a pool that has been removed. Exchanges that still use it
// close theirs at their end, or when Drain ends them, which is called until Ended says so.
func (p *Pool) Close(now time.Time) {
	p.Balancer.Close(now)
	for _, m := range p.Balancer.Snapshot().Members() {
		m.Backend.Peer().Retire()
	}
}

// Ended reports whether nothing is left of a pool that was closed.
func (p *Pool) Ended(now time.Time) bool { return p.Balancer.Ended(now) }

// Sweep closes connections that have been idle for longer than the pool keeps them, and those to
// backends that are not up and ready. It is called about once a second.
func (p *Pool) Sweep(now int64) {
	p.budget.note(p.Balancer, now)
	s := p.settings.Load()
	s.sticky.sweep(now)
	keep := s.timeouts.Keepalive
	for _, m := range p.Balancer.Snapshot().Members() {
		b := m.Backend
		usable := m.Health == balancer.Up && m.State == config.Ready
		b.Peer().(*peer).sweep(now, keep, usable)
	}
}

// retryStatuses are the conditions that are statuses, from 502 on, and retryReasons what the telemetry
// calls them.
var (
	retryStatuses = [3]config.RetryOn{config.Retry502, config.Retry503, config.Retry504}
	retryReasons  = [3]telemetry.RetryReason{telemetry.Retry502, telemetry.Retry503, telemetry.Retry504}
)

func newSettings(c *config.Pool, tlsConfig *tls.Config) *settings {
	s := &settings{
		timeouts:  c.Timeouts,
		places:    c.Queue,
		transport: &transport{c.Protocol, tlsConfig, c.SendProxy},
		maxHead:   c.Limits.MaxResponseHeader,
		attempts:  c.Retries.Attempts,
		budget:    c.Retries.Budget,
	}
	for _, on := range c.Retries.On {
		s.onConnect = s.onConnect || on == config.RetryConnectFailure
		s.onReset = s.onReset || on == config.RetryReset
		s.onTimeout = s.onTimeout || on == config.RetryTimeout
		for i, status := range retryStatuses {
			s.onStatus[i] = s.onStatus[i] || on == status
		}
	}
	switch c.Algorithm {
	case config.TwoTupleHash, config.ThreeTupleHash, config.FiveTupleHash:
		s.hashesDst = true
	}
	return s
}

// attach makes the data plane's side of a backend that enters the pool.
func (p *Pool) attach(b *balancer.Backend) balancer.Peer {
	return &peer{pool: p, backend: b, stats: p.engine.Telemetry.Backend(p.stats.Name(), b.Name()),
		conns: map[*backendConn]struct{}{}}
}

// ejected hands on that live traffic has put b out of service.
func (p *Pool) ejected(b *balancer.Backend, e balancer.Ejection) {
	if f := p.engine.Ejected; f != nil {
		f(p.Balancer.Name(), b, e)
	}
}
