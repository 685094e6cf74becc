package telemetry

import (
	"sync/atomic"
	"time"
)

// histogram counts durations; it is one shard of one series. Recording is two atomic additions.
type histogram struct {
	slots  [slotCount]atomic.Uint64
	micros atomic.Uint64 // sum in µs: in ns it would wrap within weeks under 10,000 open requests
}

func (h *histogram) record(d time.Duration) {
	h.slots[scale.slot(d)].Add(1)
	h.micros.Add((uint64(max(d, 0)) + 500) / 1000)
}

// addTo adds what was counted to l.
func (h *histogram) addTo(l *Latency) {
	for i := range h.slots {
		l.slots[i] += h.slots[i].Load()
	}
	l.micros += h.micros.Load()
}

// Latency is a distribution of durations as it was at one moment. It is a value: copies are
// independent. The zero value is the empty distribution.
type Latency struct {
	slots  [slotCount]uint64
	micros uint64
}

// Add adds another distribution to l.
func (l *Latency) Add(other *Latency) {
	for i, n := range other.slots {
		l.slots[i] += n
	}
	l.micros += other.micros
}

// Since is the distribution of what was counted after older was read from the same source: a
// window. Where older has more, the source was replaced in between and counts as empty before.
func (l *Latency) Since(older *Latency) Latency {
	window := *l
	for i, n := range older.slots {
		if n > l.slots[i] {
			return *l
		}
		window.slots[i] -= n
	}
	window.micros -= min(older.micros, window.micros)
	return window
}

// Count is the number of durations.
func (l *Latency) Count() uint64 {
	var n uint64
	for _, c := range l.slots {
		n += c
	}
	return n
}

// Sum is the sum of the durations, in seconds. Each was rounded to a microsecond.
func (l *Latency) Sum() float64 { return float64(l.micros) / 1e6 }

// Mean is the average duration, 0 if there is none.
func (l *Latency) Mean() time.Duration {
	n := l.Count()
	if n == 0 {
		return 0
	}
	return time.Duration(float64(l.micros) / float64(n) * float64(time.Microsecond))
}

// Quantile is the duration that a share q (0…1) of the durations does not exceed, interpolated
// within its slot: off by at most 9 % from 15 µs to 68 min. It is 0 if there are none; above the
// range it is the range's end.
func (l *Latency) Quantile(q float64) time.Duration {
	total := l.Count()
	if total == 0 {
		return 0
	}
	rank := min(max(q, 0), 1) * float64(total)
	var below float64
	for i, n := range l.slots[:slotBounds] {
		if n == 0 || below+float64(n) < rank {
			below += float64(n)
			continue
		}
		lower := uint64(0)
		if i > 0 {
			lower = scale.bounds[i-1]
		}
		width := float64(scale.bounds[i] - lower)
		return time.Duration(float64(lower) + width*(rank-below)/float64(n))
	}
	return time.Duration(scale.bounds[slotBounds-1])
}
