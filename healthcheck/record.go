package healthcheck

import (
	"sync"
	"time"
)

// record is what is known of one backend: its verdict and its last probes. It outlives schedules.
type record struct {
	mu         sync.Mutex // guards everything
	target     Target
	tracker    tracker
	repetition repetition
	shortage   shortage
	since      time.Time
	reason     string
	settled    bool      // a probe was observed
	judged     bool      // a probe that said something was
	lastOK     time.Time // start of the last good probe; zero: none yet
	count      uint64    // probes filed
	probes     []Probe   // a ring of HistorySize; the one filed last is at (count-1) % HistorySize
}

func newRecord(t Target, now time.Time) *record {
	r := &record{target: t, tracker: newTracker(t.Check), since: now}
	r.reason = r.unjudged("not probed yet")
	return r
}

// unjudged is the reason for a state that no probe has brought about.
func (r *record) unjudged(why string) string {
	if r.tracker.state == Checking {
		return why
	}
	return "initial: " + r.tracker.state.String() + ", " + why
}

// retarget takes over a changed check or probe address of the same backend.
func (r *record) retarget(t Target) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.target = t
	r.tracker.thresholds(t.Check.Rise, t.Check.Fall)
	r.repetition.interrupt()
}

// observe files p and returns what it meant.
func (r *record) observe(p Probe) Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settled = true
	before := r.tracker.state
	var message string
	if p.Local != "" {
		message = r.unchecked(p)
	} else {
		message = r.judge(p)
	}
	r.keep(p)
	return Result{
		Key:     r.target.Key,
		Backend: r.target.Backend,
		Probe:   p,
		State:   r.tracker.state,
		Changed: r.tracker.state != before,
		Message: message,
	}
}

// unchecked takes note of a probe that says nothing about the backend. mu must be held.
func (r *record) unchecked(p Probe) (message string) {
	if p.Local == causeCancelled {
		return ""
	}
	if !r.judged {
		r.reason = r.unjudged("not checked: " + p.Local + " here")
	}
	if !r.shortage.missed(p.end()) {
		return ""
	}
	return uncheckedMessage(r.target.Key, p.Local, r.tracker.state)
}

// judge counts a probe that says something about the backend. mu must be held.
func (r *record) judge(p Probe) (message string) {
	at := p.end()
	o := outcome{probe: p, before: r.tracker.state, lasted: at.Sub(r.since)}
	o.unchecked, o.again = r.shortage.over(at)
	if !r.lastOK.IsZero() {
		o.sinceOK = at.Sub(r.lastOK)
	}
	changed, count := r.tracker.observe(p.OK)
	o.after, o.count, o.threshold = r.tracker.state, count, r.tracker.threshold()
	switch {
	case changed:
		o.threshold = count
		r.since = at
		r.reason = o.explain()
		r.repetition.restart(p, at)
	case p.OK:
		r.repetition.interrupt()
	case o.after == Down:
		o.quiet = !r.repetition.failed(p, at)
		o.repeated = r.repetition.count
	}
	if p.OK {
		r.lastOK = p.At
	}
	r.judged = true
	return o.message(r.target.Key)
}

// abandon files p, which was cancelled, without telling anybody.
func (r *record) abandon(p Probe) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep(p)
}

// keep puts p into the ring. mu must be held.
func (r *record) keep(p Probe) {
	if len(r.probes) < HistorySize {
		r.probes = append(r.probes, p)
	} else {
		r.probes[r.count%HistorySize] = p
	}
	r.count++
}

func (r *record) probed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.settled
}

func (r *record) status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Status{
		Target: r.target,
		State:  r.tracker.state,
		Since:  r.since,
		Streak: r.tracker.streak,
		Rise:   r.tracker.rise,
		Fall:   r.tracker.fall,
		Reason: r.reason,
		Probes: make([]Probe, len(r.probes)),
	}
	for i := range s.Probes {
		s.Probes[i] = r.probes[(r.count-1-uint64(i))%HistorySize]
	}
	return s
}
