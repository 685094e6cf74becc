package healthcheck

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"weir/config"
)

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
