package proxy

import (
	"time"

	"go.uber.org/zap"

	"weir/balancer"
	"weir/config"
	"weir/healthcheck"
	"weir/telemetry"
)

// probe makes the monitor follow c, in place of before. A pool that is another one under the same name,
// because it has changed to protocols that somebody else serves, has backends that nobody has checked: what
// is known of those of the old one goes first.
func (s *Server) probe(c, before *config.Config) {
	others := map[string]bool{}
	for name, p := range c.Pools {
		if old := before.Pools[name]; old != nil && (ofStreams(p.Protocol) != ofStreams(old.Protocol) || ofDatagrams(p.Protocol) != ofDatagrams(old.Protocol)) {
			others[name] = true
		}
	}
	if len(others) > 0 {
		s.monitor.Apply(targets(c, others))
	}
	s.monitor.Apply(targets(c, nil))
}

// targets lists what a configuration wants probed, but for some pools.
func targets(c *config.Config, without map[string]bool) []healthcheck.Target {
	var list []healthcheck.Target
	for name, p := range c.Pools {
		if p.Health == nil || without[name] {
			continue
		}
		for _, b := range p.Backends {
			list = append(list, healthcheck.Target{
				Key: healthcheck.Key{Pool: name, Backend: b.Name}, Addr: b.ProbeAddress, Check: p.Health, Backend: b.Address, Host: b.Host,
			})
		}
	}
	return list
}

// observe takes the result of a probe: it is counted, logged and, if it changed the verdict,
// reported to the balancer.
func (s *Server) observe(r healthcheck.Result) {
	pool := s.balancer(r.Key.Pool)
	if pool == nil {
		return // it was removed while the probe was under way
	}
	if r.Probe.Local == "" { // else it says nothing about the backend
		s.stats.Pool(r.Key.Pool).Probe(r.Key.Backend, r.Probe.OK, r.Probe.Duration)
	}
	if r.Message != "" {
		s.logProbe(r)
	}
	if !r.Changed {
		return
	}
	s.events(telemetry.Event{
		Kind: telemetry.EventHealth, Pool: r.Key.Pool, Backend: r.Key.Backend, Message: r.Message,
		Fields: map[string]string{"state": r.State.String()},
	})
	if b := find(pool, r); b != nil && pool.Report(b, r.State == healthcheck.Up, time.Now()) {
		s.steward.wake()
	}
}

// balancer returns the pool in service of that name, nil if there is none.
func (s *Server) balancer(name string) *balancer.Pool {
	if p := (*s.pools.Load())[name]; p != nil {
		return p.Balancer
	}
	if p := (*s.streams.pools.Load())[name]; p != nil {
		return p.Balancer
	}
	if p := (*s.datagrams.pools.Load())[name]; p != nil {
		return p.Balancer
	}
	return nil
}

// balancers lists the pools in service.
func (s *Server) balancers() (list []*balancer.Pool) {
	for _, p := range *s.pools.Load() {
		list = append(list, p.Balancer)
	}
	for _, p := range *s.streams.pools.Load() {
		list = append(list, p.Balancer)
	}
	for _, p := range *s.datagrams.pools.Load() {
		list = append(list, p.Balancer)
	}
	return list
}

// find returns the backend that a result is about: one of that name and address.
func find(pool *balancer.Pool, r healthcheck.Result) *balancer.Backend {
	for _, m := range pool.Snapshot().Members() {
		if m.Backend.Name() == r.Key.Backend && m.Backend.Address() == r.Backend {
			return m.Backend
		}
	}
	return nil
}

// probePanicked logs and counts a defect of ours.
func (s *Server) probePanicked(v any, stack []byte) {
	s.stats.Panic()
	s.log.Error("panic in a health check", zap.Any("panic", v), zap.ByteString("stack", stack))
}

// logProbe writes what an operator needs at night: that a backend changed, and why.
func (s *Server) logProbe(r healthcheck.Result) {
	fields := []zap.Field{zap.String("pool", r.Key.Pool), zap.String("backend", r.Key.Backend)}
	if r.Probe.Local != "" || (r.Changed && r.State == healthcheck.Down) {
		s.log.Warn(r.Message, fields...)
		return
	}
	s.log.Info(r.Message, fields...)
}

// connectFailed tells the monitor that live traffic could not connect.
func (s *Server) connectFailed(pool string, b *balancer.Backend, err error) {
	s.monitor.ConnectFailed(healthcheck.Key{Pool: pool, Backend: b.Name()}, b.Address(), err)
}
