package wire

import "time"

// epoch is the zero of Now. It carries a monotonic reading, so Now never jumps.
var epoch = time.Now()

// Now is the time in nanoseconds on the monotonic clock since the process started. It costs one
// read of the monotonic clock, half of time.Now.
func Now() int64 { return int64(time.Since(epoch)) }

// Time converts a reading of Now into a time.
func Time(at int64) time.Time { return epoch.Add(time.Duration(at)) }

// After is the reading of Now at which d will have passed since at. A d of 0 means never, and so
// does the result 0.
func After(at int64, d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return at + int64(d)
}
