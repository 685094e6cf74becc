package proxy

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"weir/proxy/exchange"
	"weir/proxy/wire"
)

// stewardRound is how often the steward looks at the pools when nothing ramps.
const stewardRound = time.Second

// steward is the goroutine with the clock: slow starts advance, idle connections age, backends drain and
// certificates are looked at.
type steward struct {
	server *Server
	awake  chan struct{}
	quit   chan struct{}
	done   chan struct{}

	work   sync.Mutex    // held during a round, and by those who want none to begin
	rounds atomic.Uint64 // that have been made

	mu     sync.Mutex
	closed []*exchange.Pool // that are no longer configured, while something is left of them
}

func newSteward(s *Server) *steward {
	w := &steward{server: s, awake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	return w
}

// follow makes the steward look after a pool that has been closed, until nothing is left of it.
func (w *steward) follow(p *exchange.Pool) {
	w.mu.Lock()
	w.closed = append(w.closed, p)
	w.mu.Unlock()
}

// wake makes the steward look now: a slow start may have begun, or a time-out be shorter.
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
	var outlook outlook
	for {
		select {
		case <-w.quit:
			return
		case <-w.awake:
		case <-timer.C:
		}
		w.work.Lock()
		now := time.Now()
		w.server.engine.SetTime(now)
		if now.Sub(swept) >= stewardRound {
			swept = now
			w.sweep()
			w.server.sweepDatagrams(now)
			w.server.retainSeries()
			w.server.streams.engine.Pipes.Sweep()
		}
		if now.Sub(refreshed) >= refreshRound {
			refreshed = now
			w.server.refreshCertificates()
		}
		outlook.look(w.server, now)
		w.server.observeMemory()
		w.drain(now)
		w.server.closeEntrances(now)
		wait := min(w.ramp(now), stewardRound)
		if next := w.server.moveStreams(now); next > 0 {
			wait = min(wait, next)
		}
		w.rounds.Add(1)
		w.work.Unlock()
		if w.server.engine.Memory.Limited() {
			wait = min(wait, memoryRound)
		}
		timer.Reset(wait)
	}
}

// ramp advances the slow starts and returns how long until the next step.
func (w *steward) ramp(now time.Time) time.Duration {
	wait := stewardRound
	for _, p := range w.server.balancers() {
		if next := p.Ramp(now); !next.IsZero() {
			wait = min(wait, max(next.Sub(now), time.Millisecond))
		}
	}
	return wait
}

// drain cuts what has been on its way out for long enough.
func (w *steward) drain(now time.Time) {
	for _, p := range *w.server.pools.Load() {
		p.Drain(now)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = slices.DeleteFunc(w.closed, func(p *exchange.Pool) bool {
		p.Drain(now)
		return p.Ended(now)
	})
}

func (w *steward) sweep() {
	now := wire.Now()
	for _, p := range *w.server.pools.Load() {
		p.Sweep(now)
	}
}
