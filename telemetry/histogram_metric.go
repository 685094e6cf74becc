package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// histogramMetric is one scrape of a Latency, as a classic and as a native histogram at once. The
// library has constant metrics of either kind but not of both: this is the classic one, to which
// Write adds the native part.
type histogramMetric struct {
	prometheus.Metric
	latency *Latency
}

// newHistogramMetric keeps l, which must not change any more.
func newHistogramMetric(
	desc *prometheus.Desc, l *Latency, created time.Time, labels ...string,
) (prometheus.Metric, error) {
	m, err := prometheus.NewConstHistogramWithCreatedTimestamp(
		desc, l.Count(), l.Sum(), classicBuckets(l), created, labels...)
	if err != nil {
		return nil, err
	}
	return histogramMetric{m, l}, nil
}

// Write implements prometheus.Metric.
func (m histogramMetric) Write(out *dto.Metric) error {
	if err := m.Metric.Write(out); err != nil {
		return err
	}
	addNative(out.Histogram, m.latency)
	return nil
}

// classicBuckets are the cumulative counts by upper bound; +Inf follows from the count.
func classicBuckets(l *Latency) map[float64]uint64 {
	var perBucket [len(classicBounds) + 1]uint64
	for i, n := range l.slots {
		perBucket[scale.classic[i]] += n
	}
	buckets := make(map[float64]uint64, len(classicBounds))
	var below uint64
	for i, bound := range classicBounds {
		below += perBucket[i]
		buckets[bound.Seconds()] = below
	}
	return buckets
}

// addNative fills the sparse buckets: runs of neighbours (spans), and for each bucket the
// difference to the one before. Buckets without observations are left out.
func addNative(h *dto.Histogram, l *Latency) {
	schema, threshold := int32(nativeSchema), time.Duration(nativeBound(nativeFirst)).Seconds()
	var zero uint64
	h.Schema, h.ZeroThreshold, h.ZeroCount = &schema, &threshold, &zero

	var perBucket [nativeLast + 1 - nativeFirst + 1]uint64
	for i, n := range l.slots {
		perBucket[scale.native[i]-nativeFirst] += n
	}
	zero = perBucket[0]
	end, previous := 0, int64(0) // end: the bucket after the last span
	for i, n := range perBucket[1:] {
		if n == 0 {
			continue
		}
		bucket := nativeFirst + 1 + i
		if len(h.PositiveSpan) == 0 || bucket != end {
			offset, length := int32(bucket-end), uint32(0)
			h.PositiveSpan = append(h.PositiveSpan, &dto.BucketSpan{Offset: &offset, Length: &length})
		}
		*h.PositiveSpan[len(h.PositiveSpan)-1].Length++
		h.PositiveDelta = append(h.PositiveDelta, int64(n)-previous)
		end, previous = bucket+1, int64(n)
	}
	if len(h.PositiveSpan) == 0 {
		// Scrapers take a histogram without a span for a classic one only.
		h.PositiveSpan = []*dto.BucketSpan{{Offset: new(int32), Length: new(uint32)}}
	}
}
