package telemetry

import (
	"math"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"pgregory.net/rapid"
)

// slotBySearch is slot without cells.
func slotBySearch(d time.Duration) int {
	for i, b := range scale.bounds {
		if d <= time.Duration(b) {
			return i
		}
	}
	return slotBounds
}

func TestSlotBoundsAscend(t *testing.T) {
	for i := 1; i < slotBounds; i++ {
		if scale.bounds[i] <= scale.bounds[i-1] {
			t.Fatalf("bound %d is %d, not above %d", i, scale.bounds[i], scale.bounds[i-1])
		}
	}
	if last := time.Duration(scale.bounds[slotBounds-1]); last != 4096*time.Second {
		t.Errorf("last bound %v, want 4096s", last)
	}
}

func TestSlotAtEveryBound(t *testing.T) {
	for i, bound := range scale.bounds {
		for _, d := range []time.Duration{time.Duration(bound) - 1, time.Duration(bound), time.Duration(bound) + 1} {
			if got, want := scale.slot(d), slotBySearch(d); got != want {
				t.Errorf("slot(%d) = %d, want %d (around bound %d)", d, got, want, i)
			}
		}
	}
	for _, d := range []time.Duration{math.MinInt64, -1, 0, 1, 15, 16, 31, 32, math.MaxInt64} {
		if got, want := scale.slot(d), slotBySearch(d); got != want {
			t.Errorf("slot(%d) = %d, want %d", d, got, want)
		}
	}
}

func TestSlotOfAnyDuration(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shift := rapid.IntRange(0, 62).Draw(t, "shift")
		d := time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "d") >> shift)
		if got, want := scale.slot(d), slotBySearch(d); got != want {
			t.Fatalf("slot(%d) = %d, want %d", d, got, want)
		}
	})
}

// durations spread over the whole range and beyond, and lie on, just below and just above every
// classic bound.
func sampleDurations() []time.Duration {
	var all []time.Duration
	for _, b := range classicBounds {
		all = append(all, b-1, b, b+1)
	}
	d := 1.0
	for range 4000 {
		d *= 1.0077
		all = append(all, time.Duration(d))
	}
	return all
}

func TestClassicBucketsAreExact(t *testing.T) {
	var h histogram
	durations := sampleDurations()
	for _, d := range durations {
		h.record(d)
	}
	got := writeHistogram(t, &h)
	for i, b := range got.Bucket {
		var want uint64
		for _, d := range durations {
			if d <= classicBounds[i] {
				want++
			}
		}
		if b.GetUpperBound() != classicBounds[i].Seconds() || b.GetCumulativeCount() != want {
			t.Errorf("le %v: %d, want le %v: %d",
				b.GetUpperBound(), b.GetCumulativeCount(), classicBounds[i].Seconds(), want)
		}
	}
	if got.GetSampleCount() != uint64(len(durations)) {
		t.Errorf("count %d, want %d", got.GetSampleCount(), len(durations))
	}
}

// The library's own native histogram, fed with the same durations, is the oracle.
func TestNativeBucketsEqualTheLibrarys(t *testing.T) {
	var h histogram
	oracle := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:                         "oracle",
		NativeHistogramBucketFactor:  1.1,
		NativeHistogramZeroThreshold: time.Duration(nativeBound(nativeFirst)).Seconds(),
	})
	d := 3.0
	for time.Duration(d) < 4000*time.Second {
		h.record(time.Duration(d))
		oracle.Observe(time.Duration(d).Seconds())
		d *= 1.00371
	}
	var m dto.Metric
	if err := oracle.Write(&m); err != nil {
		t.Fatal(err)
	}
	got, want := writeHistogram(t, &h), m.Histogram
	if got.GetSchema() != want.GetSchema() || got.GetZeroCount() != want.GetZeroCount() {
		t.Errorf("schema %d with %d at zero, want %d with %d",
			got.GetSchema(), got.GetZeroCount(), want.GetSchema(), want.GetZeroCount())
	}
	gotBuckets, wantBuckets := nativeBuckets(got), nativeBuckets(want)
	if len(gotBuckets) != len(wantBuckets) || len(gotBuckets) < 200 {
		t.Errorf("%d buckets, want %d, over 200", len(gotBuckets), len(wantBuckets))
	}
	for i, n := range wantBuckets {
		if gotBuckets[i] != n {
			t.Errorf("native bucket %d: %d, want %d", i, gotBuckets[i], n)
		}
	}
	if math.Abs(got.GetSampleSum()-want.GetSampleSum()) > 1e-6*float64(got.GetSampleCount()) {
		t.Errorf("sum %v, want %v", got.GetSampleSum(), want.GetSampleSum())
	}
}

// nativeBuckets decodes spans and deltas.
func nativeBuckets(h *dto.Histogram) map[int]int64 {
	buckets := make(map[int]int64)
	index, delta, n := 0, 0, int64(0)
	for _, span := range h.PositiveSpan {
		index += int(span.GetOffset())
		for range span.GetLength() {
			n += h.PositiveDelta[delta]
			buckets[index] = n
			index++
			delta++
		}
	}
	return buckets
}

func writeHistogram(t *testing.T, h *histogram) *dto.Histogram {
	t.Helper()
	var l Latency
	h.addTo(&l)
	var m dto.Metric
	desc := prometheus.NewDesc("test_seconds", "A test.", nil, nil)
	metric, err := newHistogramMetric(desc, &l, time.Unix(1e9, 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := metric.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.Histogram
}
