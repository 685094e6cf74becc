package proxy

import (
	"crypto/tls"
	"slices"
	"sync/atomic"
	"time"

	"weir/config"
	"weir/proxy/admit"
	"weir/proxy/stream"
	"weir/proxy/wire"
)

// streams is the part of a server that tcp and tls listeners share with nobody else: their engine, and
// the pools of their backends.
type streams struct {
	engine *stream.Engine

	// pools is replaced as a whole, because the monitor's goroutines read it.
	pools  atomic.Pointer[map[string]*stream.Pool]
	closed []*stream.Pool // no longer configured, while something is left of them; guarded by the server's mu
}

// pipeShare is how much of the descriptor limit the pipes of large transfers may take, and maxPipes how
// many there are at most: more transfers than that do not move at the same time.
const (
	pipeShare = 8
	maxPipes  = 4096
)

func newStreams(o Options, limit uint64, budget *admit.Descriptors) *streams {
	pipes := min(limit/pipeShare/2, maxPipes)
	d := &streams{engine: &stream.Engine{
		Log: o.Log, Telemetry: o.Telemetry, Descriptors: budget,
		Pipes: wire.NewPipes(int(pipes), budget.Enter, budget.Leave),
	}}
	if o.AccessLog != nil {
		d.engine.AccessLog.Store(o.AccessLog)
	}
	d.pools.Store(&map[string]*stream.Pool{})
	return d
}

// ofStreams reports whether a listener or a pool of that protocol is served here.
func ofStreams(p config.Protocol) bool { return p == config.TCP || p == config.TLS }

// commitPools makes the pools those of c, keeping the ones that have the same name. The server's mu must
// be held.
func (d *streams) commitPools(c, before *config.Config, tlsConfigs map[string]*tls.Config, change *Change, now time.Time) {
	old := *d.pools.Load()
	pools := map[string]*stream.Pool{}
	for name, pc := range c.Pools {
		if !ofStreams(pc.Protocol) {
			continue
		}
		if p := old[name]; p != nil {
			done := p.Apply(pc, tlsConfigs[name], now)
			change.pool(done)
			for _, b := range done.Removed {
				if pc.Rebalance.Move {
					change.ConnectionsClosed += int(b.Active())
				}
			}
			if !before.Pools[name].Equal(pc) {
				change.PoolsChanged++
			}
			pools[name] = p
			continue
		}
		pools[name] = d.engine.NewPool(pc, tlsConfigs[name], rotation(), now)
		change.PoolsAdded++
	}
	for name, p := range old {
		if pools[name] == nil {
			p.Close(now)
			d.closed = append(d.closed, p)
			change.PoolsRemoved++
		}
	}
	d.pools.Store(&pools)
}

// moveStreams ends the connections at layer 4 that may not go on. It returns when to look again; 0:
// there is no hurry.
func (s *Server) moveStreams(now time.Time) (next time.Duration) {
	d, at := s.streams, wire.Now()
	s.mu.Lock()
	d.closed = slices.DeleteFunc(d.closed, func(p *stream.Pool) bool { return p.Ended(now) })
	pools := slices.Clone(d.closed)
	var retired []*stream.Clients
	for l := range s.retired {
		if l.streams != nil {
			retired = append(retired, l.streams)
		}
	}
	s.mu.Unlock()
	for _, c := range retired {
		c.Sweep(at)
	}
	for _, p := range *d.pools.Load() {
		pools = append(pools, p)
	}
	for _, p := range pools {
		if wait := p.Sweep(at); wait > 0 && (next == 0 || wait < next) {
			next = wait
		}
	}
	return next
}

// end ends what is not a connection.
func (d *streams) end(now time.Time) {
	for _, p := range *d.pools.Load() {
		p.Close(now)
	}
	d.engine.Pipes.Close()
}
