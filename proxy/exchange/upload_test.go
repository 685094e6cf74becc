package exchange

import (
	"testing"
	"testing/synctest"
	"time"

	"weir/proxy/wire"
)

// A response waits for an upload that is at its last bytes, and a moment for any other.
func TestSettle(t *testing.T) {
	tests := []struct {
		name  string
		last  bool
		noted time.Duration // when the upload notes its end; 0: never
		want  time.Duration
		kept  bool
	}{
		{"late to note its end", true, 100 * time.Millisecond, 100 * time.Millisecond, true},
		{"stuck at its last bytes", true, 0, settleTime + lastTime, false},
		{"in the middle", false, 100 * time.Millisecond, settleTime, false},
		{"nearly at its end", false, time.Millisecond, time.Millisecond, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := &upload{ended: make(chan struct{})}
				u.last.Store(tt.last)
				if tt.noted != 0 {
					time.AfterFunc(tt.noted, func() {
						u.complete = true
						u.endedAt.Store(wire.Now())
						close(u.ended)
					})
				}
				began := time.Now()
				u.settle()
				if got := time.Since(began); got != tt.want {
					t.Errorf("the response waited for %v, want %v", got, tt.want)
				}
				x := exchange{upload: u}
				if got := !x.uploading(); got != tt.kept {
					t.Errorf("the connection goes on: %v, want %v", got, tt.kept)
				}
			})
		})
	}
}
