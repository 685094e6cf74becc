package telemetry

import (
	"maps"
	"sync"

	"weir/balancer"
	"weir/config"
)

// balancing sends what the balancer knows of a pool: it is read from the snapshot in use.
func (s *sink) balancing(r *Registry, p *balancer.Pool) {
	snapshot := p.Snapshot()
	s.sendBool(poolFailOpen, snapshot.Tier() == balancer.TierFailOpen, p.Name())
	s.send(poolQueueLength, float64(p.Queued()), p.Name())
	if !s.wants(backendUp, p.Name()) {
		return
	}
	for _, m := range snapshot.Members() {
		s.member(r, p.Name(), m)
	}
}

func (s *sink) member(r *Registry, pool string, m balancer.Member) {
	b := m.Backend
	s.sendBool(backendUp, m.Health == balancer.Up, pool, b.Name())
	s.sendBool(backendEjected, m.Ejected, pool, b.Name())
	s.sendBool(backendDraining, m.State == config.Drain, pool, b.Name())
	s.send(backendWeight, float64(m.Weight), pool, b.Name())
	s.send(backendEffectiveWeight, m.Effective, pool, b.Name())
	s.send(slowStartRatio, m.Ramp, pool, b.Name())
	s.send(backendActive, float64(b.Active()), pool, b.Name())
	s.sendCount(backendPicks, r.picks.total(backendKey{pool, b.Name()}, b), pool, b.Name())
	if p, ok := b.Peer().(Idler); ok {
		s.send(backendIdle, float64(p.Idle()), pool, b.Name())
	}
}

// picks turns the picks of backends, which start at 0 when a backend gets another address, into
// counters by name, which do not.
type picks struct {
	mu     sync.Mutex // guards counts
	counts map[backendKey]picked
}

// picked is the state of one name: the backend that has it and the picks of those before it.
type picked struct {
	backend *balancer.Backend
	before  uint64
}

func (p *picks) total(k backendKey, b *balancer.Backend) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.counts[k]
	if seen.backend != b {
		if seen.backend != nil {
			seen.before += seen.backend.Picks()
		}
		seen.backend = b
		if p.counts == nil {
			p.counts = make(map[backendKey]picked)
		}
		p.counts[k] = seen
	}
	return seen.before + b.Picks()
}

func (p *picks) forget(gone func(backendKey) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.counts, func(k backendKey, _ picked) bool { return gone(k) })
}
