package admit

import (
	"sync/atomic"
	"time"
)

// Pace bounds the new connections of a listener: as many as a second's worth at once, then evenly.
// A nil *Pace sets no limit.
type Pace struct {
	gcra  gcra
	state atomic.Int64
}

// NewPace allows perSecond connections a second, rounded as those of a Rate and at most 1e9. With 0
// or less there is no limit and the result is nil.
func NewPace(perSecond int) *Pace {
	if perSecond <= 0 {
		return nil
	}
	perSecond = min(perSecond, maxRate)
	g, err := newGCRA(float64(perSecond), perSecond)
	if err != nil {
		panic(err) // every rate from 1 to maxRate is good, with a burst that takes a second
	}
	return &Pace{gcra: g}
}

// Allow takes one connection at the time now, in ns, if there is one to take.
func (p *Pace) Allow(now int64) bool {
	if p == nil {
		return true
	}
	for {
		state := p.state.Load()
		next, wait := p.gcra.take(state, now)
		if wait > 0 {
			return false
		}
		if p.state.CompareAndSwap(state, next) {
			return true
		}
	}
}

// Wait is how long after now Allow will have one to take, 0 if it has one already. It takes
// nothing. An accept loop may wait that long and leave clients in the kernel's queue instead of
// turning them away.
func (p *Pace) Wait(now int64) time.Duration {
	if p == nil {
		return 0
	}
	_, wait := p.gcra.take(p.state.Load(), now)
	return time.Duration(max(wait, 0))
}
