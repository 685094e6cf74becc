package admit

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBodyRate(t *testing.T) {
	type step struct {
		at       time.Duration // since the start
		received int64
		slow     bool
	}
	r := BodyRate{PerSecond: 100, Grace: 5 * time.Second, Window: 10 * time.Second}
	tests := []struct {
		name  string
		rate  BodyRate
		steps []step
	}{
		{"nothing at all", r, []step{{15*time.Second - 1, 0, false}, {15 * time.Second, 0, true}}},
		{"nothing in the grace, then enough", r, []step{{5 * time.Second, 0, false}, {15 * time.Second, 1000, false}}},
		{"a byte short", r, []step{{15 * time.Second, 999, true}}},
		{"what came in the grace counts", r, []step{{5 * time.Second, 1000, false}, {15 * time.Second, 1000, false}}},
		{"but in the first window only", r, []step{
			{5 * time.Second, 100_000, false}, {15 * time.Second, 100_000, false},
			{25*time.Second - 1, 100_000, false}, {25 * time.Second, 100_000, true}}},
		{"bursts average out", r, []step{
			{6 * time.Second, 0, false}, {14 * time.Second, 1000, false}, {15 * time.Second, 1000, false},
			{24 * time.Second, 2000, false}, {25 * time.Second, 2000, false}}},
		{"slow from the second window on", r, []step{{15 * time.Second, 1000, false}, {25 * time.Second, 1999, true}}},
		{"windows begin where the last was judged", r, []step{
			{20 * time.Second, 1500, false}, {30*time.Second - 1, 1500, false}, {30 * time.Second, 2500, false}}},
		{"a late check judges all of the time", r, []step{{25 * time.Second, 1999, true}}},
		{"a late check judges all of the bytes", r, []step{{25 * time.Second, 2000, false}}},
		{"without grace", BodyRate{PerSecond: 1, Window: time.Second}, []step{{time.Second - 1, 0, false}, {time.Second, 0, true}}},
		{"no check", BodyRate{Window: time.Second}, []step{{time.Hour, 0, false}}},
		{"bytes just above 2^64 billionths", r, []step{{15 * time.Second, 18_446_744_074, false}}},
		{"more bytes than fit as billionths", BodyRate{PerSecond: 1 << 40, Window: time.Second},
			[]step{{time.Second, 1 << 40, false}, {2 * time.Second, 2<<40 - 1, true}}},
		{"a day of a fast client", BodyRate{PerSecond: 1 << 40, Window: time.Second}, []step{{24 * time.Hour, 86400 << 40, false}}},
		{"a day of a client that is not quite", BodyRate{PerSecond: 1 << 40, Window: time.Second}, []step{{24 * time.Hour, 86400<<40 - 1, true}}},
	}
	for _, tt := range tests {
		for _, start := range []int64{0, 123_456_789_012} {
			t.Run(tt.name, func(t *testing.T) {
				m := tt.rate.Start(start)
				for _, s := range tt.steps {
					next, slow := tt.rate.Check(m, s.received, start+int64(s.at))
					if slow != s.slow {
						t.Fatalf("after %v with %d bytes: too slow %v, want %v", s.at, s.received, slow, s.slow)
					}
					m = next
				}
			})
		}
	}
}

// TestBodyRateDue sees that Due is the first moment at which a silent client is found.
func TestBodyRateDue(t *testing.T) {
	r := BodyRate{PerSecond: 1, Grace: BodyGrace, Window: BodyWindow}
	m := r.Start(1000)
	if got, want := r.Due(m), 1000+10*second; got != want {
		t.Errorf("due at %d, want %d", got, want)
	}
	if _, slow := r.Check(m, 0, r.Due(m)-1); slow {
		t.Error("too slow before it is due")
	}
	if _, slow := r.Check(m, 0, r.Due(m)); !slow {
		t.Error("not too slow when it is due")
	}
	m, _ = r.Check(m, 10, r.Due(m))
	if got, want := r.Due(m), 1000+15*second; got != want {
		t.Errorf("then due at %d, want %d", got, want)
	}
	none := BodyRate{}
	if got := none.Due(none.Start(5)); got != math.MaxInt64 {
		t.Errorf("without a check due at %d", got)
	}
}

// TestBodyRateExcuse takes the time away for which the backend is to blame.
func TestBodyRateExcuse(t *testing.T) {
	r := BodyRate{PerSecond: 100, Window: 10 * time.Second}
	m := r.Start(0).Excuse(20 * time.Second)
	if got, want := r.Due(m), 30*second; got != want {
		t.Errorf("due at %d, want %d", got, want)
	}
	if _, slow := r.Check(m, 1000, 30*second); slow {
		t.Error("1000 bytes in 10 s are too slow")
	}
	if _, slow := r.Check(m, 999, 30*second); !slow {
		t.Error("999 bytes in 10 s are fast enough")
	}
}

// TestBodyRateSteadyClients sends at steady rates and looks at random moments: one at the rate or
// above is never found, one below always is within two windows and the longest time between two
// looks.
func TestBodyRateSteadyClients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := BodyRate{
			PerSecond: rapid.Int64Range(1, 1<<20).Draw(t, "required"),
			Grace:     time.Duration(rapid.Int64Range(0, 5*second).Draw(t, "grace")),
			Window:    time.Duration(rapid.Int64Range(2*second, 10*second).Draw(t, "window")),
		}
		sent := rapid.Int64Range(0, 4*r.PerSecond).Draw(t, "sent")
		if sent >= r.PerSecond {
			sent++ // the last byte of a window has not always come whole
		}
		const longest = 3 * second
		m, found := r.Start(0), false
		// A slow client lives on what it sent in the grace for one window, at most.
		deadline := int64(r.Grace) + 2*(int64(r.Window)+longest)
		for now := int64(0); now <= deadline && !found; {
			now += rapid.Int64Range(1, longest).Draw(t, "later")
			received := int64(float64(sent) * float64(now) / 1e9)
			m, found = r.Check(m, received, now)
		}
		if want := sent < r.PerSecond; found != want {
			t.Fatalf("%d of %d bytes a second: too slow %v", sent, r.PerSecond, found)
		}
	})
}

func TestBodyRateAllocs(t *testing.T) {
	r := BodyRate{PerSecond: 1, Window: time.Second}
	m, now := r.Start(0), int64(0)
	noAllocs(t, "BodyRate", func() {
		now += second
		m, _ = r.Check(m.Excuse(0), now, now)
	})
}
