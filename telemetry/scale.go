package telemetry

import (
	"math"
	"math/bits"
	"slices"
	"time"
)

// The native histogram: schema 3 has 8 buckets per doubling, so a bucket is 9 % wide. It spans
// 2^-16 s, below which everything is one bucket, to 2^12 s; longer durations are counted in
// the bucket above.
const (
	nativeSchema = 3
	perOctave    = 1 << nativeSchema
	nativeFirst  = -16 * perOctave // 2^-16 s = 15.3 µs, the bound of the zero bucket
	nativeLast   = 12 * perOctave  // 2^12 s = 68 min
)

// classicBounds are the le labels of every duration histogram.
var classicBounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	1 * time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	1 * time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second, 60 * time.Second,
}

// The durations are counted in slots. A slot ends at a classic or at a native bound, so that the
// classic and the native histogram are both exact sums of slots. ¼, ½ and 1 s are bounds of both.
const (
	slotBounds = nativeLast - nativeFirst + 1 + len(classicBounds) - 3
	slotCount  = slotBounds + 1 // the last one is above 2^12 s
)

// Cells find a slot without a search: a duration's bit length and the 4 bits after its first
// choose a cell, and the cell knows the first slot that may hold it. A cell is at most 1/16 wide,
// a slot of schema 3 at least 1/12, so that at most a few comparisons follow.
const (
	cellBits  = 4
	cellCount = 65 << cellBits
)

// scale is the one division of time into slots that all histograms share; it is never written.
var scale = newTimeScale()

type timeScale struct {
	bounds [slotBounds]uint64 // inclusive upper bounds in ns, ascending
	first  [cellCount]uint16
	native [slotCount]int // index of the native bucket; nativeFirst stands for the zero bucket
	// classic is the index of the smallest classic bound that holds the slot; len(classicBounds)
	// where only +Inf does.
	classic [slotCount]int
}

func newTimeScale() *timeScale {
	t := new(timeScale)
	bounds := make([]uint64, 0, slotBounds+1)
	for i := nativeFirst; i <= nativeLast; i++ {
		bounds = append(bounds, nativeBound(i))
	}
	for _, b := range classicBounds {
		bounds = append(bounds, uint64(b))
	}
	slices.Sort(bounds)
	copy(t.bounds[:], slices.Compact(bounds))

	native, classic := nativeFirst, 0
	for i, b := range t.bounds {
		for b > nativeBound(native) {
			native++
		}
		for classic < len(classicBounds) && b > uint64(classicBounds[classic]) {
			classic++
		}
		t.native[i], t.classic[i] = native, classic
	}
	t.native[slotBounds], t.classic[slotBounds] = nativeLast+1, len(classicBounds)

	for cell := range t.first {
		lowest := cellStart(cell)
		i, _ := slices.BinarySearch(t.bounds[:], lowest)
		t.first[cell] = uint16(i)
	}
	return t
}

// nativeBound is the upper bound of native bucket i in whole ns. Rounding down loses nothing:
// durations are whole ns as well.
func nativeBound(i int) uint64 {
	return uint64(math.Exp2(float64(i)/perOctave) * float64(time.Second))
}

// cellOf is the cell of ns.
func cellOf(ns uint64) int {
	length := bits.Len64(ns)
	if length <= cellBits {
		return int(ns)
	}
	return length<<cellBits | int(ns>>(length-1-cellBits))&(1<<cellBits-1)
}

// cellStart is the smallest duration of a cell. Cells that no duration has start at the largest.
func cellStart(cell int) uint64 {
	length, top := cell>>cellBits, uint64(cell&(1<<cellBits-1))
	if length == 0 {
		return top
	}
	if length <= cellBits {
		return math.MaxUint64
	}
	return (1<<cellBits | top) << (length - 1 - cellBits)
}

// slot is the index of the smallest bound that is not below d. Negative durations, which a clock
// that steps can produce, count as zero.
func (t *timeScale) slot(d time.Duration) int {
	ns := uint64(max(d, 0))
	i := int(t.first[cellOf(ns)])
	for i < slotBounds && ns > t.bounds[i] {
		i++
	}
	return i
}
