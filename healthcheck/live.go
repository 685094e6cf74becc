package healthcheck

import (
	"sync/atomic"
	"time"
)

// connectFailedEvery is the shortest time between two failures of live traffic that count.
const connectFailedEvery = time.Second

// liveFailure is a connection attempt of live traffic that failed.
type liveFailure struct {
	at  time.Time
	err error
}

// inbox takes failures of live traffic from any goroutine: one at a time, and not too often.
type inbox struct {
	waiting chan liveFailure // holds one
	every   time.Duration
	next    atomic.Int64 // Unix nanoseconds; earlier failures are dropped
}

func newInbox(every time.Duration) inbox {
	return inbox{waiting: make(chan liveFailure, 1), every: every}
}

// put leaves f unless it comes too soon after the one before. It never blocks.
func (in *inbox) put(f liveFailure) {
	next := in.next.Load()
	if f.at.UnixNano() < next || !in.next.CompareAndSwap(next, f.at.Add(in.every).UnixNano()) {
		return
	}
	select {
	case in.waiting <- f:
	default: // one waits already, behind a probe that hangs
	}
}

// liveProbe is the probe that a failed connection attempt of live traffic counts as.
func liveProbe(t Target, f liveFailure) Probe {
	return Probe{
		At:     f.at,
		Phase:  PhaseConnect,
		Reason: "live traffic: connect " + t.Backend.String() + " → " + describe(f.err),
		Local:  localCause(f.err),
	}
}
