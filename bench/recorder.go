package bench

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// recorder gathers what the connections of one run see. One mutex serves them all: it is held for
// some 30 ns an exchange, and a load generator has few cores.
type recorder struct {
	openLoop bool

	mu         sync.Mutex
	open       bool      // the window is open
	opened     time.Time // zero: the window was not opened
	closed     time.Time // zero: the window was not closed
	total      uint64
	requests   uint64
	received   uint64
	unfinished uint64
	reconnects uint64
	statuses   map[int]uint64
	errors     map[Failure]uint64
	firstError error
	latency    *hdrhistogram.Histogram
}

func newRecorder(openLoop bool) *recorder {
	return &recorder{
		openLoop: openLoop,
		statuses: map[int]uint64{},
		errors:   map[Failure]uint64{},
		latency:  newHistogram(),
	}
}

// openWindow starts the measured part.
func (r *recorder) openWindow(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open, r.opened = true, now
}

// closeWindow ends the measured part. An open loop still waits for what was due before now.
func (r *recorder) closeWindow(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open {
		r.open, r.closed = false, now
	}
}

// add accounts for one response whose exchange began (closed loop) or was due (open loop) at from.
func (r *recorder) add(from, to time.Time, rep reply) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total++
	if r.open {
		r.requests++
		r.received += uint64(rep.size)
		if rep.status != 0 {
			r.statuses[rep.status]++
		}
	}
	if r.openLoop && r.dueInside(from) || !r.openLoop && r.open {
		r.wait(to.Sub(from))
	}
}

// fail accounts for an exchange without a usable response.
func (r *recorder) fail(kind Failure, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors[kind]++
	if r.firstError == nil {
		r.firstError = err
	}
}

// abandon accounts for an open-loop request that was due and is given up unsent.
func (r *recorder) abandon(due, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dueInside(due) {
		r.unfinished++
		r.wait(now.Sub(due))
	}
}

// reconnected counts a connection that the server had closed between two requests.
func (r *recorder) reconnected() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reconnects++
}

// dueInside reports whether the instant lies in the window; mu must be held.
func (r *recorder) dueInside(due time.Time) bool {
	return !r.opened.IsZero() && !due.Before(r.opened) && (r.closed.IsZero() || due.Before(r.closed))
}

// wait records a duration within the histogram's bounds; mu must be held.
func (r *recorder) wait(d time.Duration) {
	d = min(max(d, lowestLatency), highestLatency)
	if err := r.latency.RecordValue(int64(d)); err != nil {
		panic("bench: latency " + d.String() + " is outside the histogram: " + err.Error())
	}
}

// result is called once, after every connection has stopped.
func (r *recorder) result(offered float64) Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	var elapsed time.Duration
	if !r.opened.IsZero() {
		elapsed = r.closed.Sub(r.opened)
	}
	return Result{
		Elapsed:    elapsed,
		Requests:   r.requests,
		Total:      r.total,
		Received:   r.received,
		Offered:    offered,
		Unfinished: r.unfinished,
		Statuses:   r.statuses,
		Errors:     r.errors,
		FirstError: r.firstError,
		Reconnects: r.reconnects,
		Latency:    Latency{r.latency},
	}
}
