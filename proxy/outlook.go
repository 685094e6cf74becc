package proxy

import (
	"fmt"
	"time"

	"go.uber.org/zap"

	"weir/balancer"
	"weir/telemetry"
)

// ejected counts and logs that live traffic has put a backend out of service.
func (s *Server) ejected(pool string, b *balancer.Backend, e balancer.Ejection) {
	s.stats.Backend(pool, b.Name()).Ejected(e.Why)
	s.log.Warn("backend ejected: live traffic failed on it", zap.String("pool", pool), zap.String("backend", b.Name()),
		zap.Stringer("reason", e.Why), zap.Duration("for", e.Until.Sub(e.Since)), zap.Int("times", e.Times))
	s.events(telemetry.Event{
		Kind: telemetry.EventEjection, Pool: pool, Backend: b.Name(),
		Message: fmt.Sprintf("%s/%s ejected for %s: live traffic failed on it", pool, b.Name(), e.Until.Sub(e.Since).Round(time.Second)),
		Fields:  map[string]string{"state": "ejected", "reason": e.Why.String()},
	})
}

// outlook ends the ejections that are over, and tells of pools that begin or cease to serve in need.
type outlook struct {
	tiers map[*balancer.Pool]balancer.Tier // as they were told
}

// look is called about once a second, and soon after a verdict about a backend.
func (o *outlook) look(s *Server, now time.Time) {
	pools := s.balancers()
	tiers := make(map[*balancer.Pool]balancer.Tier, len(pools))
	for _, p := range pools {
		for _, b := range p.Readmit(now) {
			s.log.Info("backend back from its ejection", zap.String("pool", p.Name()), zap.String("backend", b.Name()))
			s.events(telemetry.Event{
				Kind: telemetry.EventEjection, Pool: p.Name(), Backend: b.Name(),
				Message: p.Name() + "/" + b.Name() + " back from its ejection", Fields: map[string]string{"state": "back"},
			})
		}
		snapshot := p.Snapshot()
		if snapshot.Tier() == balancer.TierNone && (snapshot.Undecided() || checking(snapshot)) {
			continue // too early to say
		}
		before, known := o.tiers[p]
		if tier := snapshot.Tier(); tier != before || !known {
			s.tell(p.Name(), snapshot, before)
		}
		tiers[p] = snapshot.Tier()
	}
	o.tiers = tiers
}

// tell logs what an operator must know about who serves in a pool, and that it is over.
func (s *Server) tell(pool string, snapshot *balancer.Snapshot, before balancer.Tier) {
	name, up, all := zap.String("pool", pool), 0, len(snapshot.Members())
	for _, m := range snapshot.Members() {
		if m.Health == balancer.Up {
			up++
		}
	}
	tier, say := snapshot.Tier(), s.log.Warn
	var message string
	switch tier {
	case balancer.TierFailOpen:
		message = "pool fails open: fewer backends than min_healthy are usable, so all get traffic whatever their health"
	case balancer.TierNone:
		message = "pool has no usable backend: its clients are refused"
	case balancer.TierBackup, balancer.TierDraining:
		message = "pool has no usable primary backend: " + tier.String() + " ones serve"
	default:
		if before == balancer.TierPrimary {
			return
		}
		message, say = "pool is served by its primary backends", s.log.Info
	}
	say(message, name, zap.Int("up", up), zap.Int("backends", all))
	s.events(telemetry.Event{Kind: telemetry.EventPool, Pool: pool, Message: pool + ": " + message, Fields: map[string]string{"tier": tier.String()}})
}

// checking reports whether some verdict of the pool is still to come.
func checking(s *balancer.Snapshot) bool {
	for _, m := range s.Members() {
		if m.Health == balancer.Checking {
			return true
		}
	}
	return false
}
