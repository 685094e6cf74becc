package stream

import (
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"

	"weir/balancer"
	"weir/config"
	persistence "weir/proxy/session"
	"weir/telemetry"
)

// Pool is the data plane's side of a pool at layer 4: the balancer's pool, the sessions on its
// backends and the settings that they follow.
type Pool struct {
	Balancer *balancer.Pool

	engine   *Engine
	stats    *telemetry.Pool
	settings atomic.Pointer[settings]
	quota    quota

	mu      sync.Mutex
	retired map[*peer]struct{} // of backends that were removed, while they have sessions
}

// settings are what a session takes of its pool when it begins; they change as a whole.
type settings struct {
	timeouts  config.BackendTimeouts
	places    int // in the queue
	rebalance config.Rebalance
	drain     time.Duration // what is left on a backend, or on a listener, that was removed; 0: without bound
	attempts  int           // tries after the first
	retry     bool
	hashesDst bool // the algorithm looks at the destination of a flow
	proxy     config.ProxyVersion
	tls       *tls.Config            // nil: plain
	sticky    *persistence.Addresses // nil: no persistence
}

// NewPool makes the pool that c describes. tlsConfig is nil for backends that get bytes as they are.
// Neither may be changed afterwards. offset is where the rotation starts.
func (e *Engine) NewPool(c *config.Pool, tlsConfig *tls.Config, offset uint64, now time.Time) *Pool {
	p := &Pool{engine: e, stats: e.Telemetry.Pool(c.Name), retired: map[*peer]struct{}{}}
	p.settings.Store(newSettings(c, tlsConfig, nil))
	p.Balancer = balancer.NewPool(c, balancer.Options{Attach: p.attach, Offset: offset, Ejected: p.ejected}, now)
	return p
}

// Apply changes the pool to what c describes. Backends that stay keep their sessions, health and ramp.
func (p *Pool) Apply(c *config.Pool, tlsConfig *tls.Config, now time.Time) balancer.Change {
	s := newSettings(c, tlsConfig, p.settings.Load())
	p.settings.Store(s)
	change := p.Balancer.Apply(c, now)
	s.sticky.Follow(p.Balancer, change.Removed)
	return change
}

// Close is the end of a pool that is no longer configured: its backends count as removed. Sweep goes on
// until the pool has ended.
func (p *Pool) Close(now time.Time) {
	p.Balancer.Close(now)
	for _, m := range p.Balancer.Snapshot().Members() {
		m.Backend.Peer().Retire()
	}
}

// Ended reports whether a closed pool has no session left, and will get none.
func (p *Pool) Ended(now time.Time) bool { return p.Balancer.Ended(now) }

func newSettings(c *config.Pool, tlsConfig *tls.Config, old *settings) *settings {
	s := &settings{
		timeouts: c.Timeouts, places: c.Queue, rebalance: c.Rebalance, drain: c.DrainTimeout,
		attempts: c.Retries.Attempts, proxy: c.SendProxy, tls: tlsConfig,
	}
	for _, on := range c.Retries.On {
		s.retry = s.retry || on == config.RetryConnectFailure
	}
	switch c.Algorithm {
	case config.TwoTupleHash, config.ThreeTupleHash, config.FiveTupleHash:
		s.hashesDst = true
	}
	var previous *persistence.Addresses
	if old != nil {
		previous = old.sticky
	}
	s.sticky = persistence.NewAddresses(c.Persistence, previous)
	return s
}

// attach makes the data plane's side of a backend that enters the pool.
func (p *Pool) attach(b *balancer.Backend) balancer.Peer {
	return &peer{pool: p, backend: b, stats: p.engine.Telemetry.Backend(p.stats.Name(), b.Name()),
		sessions: map[*session]struct{}{}}
}

// ejected hands on that live traffic has put b out of service.
func (p *Pool) ejected(b *balancer.Backend, e balancer.Ejection) {
	if f := p.engine.Ejected; f != nil {
		f(p.Balancer.Name(), b, e)
	}
}
