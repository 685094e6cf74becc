package healthcheck

import (
	"context"
	"math/rand/v2"
	"runtime/debug"
	"sync/atomic"
	"time"
)

const (
	// spreadLimit bounds the time over which the first probes are spread.
	spreadLimit = 500 * time.Millisecond
	// jitter is the largest deviation from the interval, as a share of it.
	jitter = 0.1
)

// schedule probes one target, from one goroutine, until it is stopped.
type schedule struct {
	m      *Monitor
	target Target
	prober atomic.Pointer[prober]
	record *record // shared with the schedule before and after it if the backend is the same
	rand   *rand.Rand
	after  <-chan struct{} // closed when the schedule before it has ended; nil: there is none
	done   chan struct{}   // closed when run has returned

	ctx  context.Context
	stop context.CancelFunc

	failures  inbox // of live traffic
	shortages inbox // of live traffic, for want of something here

	// owned by run
	timedOut bool // the last probe ran into its deadline
	late     bool // the coming probe is counted as overdue
}

// newSchedule makes a schedule without starting it; the caller sets record and after. m.mu must be
// held.
func newSchedule(m *Monitor, t Target, r recipe) *schedule {
	s := &schedule{
		m:      m,
		target: t,
		rand:   rand.New(rand.NewPCG(m.rand.Uint64(), m.rand.Uint64())),
		done:   make(chan struct{}),

		failures: newInbox(connectFailedEvery),
		// They count for nothing, and must not push the probes out of the history.
		shortages: newInbox(max(t.Check.Interval, connectFailedEvery)),
	}
	s.ctx, s.stop = context.WithCancel(m.ctx)
	p := r.prober(t.Addr, t.host())
	s.prober.Store(&p)
	return s
}

// refresh takes over a check that was compiled afresh, for its TLS files, unless it is worse than
// the one in use.
func (s *schedule) refresh(r recipe) {
	if r.err == nil && r.readsFiles {
		p := r.prober(s.target.Addr, s.target.host())
		s.prober.Store(&p)
	}
}

// connectFailed leaves a failure of live traffic for run.
func (s *schedule) connectFailed(at time.Time, err error) {
	in := &s.failures
	if localCause(err) != "" {
		in = &s.shortages
	}
	in.put(liveFailure{at, err})
}

// run is the life of the schedule.
func (s *schedule) run() {
	defer close(s.done)
	defer s.stop()
	if s.after != nil {
		<-s.after
	}
	timer := time.NewTimer(s.spread())
	defer timer.Stop()
	for s.ctx.Err() == nil {
		select {
		case <-s.ctx.Done():
		case f := <-s.failures.waiting:
			s.file(liveProbe(s.target, f))
			timer.Reset(0)
		case f := <-s.shortages.waiting:
			s.file(liveProbe(s.target, f)) // a probe now would need what is short
		case <-timer.C:
			if due, ok := s.probe(); ok {
				timer.Reset(time.Until(due))
			}
		}
	}
}

// probe runs the probe that is due, files it and returns when the next one is. ok is false when the
// schedule has ended.
func (s *schedule) probe() (due time.Time, ok bool) {
	slow := s.timedOut
	if !s.m.slots.enter(s.ctx, slow, s.countLate) {
		return time.Time{}, false
	}
	s.late = false
	p := s.attempt()
	s.m.slots.leave(slow)
	if s.ctx.Err() != nil { // it was cancelled, or nobody wants to know any more
		if p.Local != "" {
			s.record.abandon(p)
		}
		return time.Time{}, false
	}
	s.file(p)
	due = p.At.Add(s.interval())
	if now := time.Now(); due.Before(now) {
		s.countLate()
		due = now
	}
	return due, true
}

// countLate counts the coming probe as overdue, once.
func (s *schedule) countLate() {
	if !s.late {
		s.late = true
		s.m.overdue.Add(1)
	}
}

// attempt runs one probe within the time-out of the check. A panic, which is a defect of ours, is told of and
// says nothing about the backend.
func (s *schedule) attempt() (p Probe) {
	ctx, cancel := context.WithTimeout(s.ctx, s.target.Check.Timeout)
	defer cancel()
	at := time.Now()
	defer func() {
		if v := recover(); v != nil {
			s.m.panicked(v, debug.Stack())
			p = Probe{Local: causePanic}
		}
		p.At, p.Duration = at, time.Since(at)
		s.timedOut = ctx.Err() != nil
	}()
	return (*s.prober.Load()).probe(ctx, s.m.opener)
}

// file records an outcome and tells of it.
func (s *schedule) file(p Probe) {
	s.m.observe(s.record.observe(p))
}

// spread is the time before the first probe.
func (s *schedule) spread() time.Duration {
	limit := min(s.target.Check.Interval, spreadLimit)
	return time.Duration(s.rand.Float64() * float64(limit))
}

// interval is the time from the start of a probe to the start of the next.
func (s *schedule) interval() time.Duration {
	return time.Duration(float64(s.target.Check.Interval) * (1 - jitter + 2*jitter*s.rand.Float64()))
}
