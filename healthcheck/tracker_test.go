package healthcheck

import (
	"testing"

	"pgregory.net/rapid"

	"weir/config"
)

func TestTracker(t *testing.T) {
	tests := []struct {
		name       string
		initial    config.InitialHealth
		rise, fall int
		results    string // + good, - bad
		want       string // state after each: u d
	}{
		{"first success is enough", config.InitialChecking, 2, 3, "+", "u"},
		{"first failure is enough", config.InitialChecking, 2, 3, "-", "d"},
		{"no initial means checking", "", 2, 3, "+", "u"},
		{"falls at the third", config.InitialChecking, 2, 3, "+---", "uuud"},
		{"a success resets the fall", config.InitialChecking, 2, 3, "+--+--+---", "uuuuuuuuud"},
		{"rises at the second", config.InitialChecking, 2, 3, "-++", "ddu"},
		{"a failure resets the rise", config.InitialChecking, 2, 3, "-+-+-++", "ddddddu"},
		{"initial up needs fall", config.InitialUp, 2, 3, "---", "uud"},
		{"initial down needs rise", config.InitialDown, 2, 3, "++", "du"},
		{"one is at once", config.InitialUp, 1, 1, "-+-", "dud"},
		{"zero counts as one", config.InitialUp, 0, 0, "-+", "du"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTracker(&config.HealthCheck{Rise: tt.rise, Fall: tt.fall, Initial: tt.initial})
			got := ""
			for _, r := range tt.results {
				before := tr.state
				changed, _ := tr.observe(r == '+')
				if changed != (before != tr.state) {
					t.Errorf("after %q: changed = %v, state %v → %v", got, changed, before, tr.state)
				}
				got += tr.state.String()[:1]
			}
			if got != tt.want {
				t.Errorf("%s gives %s, want %s", tt.results, got, tt.want)
			}
		})
	}
}

// The state is up exactly if the latest run that reached its threshold was good: seen from the whole
// sequence instead of step by step.
func TestTrackerAgainstWholeSequence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rise, fall := rapid.IntRange(1, 5).Draw(t, "rise"), rapid.IntRange(1, 5).Draw(t, "fall")
		results := rapid.SliceOfN(rapid.Bool(), 1, 60).Draw(t, "results")
		tr := newTracker(&config.HealthCheck{Rise: rise, Fall: fall})
		for i, ok := range results {
			_, count := tr.observe(ok)
			if want := wholeSequence(results[:i+1], rise, fall); tr.state != want {
				t.Fatalf("after %v: %v, want %v", results[:i+1], tr.state, want)
			}
			if tr.streak >= tr.threshold() {
				t.Fatalf("streak %d reached %d without a change", tr.streak, tr.threshold())
			}
			if count > max(rise, fall) {
				t.Fatalf("count %d exceeds both thresholds", count)
			}
		}
	})
}

func wholeSequence(results []bool, rise, fall int) State {
	for end := len(results); end > 0; end-- {
		need := fall
		if results[end-1] {
			need = rise
		}
		run := 0
		for run < need && run < end && results[end-1-run] == results[end-1] {
			run++
		}
		// The very first result decides alone.
		if run == need || end == 1 {
			return verdict(results[end-1])
		}
	}
	return Checking
}

func TestTrackerKeepsItsStreakWhenThresholdsChange(t *testing.T) {
	tr := newTracker(&config.HealthCheck{Rise: 2, Fall: 5, Initial: config.InitialUp})
	tr.observe(false)
	tr.observe(false)
	tr.thresholds(2, 3)
	if changed, count := tr.observe(false); !changed || count != 3 {
		t.Errorf("third failure of three: changed %v, count %d", changed, count)
	}
	tr = newTracker(&config.HealthCheck{Rise: 2, Fall: 5, Initial: config.InitialUp})
	for range 4 {
		tr.observe(false)
	}
	tr.thresholds(2, 2)
	if changed, _ := tr.observe(false); !changed {
		t.Error("a streak beyond the new threshold did not change the state at the next failure")
	}
}
