package admit

import (
	"math"
	"math/bits"
	"time"
)

// Times of a BodyRate that suit clients far away and on bad lines.
const (
	BodyGrace  = 5 * time.Second
	BodyWindow = 5 * time.Second
)

// BodyRate says how slowly a client may send a body. The average over each window must reach
// PerSecond bytes; windows follow one another without a gap, the first one after a grace in which a
// connection may find its speed. A body that ends before its first window does is never too slow.
//
// It holds no state and is copied freely. A body has a [BodyMark], which its reader keeps:
// [BodyRate.Start], then [BodyRate.Check] whenever bytes have come, and at [BodyRate.Due] if none
// have.
type BodyRate struct {
	PerSecond int64         // bytes; 0: no check
	Grace     time.Duration // ≥ 0; see BodyGrace
	Window    time.Duration // above 0; see BodyWindow
}

// BodyMark is where the present window of a body began.
type BodyMark struct {
	at    int64 // ns
	bytes int64 // of the body that had come by then
}

// Start begins a body at the time now, in ns.
func (r BodyRate) Start(now int64) BodyMark {
	return BodyMark{at: now + int64(r.Grace)}
}

// Check looks at a body of which received bytes have come by the time now. It returns the mark to
// go on with, and whether the client is too slow. While a window lasts it says no; what came in the
// grace counts in the first window. A check that comes late judges the whole time since the mark.
func (r BodyRate) Check(m BodyMark, received, now int64) (next BodyMark, slow bool) {
	if r.PerSecond <= 0 || now < r.Due(m) {
		return m, false
	}
	if less(received-m.bytes, int64(time.Second), r.PerSecond, now-m.at) {
		return m, true
	}
	return BodyMark{at: now, bytes: received}, false
}

// Due is the time, in ns, from which Check can find that the client is too slow. It is
// math.MaxInt64 if nothing is checked.
func (r BodyRate) Due(m BodyMark) int64 {
	if r.PerSecond <= 0 {
		return math.MaxInt64
	}
	return m.at + int64(r.Window)
}

// Excuse takes d out of the time that is measured. It is for the time in which nobody received from
// the client because the backend did not take what had come: that slowness is not the client's.
func (m BodyMark) Excuse(d time.Duration) BodyMark {
	m.at += int64(d)
	return m
}

// less reports whether a × b < c × d, none of which may be negative. A window of a fast client
// would overflow 64 bits.
func less(a, b, c, d int64) bool {
	high1, low1 := bits.Mul64(uint64(a), uint64(b))
	high2, low2 := bits.Mul64(uint64(c), uint64(d))
	return address{high1, low1}.less(address{high2, low2})
}
