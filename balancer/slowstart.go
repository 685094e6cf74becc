package balancer

import (
	"time"

	"weir/config"
)

// firstRatio is the part of its weight with which a ramp begins.
const firstRatio = 0.1

// slowStart is where a backend is between cold and warm.
type slowStart struct {
	founder bool // was there when the pool was made, and has not been up yet
	cold    bool // not in service since it joined, was down or in maintenance
	warmed  bool // has carried its full weight at least once
	ramping bool
	began   time.Time
	ratio   float64 // of the weight; 1 unless ramping
	// accepted is the greatest part of its keys that the ramping backend has taken; hashes only.
	accepted float64
}

// step is how long the ratio of a ramp stands still: it grows by 0.9 over duration, so an eighteenth
// of that is 5 %. It is rounded up, or a nineteenth step would be left at the end.
func step(duration time.Duration) time.Duration {
	return min(time.Second, (duration+17)/18)
}

// curve is the ratio that a ramp of the duration has reached after elapsed.
func curve(elapsed, duration time.Duration) float64 {
	if elapsed >= duration {
		return 1
	}
	return firstRatio + (1-firstRatio)*float64(max(elapsed, 0))/float64(duration)
}

// settle brings the statuses and slow starts of all seats in line with health, overrides and
// configuration. Backends enter service in the order of the configuration.
func (p *Pool) settle(now time.Time) {
	for _, s := range p.seats {
		st := s.backend.status.Load()
		if state := s.state(); st.state != state {
			s.backend.update(func(st *status) { st.state = state })
		}
		if s.state() == config.Drain {
			s.backend.leave(now)
		} else {
			s.backend.remain()
		}
		s.leaveService()
	}
	p.settleEjections(now)
	for _, s := range p.seats {
		s.enterService(p, now)
	}
	ramping := false
	for _, s := range p.seats {
		if s.slow.ramping && p.config.SlowStart.Duration <= 0 {
			s.slow.complete()
		}
		ramping = ramping || s.slow.ramping
	}
	if !ramping {
		p.rampNext = time.Time{}
	} else if p.rampNext.IsZero() {
		p.rampNext = now.Add(step(p.config.SlowStart.Duration))
	}
}

// leaveService makes a backend cold that is down or in maintenance. One that has not been up yet
// is cold already.
func (s *seat) leaveService() {
	if s.backend.Health() == Up && s.state() != config.Maintenance {
		return
	}
	if !s.slow.founder {
		s.slow.cold, s.slow.ramping, s.slow.ratio = true, false, 1
	}
}

// enterService starts the ramp of a cold backend that begins to take flows, or skips it.
func (s *seat) enterService(p *Pool, now time.Time) {
	if s.backend.Health() != Up {
		return
	}
	if s.slow.founder {
		s.slow.founder, s.slow.cold = false, s.state() == config.Maintenance
		s.slow.warmed = !s.slow.cold
	}
	if !s.slow.cold || s.state() != config.Ready || s.weight() == 0 {
		return
	}
	s.slow.cold = false
	c := p.config.SlowStart
	if c.Duration <= 0 || s.slow.warmed && !c.Repeat || !p.warmHoldsHalf(s) {
		s.slow.complete()
		return
	}
	s.slow.ramping, s.slow.began, s.slow.ratio, s.slow.accepted = true, now, firstRatio, 0
}

func (s *slowStart) complete() { s.ramping, s.ratio, s.warmed = false, 1, true }

// warmHoldsHalf reports whether the others of joining's kind, primaries or backups, that are in
// service at their full weight hold at least half of the weight of that kind. With less, a ramp
// would put the load of many on a few.
func (p *Pool) warmHoldsHalf(joining *seat) bool {
	var warm, all int
	for _, s := range p.seats {
		if s.file.Backup != joining.file.Backup {
			continue
		}
		all += s.weight()
		inService := s.backend.Health() == Up && s.backend.Ejection() == nil && s.state() == config.Ready
		if s != joining && inService && !s.slow.cold && !s.slow.ramping {
			warm += s.weight()
		}
	}
	return 2*warm >= all
}

// Ramp advances the slow starts to now and returns when to call it again; the zero time means that
// nothing ramps. All backends of a pool step together, so a ramp may end up to one step late. Until
// it is called, a ramp stands still: a late call delays, it never jumps above the curve.
func (p *Pool) Ramp(now time.Time) (next time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rampNext.IsZero() || now.Before(p.rampNext) {
		return p.rampNext
	}
	duration := p.config.SlowStart.Duration
	ramping := false
	for _, s := range p.seats {
		if !s.slow.ramping {
			continue
		}
		// A ratio never falls, also when a reload made the duration longer: a hash key would go back.
		s.slow.ratio = max(s.slow.ratio, curve(now.Sub(s.slow.began), duration))
		if s.slow.ratio >= 1 {
			s.slow.complete()
		}
		ramping = ramping || s.slow.ramping
	}
	p.rampNext = time.Time{}
	if ramping {
		p.rampNext = now.Add(step(duration))
	}
	p.publish()
	return p.rampNext
}
