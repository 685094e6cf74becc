package admit

import (
	"fmt"
	"math"
	"time"
)

const (
	maxRate = 1e9                                       // a second: one each nanosecond
	maxSpan = float64(10 * 365 * 24 * int64(time.Hour)) // keeps sums of times inside an int64
)

// gcra is a rate and a burst in the terms of the generic cell rate algorithm. Its state is one
// time, at which all that was taken so far is made good; 0 to begin with.
type gcra struct {
	interval int64 // ns that each event takes to be made good, ≥ 1
	span     int64 // ns that may be owed: interval × burst
}

// newGCRA takes events a second, above 0 and at most 1e9, and a burst of at least 1. The interval
// is rounded to a nanosecond: up to 1e6 events a second the rate is exact to 0.05 %.
func newGCRA(rate float64, burst int) (gcra, error) {
	if math.IsNaN(rate) || rate <= 0 || rate > maxRate {
		return gcra{}, fmt.Errorf("the rate is above 0 and at most %g a second, not %g", float64(maxRate), rate)
	}
	if burst < 1 {
		return gcra{}, fmt.Errorf("the burst is at least 1, not %d", burst)
	}
	interval := max(math.Round(1e9/rate), 1)
	if interval*float64(burst) > maxSpan {
		return gcra{}, fmt.Errorf("a burst of %d at a rate of %g a second takes more than ten years", burst, rate)
	}
	return gcra{interval: int64(interval), span: int64(interval) * int64(burst)}, nil
}

// take returns the state after one more event, which conforms if wait is not above 0; else wait is
// how many ns later it would.
func (g gcra) take(state, now int64) (next, wait int64) {
	next = max(state, now) + g.interval
	return next, next - now - g.span
}
