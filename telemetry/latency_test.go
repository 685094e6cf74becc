package telemetry

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestQuantileIsWithinASlot(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var h histogram
	durations := make([]time.Duration, 20000)
	for i := range durations {
		durations[i] = time.Duration(math.Exp(rnd.NormFloat64()) * float64(3*time.Millisecond))
		h.record(durations[i])
	}
	slices.Sort(durations)
	var l Latency
	h.addTo(&l)
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 0.999} {
		want := durations[int(q*float64(len(durations)))]
		got := l.Quantile(q)
		if ratio := float64(got) / float64(want); ratio < 0.91 || ratio > 1.1 {
			t.Errorf("quantile %v is %v, want %v within 9 %%", q, got, want)
		}
	}
}

func TestLatencyEdges(t *testing.T) {
	var empty Latency
	if empty.Quantile(0.5) != 0 || empty.Mean() != 0 || empty.Count() != 0 {
		t.Errorf("empty: quantile %v, mean %v, count %d", empty.Quantile(0.5), empty.Mean(), empty.Count())
	}
	var h histogram
	h.record(3 * time.Hour)
	var l Latency
	h.addTo(&l)
	if got := l.Quantile(0.5); got != 4096*time.Second {
		t.Errorf("quantile above the range is %v, want its end", got)
	}
	if got := l.Mean(); got != 3*time.Hour {
		t.Errorf("mean %v, want 3h", got)
	}
	for _, q := range []float64{-1, 2} {
		if got := l.Quantile(q); got < 0 || got > 4096*time.Second {
			t.Errorf("quantile %v is %v", q, got)
		}
	}
}

func TestSinceIsAWindow(t *testing.T) {
	var h histogram
	read := func() Latency {
		var l Latency
		h.addTo(&l)
		return l
	}
	h.record(time.Second)
	before := read()
	h.record(time.Millisecond)
	h.record(time.Millisecond)
	after := read()
	window := after.Since(&before)
	if window.Count() != 2 || window.Sum() != 0.002 {
		t.Errorf("window has %d durations of %v s, want 2 of 0.002 s", window.Count(), window.Sum())
	}
	if p99 := window.Quantile(0.99); p99 > time.Millisecond {
		t.Errorf("p99 of the window %v, want at most 1ms", p99)
	}

	h = histogram{} // the series was forgotten and made anew
	h.record(time.Millisecond)
	restarted := read()
	window = restarted.Since(&before)
	if window.Count() != 1 {
		t.Errorf("window after a restart has %d durations, want 1", window.Count())
	}
}

func TestPoolLatencySumsListeners(t *testing.T) {
	r := New(Options{})
	p := r.Pool("app")
	r.HTTP("a", "app").Done(0, Exchange{Duration: time.Millisecond, In: 10, Out: 20})
	r.HTTP("b", "app").Done(1, Exchange{Duration: time.Second, In: 1, Out: 2, Outcome: OutcomeBackendReset})
	r.HTTP("a", "other").Done(0, Exchange{Duration: time.Second})
	p.Retry(RetryReset)

	l := p.Latency()
	if l.Count() != 2 || l.Sum() != 1.001 {
		t.Errorf("%d requests of %v s, want 2 of 1.001 s", l.Count(), l.Sum())
	}
	if got := p.Quantile(1); got != time.Second {
		t.Errorf("quantile 1 is %v, want 1s", got)
	}
	want := PoolCounts{HTTPCounts: HTTPCounts{Requests: 2, Failed: 1, In: 11, Out: 22}, Retries: 1}
	if got := p.Counts(); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
}
