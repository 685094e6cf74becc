package healthcheck

import (
	"reflect"
	"testing"
	"time"

	"weir/config"
)

// A monitor goes on where another one was: what was down is down, with its reason and history, and one
// good probe less brings it back.
func TestMonitorRemembers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		first, _ := newTestMonitor(t, v, 0)
		check := httpCheck(func(c *config.HealthCheck) { c.Rise = 2 })
		v.set(address(1), answer(200, "ok"))
		first.Apply([]Target{target(1, check), target(2, check)})
		pass(time.Minute) // long enough that the history has turned over
		v.set(address(1), answer(500, "broken"))
		pass(time.Minute)
		v.set(address(1), answer(200, "ok"))
		pass(check.Interval) // one of two
		before, _ := first.Status(target(1, nil).Key)
		if before.State != Down || before.Streak != 1 {
			t.Fatalf("got %v with a streak of %d, want down and 1", before.State, before.Streak)
		}

		second, results := newTestMonitor(t, v, 0)
		second.Remember(first.Memory())
		first.Close()
		moved := target(2, check)
		moved.Backend, moved.Addr = address(3), address(3)
		second.Apply([]Target{target(1, check), moved})
		after, _ := second.Status(before.Target.Key)
		if !reflect.DeepEqual(after, before) {
			t.Errorf("got  %+v\nwant %+v", after, before)
		}
		if s, _ := second.Status(moved.Key); s.State != Checking || len(s.Probes) != 0 {
			t.Errorf("a target with another backend: got %+v, want a new start", s)
		}
		pass(spreadLimit)
		if s, _ := second.Status(before.Target.Key); s.State != Up {
			t.Errorf("after the second good probe: got %v, want up", s.State)
		}
		changes := 0
		for _, r := range results.take() {
			if r.Key == before.Target.Key && r.Changed {
				changes++
			}
		}
		if changes != 1 {
			t.Errorf("changes told of: got %d, want 1", changes)
		}
		second.Apply(nil)
		second.Apply([]Target{target(1, check)})
		if s, _ := second.Status(before.Target.Key); s.State != Checking {
			t.Errorf("one that came back: got %v, want checking: nobody has looked after it", s.State)
		}
	})
}
