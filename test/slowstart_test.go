package test

import (
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// ramp is the slow start of these tests.
const ramp = 6 * time.Second

// share is what the ramping one of four backends of equal weight gets of the flows, that long after
// it came up. Its ratio is on the line from 0.1 to 1, in steps of at most 5 %, so on average half a
// step below the line.
func share(after time.Duration) float64 {
	r := 0.1 + 0.9*after.Seconds()/ramp.Seconds() - 0.025
	return r / (3 + r)
}

// Each client of source_ip comes once before the ramp, once during it and once after it.
const (
	rampClients = 3600
	rampRate    = 600
)

func rampClient(n int) netip.Addr { return loopback(n % rampClients) }

// rampCase is a pool under traffic to which a backend is added.
type rampCase struct {
	algorithm string
	load      load
	traffic   *traffic
	began     time.Time // when b4 came up
}

// TestSlowStartAfterReload adds a backend to three warm ones while traffic flows, and holds what it
// gets against the curve: over the whole ramp within 10 %, over each third within 15 %.
//
// Round robin and least connections leave nothing to chance. Hashing does: each of the clients that
// belong to the backend has its own moment to move to it, and is seen at one moment. Over the ramp that
// is a standard deviation of 2.6 %, so 600 requests/s and as many clients are what it takes for 10 %
// to be four deviations; the thirds get three of theirs on top.
func TestSlowStartAfterReload(t *testing.T) {
	b := backends(t, 4)
	cases := []*rampCase{
		{algorithm: "weighted_round_robin", load: load{clients: 4, rate: 200}},
		{algorithm: "least_connections", load: load{clients: 4, rate: 200}},
		{algorithm: "source_ip", load: load{clients: 8, rate: rampRate, source: rampClient}},
	}
	d := start(t, rampConfig(cases, listed(b[:3]...)))
	for _, c := range cases {
		c.load.url = d.url(c.algorithm)
	}
	once := cases[2].load
	once.rate, once.limit = 0, rampClients
	before := drive(t, once).wait()
	for _, c := range cases {
		c.traffic = drive(t, c.load)
	}
	eventually(t, "traffic flows", func() bool { return cases[0].traffic.count() > 50 })
	d.reload(rampConfig(cases, listed(b...)))
	for _, c := range cases {
		c.began = d.awaitHealth(c.algorithm, "b4", "up").Since
	}
	eventually(t, "the slow starts are over", func() bool {
		last, ok := d.backend("source_ip", "b4")
		return ok && last.SlowStartRatio == 1 && time.Since(cases[2].began) > ramp
	})
	for _, c := range cases {
		calls := c.traffic.stop()
		wantNoFailure(t, calls)
		owned, chance := 0.25, 0.0
		if c.load.source != nil {
			owned, chance = wantOneMove(t, before, calls, drive(t, once).wait()), 3
		}
		w := window{calls: calls, began: c.began, owned: owned}
		t.Run(c.algorithm, func(t *testing.T) {
			w.want(t, 0, ramp, 0.10, 0)
			for third := range time.Duration(3) {
				w.want(t, third*ramp/3, (third+1)*ramp/3, 0.15, chance)
			}
		})
	}
}

// rampConfig has a listener and a pool for each case.
func rampConfig(cases []*rampCase, backends string) string {
	var text strings.Builder
	text.WriteString("listeners:\n")
	for _, c := range cases {
		fmt.Fprintf(&text, "  %s: { protocol: http, address: \"127.0.0.1:0\", pool: %[1]s }\n", c.algorithm)
	}
	text.WriteString("pools:\n")
	for _, c := range cases {
		fmt.Fprintf(&text, "  %s: { algorithm: %[1]s, slow_start: { duration: %v }, backends: %s,\n"+
			"    health_check: { protocol: tcp, interval: 200ms, timeout: 5s, rise: 1 } }\n", c.algorithm, ramp, backends)
	}
	return text.String()
}

// window is the calls of which a part is looked at.
type window struct {
	calls []call
	began time.Time
	owned float64 // the part of the clients that are b4's when it is warm: about a quarter
}

// want holds the part of b4 in the calls that began in a part of the ramp against the curve. The
// bound is a part of that and, where clients have their own moments, some standard deviations.
func (w window) want(t *testing.T, from, to time.Duration, tolerance, deviations float64) {
	t.Helper()
	n, got, want, variance := 0, 0.0, 0.0, 0.0
	for _, c := range w.calls {
		after := c.begun.Sub(w.began)
		if after < from || after >= to {
			continue
		}
		moved := share(after) / 0.25
		n++
		want += w.owned * moved
		variance += w.owned * moved * (1 - moved)
		if c.backend == "b4" {
			got++
		}
	}
	bound := tolerance*want + deviations*math.Sqrt(variance)
	t.Logf("%v to %v: %d requests, %.0f to b4, by the curve %.1f ± %.1f", from, to, n, got, want, bound)
	if n == 0 || math.Abs(got-want) > bound {
		t.Errorf("%v to %v of the ramp: got %.0f of %d requests, want %.1f ± %.1f", from, to, got, n, want, bound)
	}
}

// wantOneMove holds that no client moves twice and hardly one to another than b4 (the tables leave 2 %
// to that); it returns the part of the clients that b4 has when it is warm.
func wantOneMove(t *testing.T, before, during, after []call) (owned float64) {
	t.Helper()
	wantNoFailure(t, before)
	wantNoFailure(t, after)
	last, moves, elsewhere := map[netip.Addr]string{}, map[netip.Addr]int{}, 0
	for _, calls := range [][]call{before, during, after} {
		for _, c := range calls {
			if from := last[c.client]; from != "" && from != c.backend {
				if moves[c.client]++; moves[c.client] > 1 {
					t.Errorf("client %v moved again, from %s to %s", c.client, from, c.backend)
				}
				if c.backend != "b4" {
					elsewhere++
				}
			}
			last[c.client] = c.backend
		}
	}
	if elsewhere > rampClients*2/100 {
		t.Errorf("%d of %d clients moved to others than b4", elsewhere, rampClients)
	}
	owned = float64(shares(after)["b4"]) / rampClients
	// Five standard deviations of 3,600 draws with a chance of a quarter.
	if math.Abs(owned-0.25) > 0.036 {
		t.Errorf("b4 owns %.3f of the clients, want about a quarter", owned)
	}
	return owned
}

// TestSlowStartOfAll starts with ten cold backends: with nobody warm to carry the load they all take
// their full part at once.
func TestSlowStartOfAll(t *testing.T) {
	b := backends(t, 10)
	d := start(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools:
  app: { slow_start: { duration: 10m }, backends: %s }
`, listed(b...)))
	eventually(t, "all are up", func() bool { return d.status().Pools[0].Up == 10 })
	calls := drive(t, load{url: d.url("web"), clients: 4, limit: 500}).wait()
	wantNoFailure(t, calls)
	counts := shares(calls)
	for _, backend := range d.status().Pools[0].Backends {
		if n := counts[backend.Name]; n != 50 || backend.SlowStartRatio != 1 {
			t.Errorf("%s: got %d of 500 requests at ratio %v, want 50 at 1", backend.Name, n, backend.SlowStartRatio)
		}
	}
}

// TestSlowStartOfFew lets two of three backends go down. The first to return does so at its full
// weight, because one warm backend of three cannot carry the load until then; the second ramps.
func TestSlowStartOfFew(t *testing.T) {
	b := backends(t, 3)
	d := start(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools:
  app:
    slow_start: { duration: 10m }
    health_check: { protocol: http, interval: 100ms, timeout: 5s, rise: 1, fall: 1 }
    backends: %s
`, listed(b...)))
	for i, name := range []string{"b1", "b2", "b3"} {
		d.awaitHealth("app", name, "up")
		if i > 0 {
			b[i].SetStatus(http.StatusServiceUnavailable)
			d.awaitHealth("app", name, "down")
		}
	}
	b[1].SetStatus(http.StatusOK)
	if first := d.awaitHealth("app", "b2", "up"); first.SlowStartRatio != 1 {
		t.Errorf("the first to return is at %v of its weight, want 1", first.SlowStartRatio)
	}
	b[2].SetStatus(http.StatusOK)
	if second := d.awaitHealth("app", "b3", "up"); second.SlowStartRatio < 0.1 || second.SlowStartRatio > 0.2 {
		t.Errorf("the second to return is at %v of its weight, want 0.1", second.SlowStartRatio)
	}
	calls := drive(t, load{url: d.url("web"), clients: 4, limit: 420}).wait()
	wantNoFailure(t, calls)
	// 10 : 10 : 1, and at most one step of a ramp of ten minutes passes meanwhile.
	if n := shares(calls)["b3"]; n < 19 || n > 24 {
		t.Errorf("it got %d of 420 requests, want 20", n)
	}
}
