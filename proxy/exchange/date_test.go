package exchange

import (
	"testing"
	"time"
)

func TestDateLine(t *testing.T) {
	var d dateLine
	at := time.Date(1994, 11, 6, 9, 49, 37, 999, time.FixedZone("", 3600))
	for _, want := range []string{"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"} {
		d.set(at)
		if got := string(d.append(nil)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		at = at.Add(time.Second)
	}
	if raceEnabled {
		return // the race detector allocates
	}
	b := make([]byte, 0, 64)
	if got := testing.AllocsPerRun(100, func() { b = d.append(b[:0]) }); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}
