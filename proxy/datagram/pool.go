package datagram

import (
	"sync/atomic"
	"time"

	"weir/balancer"
	"weir/config"
	persistence "weir/proxy/session"
	"weir/telemetry"
)

// Pool is the data plane's side of a udp or quic pool: the balancer's pool, the sessions on its
// backends and the settings that they follow.
type Pool struct {
	Balancer *balancer.Pool

	engine   *Engine
	stats    *telemetry.Pool
	settings atomic.Pointer[settings]
	quota    quota
	ids      idBook
	servers  serverBook
	closed   atomic.Bool // it is no longer configured
}

// settings are what a session takes of its pool when it begins; they change as a whole.
type settings struct {
	rebalance config.Rebalance
	queue     time.Duration // that a datagram may wait for a first verdict
	quic      bool
	cidOffset int
	cidLength int
	sticky    *persistence.Addresses // nil: no persistence
}

// NewPool makes the pool that c describes, which must not be changed afterwards. offset is where its
// rotation starts.
func (e *Engine) NewPool(c *config.Pool, offset uint64, now time.Time) *Pool {
	p := &Pool{engine: e, stats: e.Telemetry.Pool(c.Name)}
	p.settings.Store(newSettings(c, nil))
	p.Balancer = balancer.NewPool(c, balancer.Options{Attach: p.attach, Offset: offset, Ejected: p.ejected}, now)
	return p
}

// Apply changes the pool to what c describes. Backends that stay keep their sessions, health and ramp.
func (p *Pool) Apply(c *config.Pool, now time.Time) balancer.Change {
	s := newSettings(c, p.settings.Load())
	p.settings.Store(s)
	change := p.Balancer.Apply(c, now)
	s.sticky.Follow(p.Balancer, change.Removed)
	p.servers.forget(change.Removed)
	return change
}

// Close is the end of a pool that is no longer configured: its backends count as removed. Sweep goes on
// until the pool has ended.
func (p *Pool) Close(now time.Time) {
	if p.closed.Swap(true) {
		return
	}
	p.Balancer.Close(now)
	for _, m := range p.Balancer.Snapshot().Members() {
		m.Backend.Peer().Retire()
	}
}

// Ended reports whether a closed pool has no session left, and will get none.
func (p *Pool) Ended(now time.Time) bool { return p.Balancer.Ended(now) }

func newSettings(c *config.Pool, old *settings) *settings {
	s := &settings{
		rebalance: c.Rebalance, queue: c.Timeouts.Queue, quic: c.Protocol == config.QUIC,
		cidOffset: c.Hash.CIDOffset, cidLength: c.Hash.CIDLength,
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
	return &peer{
		pool: p, backend: b, stats: p.engine.Telemetry.Backend(p.stats.Name(), b.Name()),
		ports: p.engine.ports.join(b.Address()),
	}
}

// ejected hands on that live traffic has put b out of service.
func (p *Pool) ejected(b *balancer.Backend, e balancer.Ejection) {
	if f := p.engine.Ejected; f != nil {
		f(p.Balancer.Name(), b, e)
	}
}
