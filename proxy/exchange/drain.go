package exchange

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"weir/telemetry"
)

// errCut is the error of a connection to a backend that was ended because the backend had drained, or
// was removed, for as long as its pool allows.
var errCut = errors.New("the time of the backend to drain has passed")

var (
	// errDrained is what a request gets that had no answer yet.
	errDrained  = &failure{503, telemetry.OutcomeDrainTimeout, "the backend was taken out of service before it answered", false, true}
	lostDrained = &failure{outcome: telemetry.OutcomeDrainTimeout, reason: "cut off: drain_timeout of the backend had passed"}
)

// Drain cuts what is left on backends whose drain_timeout has passed. It is called about once a second.
func (p *Pool) Drain(now time.Time) {
	for _, b := range p.Balancer.Drained(now) {
		if n := b.Peer().(*peer).cut(); n > 0 {
			p.engine.Log.Warn("drain_timeout has passed: what was left on the backend is cut",
				zap.String("pool", p.Balancer.Name()), zap.String("backend", b.Name()), zap.Int("connections", n))
		}
	}
}

// cut ends the connections to the backend, those in use too, and returns how many. Their owners close
// them.
func (p *peer) cut() (n int) {
	for _, c := range p.all() {
		if c.cut.CompareAndSwap(false, true) {
			c.wire.Shutdown()
			n++
		}
	}
	return n
}

// all lists the connections to the backend, so that they can be ended without holding mu.
func (p *peer) all() []*backendConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]*backendConn, 0, len(p.conns))
	for c := range p.conns {
		list = append(list, c)
	}
	return list
}

// opened and closed keep the books of the connections to the backend.
func (p *peer) opened(c *backendConn) {
	p.mu.Lock()
	p.conns[c] = struct{}{}
	p.mu.Unlock()
	p.stats.ConnectionOpened()
}

func (p *peer) closed(c *backendConn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	p.stats.ConnectionClosed()
}
