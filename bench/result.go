package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a run of Load measured.
type Result struct {
	Elapsed  time.Duration // length of the window as it was
	Requests uint64        // responses received inside the window, whatever their status
	Total    uint64        // responses received in the whole run
	Received uint64        // bytes of the responses inside the window, heads included
	Offered  float64       // requests per second asked for; 0: closed loop

	// Unfinished counts open-loop requests that were due inside the window and never sent, for want
	// of a free connection. They are in Latency with the time that they had waited.
	Unfinished uint64
	Statuses   map[int]uint64     // of the responses inside the window
	Errors     map[Failure]uint64 // exchanges of the whole run that brought no usable response
	FirstError error              // an example of them; nil: there was none
	Reconnects uint64             // in the whole run: idle connections that the server had closed

	// Latency of the exchanges inside the window: in an open loop of those due in it, from the
	// instant at which they were due; in a closed loop from their sending.
	Latency Latency
}

// Rate is the achieved number of responses per second.
func (r Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Requests) / r.Elapsed.Seconds()
}

// Failed counts the exchanges without a usable response and the responses with status 400 or more.
func (r Result) Failed() uint64 {
	var n uint64
	for _, count := range r.Errors {
		n += count
	}
	for status, count := range r.Statuses {
		if status >= 400 {
			n += count
		}
	}
	return n
}

// Bounds and precision of latencies: 1 µs to 10 minutes with three significant digits.
const (
	lowestLatency  = time.Microsecond
	highestLatency = 10 * time.Minute
	latencyDigits  = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(lowestLatency), int64(highestLatency), latencyDigits)
}

// Latency is a distribution of durations. The zero value is empty. It is read-only and may be used
// by several goroutines.
type Latency struct{ h *hdrhistogram.Histogram }

// Count is the number of durations.
func (l Latency) Count() uint64 {
	if l.h == nil {
		return 0
	}
	return uint64(l.h.TotalCount())
}

// Quantile is the duration that a share q (0…1) of all did not exceed, to three digits; 0 if empty.
func (l Latency) Quantile(q float64) time.Duration {
	if l.Count() == 0 {
		return 0
	}
	return time.Duration(l.h.ValueAtQuantile(100 * q))
}

// Max is the longest duration, to three digits and at most 10 minutes.
func (l Latency) Max() time.Duration {
	if l.Count() == 0 {
		return 0
	}
	return time.Duration(l.h.Max())
}

// Mean is the average duration.
func (l Latency) Mean() time.Duration {
	if l.Count() == 0 {
		return 0
	}
	return time.Duration(l.h.Mean())
}
