package healthcheck

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
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

func TestHistoryIsBoundedAndNewestFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		m, _ := newTestMonitor(t, v, 0)
		v.set(address(1), answer(200, "ok"))
		m.Apply([]Target{target(1, httpCheck())})
		pass(4*time.Minute + time.Second)
		s, _ := m.Status(target(1, nil).Key)
		if len(s.Probes) != HistorySize {
			t.Fatalf("%d probes kept, want %d", len(s.Probes), HistorySize)
		}
		dials := v.dials(address(1))
		for i, p := range s.Probes {
			if want := dials[len(dials)-1-i]; !p.At.Equal(want) {
				t.Fatalf("probe %d began at %v, want %v", i, p.At, want)
			}
		}
	})
}

func TestConnectFailed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		m, results := newTestMonitor(t, v, 0)
		v.set(address(1), answer(200, "ok"))
		tg := target(1, httpCheck())
		m.Apply([]Target{tg})
		pass(time.Second)
		results.take()
		refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}

		m.ConnectFailed(tg.Key, address(9), refused) // somebody else's address
		m.ConnectFailed(Key{"web", "b9"}, address(1), refused)
		synctest.Wait()
		if got := results.take(); len(got) != 0 {
			t.Fatalf("got %+v, want nothing", got)
		}

		v.set(address(1), nil)
		for range 50 {
			m.ConnectFailed(tg.Key, address(1), refused)
			pass(10 * time.Millisecond)
		}
		got := results.take()
		if len(got) != 2 {
			t.Fatalf("%d results within half a second, want the failure and the probe that follows: %+v", len(got), got)
		}
		if want := "live traffic: connect 10.0.0.1:8080 → connection refused"; got[0].Probe.Reason != want {
			t.Errorf("reason %q, want %q", got[0].Probe.Reason, want)
		}
		if got[1].Probe.At.Sub(got[0].Probe.At) > time.Millisecond {
			t.Errorf("the next probe came %v later, want at once", got[1].Probe.At.Sub(got[0].Probe.At))
		}
		pass(500 * time.Millisecond)
		m.ConnectFailed(tg.Key, address(1), errors.New("no route"))
		synctest.Wait()
		got = results.take()
		if len(got) != 2 || !got[0].Changed || got[0].State != Down {
			t.Fatalf("a second later: got %+v, want down", got)
		}
		want := "web/b1 down: live traffic: connect 10.0.0.1:8080 → no route, 3 of 3, last ok "
		if !strings.HasPrefix(got[0].Message, want) {
			t.Errorf("got  %s\nwant %s…", got[0].Message, want)
		}
	})
}

// The life of a backend whose body stops matching and matches again, in the words of the log.
func TestMessages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		m, results := newTestMonitor(t, v, 0)
		v.set(address(2), answer(200, "UP"))
		m.Apply([]Target{target(2, httpCheck(func(c *config.HealthCheck) { c.Body = `^UP$` }))})
		// messages waits for n of them, or for a minute.
		messages := func(n int) (all []string) {
			for range 60 {
				pass(time.Second)
				for _, r := range results.take() {
					if r.Message != "" {
						all = append(all, r.Message)
					}
				}
				if n > 0 && len(all) >= n {
					break
				}
			}
			return all
		}
		expect := func(got []string, want ...string) {
			t.Helper()
			if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
				t.Errorf("got\n%s\nwant\n%s", g, w)
			}
		}
		const sent = "GET http://10.0.0.2:8080/healthz → "
		expect(messages(1), "web/b2 up: "+sent+"200 in 0s, 1 of 1, first probe")
		expect(messages(0))
		v.set(address(2), answer(200, "db pool exhausted\n"))
		const bad = sent + `200 "db pool exhausted" (want a body that matches "^UP$")`
		got := messages(3)
		lastOK := func(s string) string { // the times depend on the jitter
			head, tail, _ := strings.Cut(s, ", last ok ")
			if !strings.HasSuffix(tail, "s ago") {
				t.Errorf("no time since the last success: %s", s)
			}
			return head
		}
		for i := range got {
			got[i] = lastOK(got[i])
		}
		expect(got,
			"web/b2 still up: "+bad+", 1 of 3 before down",
			"web/b2 still up: "+bad+", 2 of 3 before down",
			"web/b2 down: "+bad+", 3 of 3")
		s, _ := m.Status(target(2, nil).Key)
		if want := bad + ", 3 of 3"; s.Reason != want || s.State != Down || s.Streak != 0 {
			t.Errorf("status %+v, want down for %s", s, want)
		}
		v.set(address(2), answer(200, "UP"))
		got = messages(2)
		if len(got) != 2 || got[0] != "web/b2 still down: "+sent+"200 in 0s, 1 of 2 before up" ||
			!strings.HasPrefix(got[1], "web/b2 up: "+sent+"200 in 0s, 2 of 2, down for ") {
			t.Errorf("got %q, want one of 2, two of 2", got)
		}
	})
}

func TestInitialStates(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		m, _ := newTestMonitor(t, v, 0)
		for i, initial := range []config.InitialHealth{config.InitialChecking, config.InitialUp, config.InitialDown} {
			m.Apply([]Target{target(i, httpCheck(func(c *config.HealthCheck) { c.Initial = initial }))})
			s, _ := m.Status(target(i, nil).Key)
			if s.State.String() != string(initial) {
				t.Errorf("initial %s: %v", initial, s.State)
			}
			if !strings.Contains(s.Reason, "not probed yet") {
				t.Errorf("initial %s: reason %q", initial, s.Reason)
			}
		}
	})
}

func TestBrokenCheckFailsItsProbes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		m, results := newTestMonitor(t, v, 0)
		v.set(address(1), answer(200, "ok"))
		broken := httpCheck(func(c *config.HealthCheck) { c.Body, c.BodyNot = "(", "[" })
		if err := Validate(broken); err == nil || !strings.Contains(err.Error(), "body_not") {
			t.Errorf("Validate: %v, want both expressions named", err)
		}
		m.Apply([]Target{target(1, broken)})
		pass(time.Second)
		got := results.take()
		if len(got) != 1 || got[0].State != Down ||
			!strings.HasPrefix(got[0].Probe.Reason, "cannot probe 10.0.0.1:8080: body: error parsing regexp") {
			t.Errorf("got %+v", got)
		}
		if strings.Contains(got[0].Message, "\n") {
			t.Errorf("message of several lines: %q", got[0].Message)
		}
	})
}

func TestCloseEndsProbesAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		m, results := newTestMonitor(t, v, 1)
		for i := range 10 {
			v.set(address(i), hang)
		}
		check := httpCheck(func(c *config.HealthCheck) { c.Timeout = 10 * time.Minute })
		var targets []Target
		for i := range 10 {
			targets = append(targets, target(i, check))
		}
		m.Apply(targets)
		pass(time.Second) // one hangs, nine wait for it
		start := time.Now()
		m.Close()
		m.Close()
		if took := time.Since(start); took > 0 {
			t.Errorf("Close took %v", took)
		}
		if got := results.take(); len(got) != 0 {
			t.Errorf("cancelled probes were reported: %+v", got)
		}
		m.Apply([]Target{target(11, check)})
		if _, ok := m.Status(target(11, nil).Key); ok {
			t.Error("Apply after Close took a target")
		}
	})
}

// IPv4-mapped addresses are shown, and probed, as IPv4.
func TestMappedAddressesAreUnmapped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		m, results := newTestMonitor(t, v, 0)
		tg := target(1, httpCheck())
		tg.Addr = netip.MustParseAddrPort("[::ffff:10.0.0.1]:8080")
		v.set(address(1), answer(200, "ok"))
		m.Apply([]Target{tg})
		pass(time.Second)
		if got := results.take(); len(got) != 1 || got[0].State != Up {
			t.Errorf("got %+v, want up", got)
		}
	})
}
