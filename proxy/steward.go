package proxy

import (
	"time"

	"weir/proxy/wire"
)

// stewardRound is how often the steward looks at the pools when nothing ramps.
const stewardRound = time.Second

// steward is the goroutine with the clock: slow starts advance, idle connections age and certificates
// are looked at.
type steward struct {
	server *Server
	awake  chan struct{}
	quit   chan struct{}
	done   chan struct{}
}

func newSteward(s *Server) *steward {
	w := &steward{server: s, awake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	return w
}

// wake makes the steward look now: a slow start may have begun.
func (w *steward) wake() {
	select {
	case w.awake <- struct{}{}:
	default:
	}
}

// stop ends the steward and waits for it.
func (w *steward) stop() {
	close(w.quit)
	<-w.done
}

func (w *steward) run() {
	defer close(w.done)
	timer := time.NewTimer(stewardRound)
	defer timer.Stop()
	swept, refreshed := time.Now(), time.Now()
	for {
		select {
		case <-w.quit:
			return
		case <-w.awake:
		case <-timer.C:
		}
		now := time.Now()
		if now.Sub(swept) >= stewardRound {
			swept = now
			w.sweep()
		}
		if now.Sub(refreshed) >= refreshRound {
			refreshed = now
			w.server.refreshCertificates()
		}
		timer.Reset(min(w.ramp(now), stewardRound))
	}
}

// ramp advances the slow starts and returns how long until the next step.
func (w *steward) ramp(now time.Time) time.Duration {
	wait := stewardRound
	for _, p := range *w.server.pools.Load() {
		if next := p.Balancer.Ramp(now); !next.IsZero() {
			wait = min(wait, max(next.Sub(now), time.Millisecond))
		}
	}
	return wait
}

func (w *steward) sweep() {
	now := wire.Now()
	for _, p := range *w.server.pools.Load() {
		p.Sweep(now)
	}
}
