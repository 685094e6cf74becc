package healthcheck

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/config"
)

// bubble runs f in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// pass lets d go by and everything settle.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestFirstProbesAreSpreadOverHalfASecond(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		m, _ := newTestMonitor(t, v, 0)
		start := time.Now()
		check := httpCheck()
		var targets []Target
		for i := range 100 {
			v.set(address(i), answer(200, "ok"))
			targets = append(targets, target(i, check))
		}
		m.Apply(targets)
		if m.Settled() {
			t.Error("settled before any probe")
		}
		pass(spreadLimit)
		if !m.Settled() {
			t.Error("not settled after the spread")
		}
		early := 0
		for i := range 100 {
			d := v.dials(address(i))
			if len(d) != 1 {
				t.Fatalf("b%d: %d probes in the first half second, want 1", i, len(d))
			}
			if d[0].Sub(start) < spreadLimit/2 {
				early++
			}
			if got := state(t, m, i); got != Up {
				t.Errorf("b%d is %v, want up", i, got)
			}
		}
		if early < 30 || early > 70 {
			t.Errorf("%d of 100 first probes in the first half of the spread", early)
		}
	})
}

func TestShortIntervalsSpreadOverTheInterval(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		m, _ := newTestMonitor(t, v, 0)
		v.set(address(1), answer(200, "ok"))
		m.Apply([]Target{target(1, httpCheck(func(c *config.HealthCheck) { c.Interval = 20 * time.Millisecond }))})
		pass(20 * time.Millisecond)
		if n := len(v.dials(address(1))); n != 1 {
			t.Errorf("%d probes within the first interval, want 1", n)
		}
	})
}

func TestIntervalsAreJittered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		m, _ := newTestMonitor(t, v, 0)
		v.set(address(1), answer(200, "ok"))
		m.Apply([]Target{target(1, httpCheck())})
		pass(1000 * 5 * time.Second)
		d := v.dials(address(1))
		if len(d) < 980 || len(d) > 1020 {
			t.Errorf("%d probes in 1000 intervals", len(d))
		}
		shortest, longest := time.Hour, time.Duration(0)
		for i := 1; i < len(d); i++ {
			gap := d[i].Sub(d[i-1])
			shortest, longest = min(shortest, gap), max(longest, gap)
		}
		if shortest < 4500*time.Millisecond || shortest > 4600*time.Millisecond {
			t.Errorf("shortest gap %v, want just over 4.5s", shortest)
		}
		if longest > 5500*time.Millisecond || longest < 5400*time.Millisecond {
			t.Errorf("longest gap %v, want just under 5.5s", longest)
		}
		if m.Overdue() != 0 {
			t.Errorf("%d overdue, want 0", m.Overdue())
		}
	})
}

// A time-out above the interval must not let probes of one backend overlap.
func TestProbesOfOneTargetNeverOverlap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		m, results := newTestMonitor(t, v, 0)
		v.set(address(1), hang)
		m.Apply([]Target{target(1, httpCheck(func(c *config.HealthCheck) {
			c.Interval, c.Timeout = time.Second, 3*time.Second
		}))})
		pass(30 * time.Second)
		if v.atATime() != 1 {
			t.Errorf("%d probes at a time, want 1", v.atATime())
		}
		n := len(results.take())
		if n != 9 {
			t.Errorf("%d probes ended in 30 s, want 9 of 3 s each", n)
		}
		if got := m.Overdue(); got != uint64(n) {
			t.Errorf("%d overdue, want %d: each began after the one before had overrun", got, n)
		}
	})
}

func TestDeadlineHoldsAgainstDrips(t *testing.T) {
	tests := []struct {
		name, raw, phase, reason string
	}{
		{"head", "HTTP/1.1 200 OK\r\nX-", PhaseReceive,
			`no complete response head within 2s: "HTTP/1.1 200 OK X-xxx`},
		{"sized body", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", PhaseBody,
			`→ 200 "xxxxxxxxxxxxxxxxxxxx", body not complete within 2s (20 bytes so far)`},
		{"close-delimited body", "HTTP/1.0 200 OK\r\n\r\n", PhaseBody, "body not complete within 2s"},
		{"refused status", "HTTP/1.0 503 Busy\r\n\r\n", PhaseStatus, `→ 503 "x" (want 200)`},
		{"nothing", "", PhaseReceive, "within 2s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				v := newVirtual()
				m, results := newTestMonitor(t, v, 0)
				v.set(address(1), drip(tt.raw, 99*time.Millisecond))
				m.Apply([]Target{target(1, httpCheck())})
				pass(4 * time.Second)
				got := results.take()
				if len(got) != 1 {
					t.Fatalf("%d results, want 1", len(got))
				}
				p := got[0].Probe
				if p.OK || p.Duration > 2*time.Second || p.Phase != tt.phase || !strings.Contains(p.Reason, tt.reason) {
					t.Errorf("got %+v\nwant phase %s, reason with %s", p, tt.phase, tt.reason)
				}
			})
		})
	}
}

// Whether 100 of 200 backends hang must not matter to the other 100, even if only 80 probes may
// run at a time.
func TestHangingBackendsDelayNoOther(t *testing.T) {
	for _, concurrency := range []int{0, 80} {
		t.Run(fmt.Sprint(concurrency), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				v := newVirtual()
				m, _ := newTestMonitor(t, v, concurrency)
				check := httpCheck()
				var targets []Target
				for i := range 200 {
					v.set(address(i), hang)
					if i%2 == 0 {
						v.set(address(i), answer(200, "ok"))
					}
					targets = append(targets, target(i, check))
				}
				m.Apply(targets)
				pass(2 * time.Minute)
				for i := 0; i < 200; i += 2 {
					late := lateness(v.dials(address(i)), check.Interval)
					// The first round cannot know who hangs.
					if late[0] > spreadLimit+2*check.Timeout {
						t.Errorf("b%d: first probe came %v late", i, late[0])
					}
					for n, d := range late[2:] {
						if d > 0 {
							t.Errorf("b%d: probe %d came %v late", i, n+2, d)
						}
					}
					if got := state(t, m, i); got != Up {
						t.Errorf("b%d is %v, want up", i, got)
					}
				}
				for i := 1; i < 200; i += 2 {
					if got := state(t, m, i); got != Down {
						t.Errorf("b%d is %v, want down", i, got)
					}
				}
				if overdue := m.Overdue(); (overdue > 0) != (concurrency == 80) {
					t.Errorf("%d overdue with room for %d", overdue, concurrency)
				}
			})
		})
	}
}

// lateness is by how much each probe came later than the longest interval after the one before.
func lateness(dials []time.Time, interval time.Duration) []time.Duration {
	late := make([]time.Duration, len(dials))
	for i := 1; i < len(dials); i++ {
		late[i] = max(0, dials[i].Sub(dials[i-1])-interval*11/10)
	}
	return late
}

func TestConcurrencyIsCappedAndCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		m, _ := newTestMonitor(t, v, 2)
		check := httpCheck()
		var targets []Target
		for i := range 6 {
			v.set(address(i), hang)
			targets = append(targets, target(i, check))
		}
		m.Apply(targets)
		pass(time.Second)
		if v.atATime() != 2 {
			t.Errorf("%d probes at a time, want 2", v.atATime())
		}
		if m.Overdue() != 4 {
			t.Errorf("%d overdue while 4 wait, want 4", m.Overdue())
		}
		pass(time.Minute)
		for i := range 6 {
			if got := state(t, m, i); got != Down {
				t.Errorf("b%d is %v, want down", i, got)
			}
		}
		if v.atATime() != 2 {
			t.Errorf("%d probes at a time, want 2", v.atATime())
		}
	})
}
