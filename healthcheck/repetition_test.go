package healthcheck

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/config"
)

// A backend that goes down, stays down for hours and returns, seen from its record.
func TestRepeatedFailuresAreSaidSeldom(t *testing.T) {
	const every = 5 * time.Second
	refused := Probe{Phase: PhaseConnect, Reason: "connect b1 → connection refused"}
	busy := func(body string) Probe {
		return Probe{Phase: PhaseStatus, Status: 503, Reason: `GET b1 → 503 "` + body + `" (want 200)`}
	}
	good := Probe{OK: true, Phase: PhaseBody, Status: 200, Reason: "GET b1 → 200 in 3ms"}
	const bad = "connect b1 → connection refused"
	type step struct {
		times int // how often the probe comes
		probe Probe
		said  []string // the messages of all of them; a time since the last success is cut off
	}
	tests := []struct {
		name  string
		every time.Duration
		steps []step
	}{
		{"each failure of an up backend, then powers of two", every, []step{
			{1, good, []string{"web/b1 up: GET b1 → 200 in 3ms, 1 of 1, first probe"}},
			{2, refused, []string{
				"web/b1 still up: " + bad + ", 1 of 3 before down", "web/b1 still up: " + bad + ", 2 of 3 before down",
			}},
			{1, refused, []string{"web/b1 down: " + bad + ", 3 of 3"}},
			{100, refused, []string{
				"web/b1 still down (2 times): " + bad, "web/b1 still down (4 times): " + bad,
				"web/b1 still down (8 times): " + bad, "web/b1 still down (16 times): " + bad,
				"web/b1 still down (32 times): " + bad, "web/b1 still down (64 times): " + bad,
			}},
		}},
		{"a line each ten minutes", time.Minute, []step{
			{1, refused, []string{"web/b1 down: " + bad + ", 1 of 1, first probe"}},
			{50, refused, []string{
				"web/b1 still down (2 times): " + bad + ", never ok", "web/b1 still down (4 times): " + bad + ", never ok",
				"web/b1 still down (8 times): " + bad + ", never ok", "web/b1 still down (16 times): " + bad + ", never ok",
				"web/b1 still down (26 times): " + bad + ", never ok", "web/b1 still down (32 times): " + bad + ", never ok",
				"web/b1 still down (42 times): " + bad + ", never ok",
			}},
		}},
		{"each of those that are rarer than that", 10 * time.Minute, []step{
			{1, refused, []string{"web/b1 down: " + bad + ", 1 of 1, first probe"}},
			{3, refused, []string{
				"web/b1 still down: " + bad + ", never ok", "web/b1 still down (2 times): " + bad + ", never ok",
				"web/b1 still down (3 times): " + bad + ", never ok",
			}},
		}},
		{"a new reason", every, []step{
			{1, refused, []string{"web/b1 down: " + bad + ", 1 of 1, first probe"}},
			{1, busy("db"), []string{`web/b1 still down: GET b1 → 503 "db" (want 200), never ok`}},
			{1, busy("db"), []string{`web/b1 still down (2 times): GET b1 → 503 "db" (want 200), never ok`}},
			{1, busy("disk"), []string{`web/b1 still down (3 times): GET b1 → 503 "disk" (want 200), never ok`}},
			{1, refused, []string{"web/b1 still down (4 times): " + bad + ", never ok"}},
			{3, refused, nil},
		}},
		{"numbers are no new reason", every, []step{
			{1, busy("at 12:00:01"), []string{`web/b1 down: GET b1 → 503 "at 12:00:01" (want 200), 1 of 1, first probe`}},
			{1, busy("at 12:00:06"), nil},
			{1, busy("at 12:00:11"), []string{`web/b1 still down (2 times): GET b1 → 503 "at 12:00:11" (want 200), never ok`}},
			{1, busy("at 12:00:16"), nil},
		}},
		{"a status is one", every, []step{
			{1, busy("x"), []string{`web/b1 down: GET b1 → 503 "x" (want 200), 1 of 1, first probe`}},
			{1, Probe{Phase: PhaseStatus, Status: 500, Reason: `GET b1 → 500 "x" (want 200)`},
				[]string{`web/b1 still down: GET b1 → 500 "x" (want 200), never ok`}},
		}},
		{"a success in between", every, []step{
			{1, refused, []string{"web/b1 down: " + bad + ", 1 of 1, first probe"}},
			{4, refused, []string{
				"web/b1 still down (2 times): " + bad + ", never ok", "web/b1 still down (4 times): " + bad + ", never ok",
			}},
			{1, good, []string{"web/b1 still down: GET b1 → 200 in 3ms, 1 of 2 before up"}},
			{1, refused, []string{"web/b1 still down (5 times): " + bad}},
			{2, refused, nil},
		}},
		{"a change restarts the count", every, []step{
			{1, refused, []string{"web/b1 down: " + bad + ", 1 of 1, first probe"}},
			{5, refused, []string{
				"web/b1 still down (2 times): " + bad + ", never ok", "web/b1 still down (4 times): " + bad + ", never ok",
			}},
			{2, good, []string{
				"web/b1 still down: GET b1 → 200 in 3ms, 1 of 2 before up",
				"web/b1 up: GET b1 → 200 in 3ms, 2 of 2, down for 35s",
			}},
			{4, good, nil},
			{3, refused, []string{
				"web/b1 still up: " + bad + ", 1 of 3 before down", "web/b1 still up: " + bad + ", 2 of 3 before down",
				"web/b1 down: " + bad + ", 3 of 3",
			}},
			{3, refused, []string{"web/b1 still down (2 times): " + bad}},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at := time.Unix(1000, 0)
			r := newRecord(target(1, httpCheck()), at)
			for n, s := range tt.steps {
				var said []string
				for range s.times {
					s.probe.At = at
					if m := r.observe(s.probe).Message; m != "" {
						said = append(said, withoutLastOK(m))
					}
					at = at.Add(tt.every)
				}
				if got, want := strings.Join(said, "\n"), strings.Join(s.said, "\n"); got != want {
					t.Errorf("step %d: got\n%s\nwant\n%s", n, got, want)
				}
			}
		})
	}
}

// withoutLastOK cuts the time since the last success off a message.
func withoutLastOK(m string) string {
	head, _, _ := strings.Cut(m, ", last ok ")
	return head
}

// A check that asks something else is answered in full, even if the words are the same.
func TestChangedCheckSaysItsFirstFailure(t *testing.T) {
	at := time.Unix(1000, 0)
	tg := target(1, httpCheck())
	r := newRecord(tg, at)
	p := Probe{At: at, Phase: PhaseConnect, Reason: "connect → refused"}
	for range 5 { // the fourth repetition is said, the fifth to the seventh are not
		r.observe(p)
	}
	if m := r.observe(p).Message; m != "" {
		t.Fatalf("got %q, want nothing", m)
	}
	r.retarget(tg)
	if got, want := r.observe(p).Message, "web/b1 still down (6 times): connect → refused, never ok"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if m := r.observe(p).Message; m != "" {
		t.Errorf("got %q, want nothing", m)
	}
}

// A day of a backend that is gone, through the whole of the Monitor: 17280 probes, 150 lines or so.
func TestADayDownIsAFewLines(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m, results := newTestMonitor(t, newVirtual(), 0)
		m.Apply([]Target{target(1, httpCheck(func(c *config.HealthCheck) { c.Initial = config.InitialDown }))})
		pass(24 * time.Hour)
		m.Close()
		synctest.Wait()
		lines, silent := 0, time.Duration(0)
		var last time.Time
		for _, r := range results.take() {
			if r.Message == "" {
				continue
			}
			if lines++; lines > 1 {
				silent = max(silent, r.Probe.At.Sub(last))
			}
			last = r.Probe.At
		}
		if lines < 144 || lines > 160 {
			t.Errorf("%d lines in a day, want one each ten minutes and a few", lines)
		}
		if silent > repeatEvery+6*time.Second {
			t.Errorf("nothing said for %v", silent)
		}
	})
}
