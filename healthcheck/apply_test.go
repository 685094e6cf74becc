package healthcheck

import (
	"strings"
	"testing"
	"time"

	"weir/config"
)

func TestApplyKeepsWhatDidNotChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		m, results := newTestMonitor(t, v, 0)
		v.set(address(1), answer(200, "ok"))
		m.Apply([]Target{target(1, httpCheck())})
		pass(12 * time.Second)
		before, _ := m.Status(target(1, nil).Key)
		if before.State != Up || len(before.Probes) != 3 {
			t.Fatalf("got %v and %d probes, want up and 3", before.State, len(before.Probes))
		}

		m.Apply([]Target{target(1, httpCheck())}) // equal, not the same
		pass(spreadLimit)
		if after, _ := m.Status(before.Target.Key); len(after.Probes) != 3 || !after.Since.Equal(before.Since) {
			t.Errorf("an equal target was probed again, or lost its state: %+v", after)
		}

		stricter := httpCheck(func(c *config.HealthCheck) { c.Path, c.Fall = "/other", 1 })
		m.Apply([]Target{target(1, stricter)})
		pass(spreadLimit)
		after, _ := m.Status(before.Target.Key)
		if after.State != Up || len(after.Probes) != 4 || !after.Since.Equal(before.Since) || after.Fall != 1 {
			t.Errorf("a changed check: got %+v, want the state and history and a new probe", after)
		}
		if !strings.Contains(after.Probes[0].Reason, "/other") {
			t.Errorf("newest probe: %s, want the new path", after.Probes[0].Reason)
		}

		results.take()
		moved := target(1, stricter)
		moved.Addr, moved.Backend = address(2), address(2)
		m.Apply([]Target{moved})
		if s, _ := m.Status(moved.Key); s.State != Checking || len(s.Probes) != 0 {
			t.Errorf("a new backend: got %+v, want a new start", s)
		}
		pass(spreadLimit)
		if got := results.take(); len(got) != 1 || got[0].Backend != address(2) || got[0].State != Down {
			t.Errorf("got %+v, want one refused probe of the new backend", got)
		}

		m.Apply(nil)
		if _, ok := m.Status(moved.Key); ok {
			t.Error("a removed target has a status")
		}
		if !m.Settled() {
			t.Error("not settled without targets")
		}
		pass(time.Minute)
		if got := results.take(); len(got) != 0 {
			t.Errorf("results of a removed target: %+v", got)
		}
	})
}

// A probe that is under way when its check changes was a different question: it does not count, and
// the new schedule waits for its end.
func TestApplyCancelsTheProbeUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		m, results := newTestMonitor(t, v, 0)
		v.set(address(1), hang)
		m.Apply([]Target{target(1, httpCheck())})
		pass(time.Second) // the first probe hangs now
		v.set(address(1), answer(200, "ok"))
		m.Apply([]Target{target(1, httpCheck(func(c *config.HealthCheck) { c.Path = "/other" }))})
		pass(spreadLimit)
		if got := results.take(); len(got) != 1 || got[0].State != Up {
			t.Errorf("got %+v, want the new probe alone", got)
		}
	})
}

// A schedule begins only when the one that it replaces has ended, so results of a key stay in order
// even if whoever is told of them is slow.
func TestReplacedScheduleEndsFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		v.set(address(1), answer(200, "ok"))
		release, calls := make(chan struct{}), 0
		m := New(Options{Dial: v.dial, Observe: func(Result) {
			if calls++; calls == 1 {
				<-release
			}
		}})
		t.Cleanup(m.Close)
		m.Apply([]Target{target(1, httpCheck())})
		pass(time.Second)
		m.Apply([]Target{target(1, httpCheck(func(c *config.HealthCheck) { c.Path = "/other" }))})
		pass(time.Minute)
		if n := len(v.dials(address(1))); n != 1 {
			t.Errorf("%d probes while the first result is being told, want 1", n)
		}
		close(release)
		pass(time.Second)
		if n := len(v.dials(address(1))); n != 2 {
			t.Errorf("%d probes, want 2: the new schedule starts now", n)
		}
	})
}
