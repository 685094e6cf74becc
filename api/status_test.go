package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/balancer"
	"weir/config"
	"weir/healthcheck"
)

var update = flag.Bool("update", false, "rewrite golden files")

// golden compares got with testdata/name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got:\n%s", path, got)
	}
}

// TestStatusDocument pins the form of the document, which scripts rely on.
func TestStatusDocument(t *testing.T) {
	running, checks := healthy()
	p := newPool("web", 3, 1, 1, 0)
	report(p, true, false)
	place, ok := p.Queue(1)
	if !ok {
		t.Fatal("no place in the queue")
	}
	defer place.Leave(false)
	drain := config.Drain
	if err := p.SetAdmin("b3", balancer.Override{State: &drain}, born.Add(2*time.Second)); err != nil {
		t.Fatal(err)
	}
	running.pools = []Pool{p}
	checks.statuses = map[healthcheck.Key]healthcheck.Status{
		{Pool: "web", Backend: "b2"}: {State: healthcheck.Down, Since: born, Streak: 1, Rise: 2, Fall: 3,
			Reason: `GET http://10.0.0.12:8080/healthz → 503 "db pool exhausted" (want 200), 3 of 3`,
			Probes: []healthcheck.Probe{{At: born.Add(time.Second), Duration: 3141592 * time.Nanosecond, Phase: "status",
				Status: 503, Excerpt: "db pool exhausted", Reason: "503"}}},
		{Pool: "web", Backend: "b3"}: {State: healthcheck.Checking, Since: born, Rise: 2, Fall: 3},
	}
	s := New(Options{Version: "1.2.3", Commit: "abcdef", Started: born, Running: running, Checks: checks})
	status := s.Status()
	status.PID, status.UptimeSeconds = 42, 61.5
	text, err := json.MarshalIndent(status, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "status.json", append(text, '\n'))
}

func TestReason(t *testing.T) {
	down := healthcheck.Status{Reason: "connect 10.0.0.1:80: refused, 3 of 3"}
	tests := []struct {
		name    string
		member  balancer.Member
		check   healthcheck.Status
		checked bool
		want    string
	}{
		{"up, with check", balancer.Member{Weight: 1, Ramp: 1, Health: balancer.Up}, healthcheck.Status{Reason: "GET / → 200"}, true, "GET / → 200"},
		{"down", balancer.Member{Weight: 1, Ramp: 1, Health: balancer.Down}, down, true, down.Reason},
		{"no check", balancer.Member{Weight: 1, Ramp: 1, Health: balancer.Up}, healthcheck.Status{}, false, "no health check"},
		{"first probe", balancer.Member{Weight: 1, Ramp: 1}, healthcheck.Status{}, true, "waiting for the first probe"},
		{"not a target yet", balancer.Member{Weight: 1, Ramp: 1}, healthcheck.Status{}, false, "waiting for the first probe"},
		{"draining in the file", balancer.Member{Weight: 1, Ramp: 1, State: config.Drain}, down, true, "draining; " + down.Reason},
		{"maintenance by override", balancer.Member{Weight: 1, Ramp: 1, State: config.Maintenance, Overridden: true}, down, true,
			"in maintenance by override; " + down.Reason},
		{"weight 0", balancer.Member{Ramp: 1, Health: balancer.Up}, healthcheck.Status{}, false, "weight 0: no new flows; no health check"},
		{"slow start", balancer.Member{Weight: 2, Ramp: 0.47, Health: balancer.Up}, healthcheck.Status{}, false, "slow start at 47 %; no health check"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := reason(tt.member, tt.check, tt.checked); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestProbeHistory(t *testing.T) {
	running, checks := healthy()
	key := healthcheck.Key{Pool: "web", Backend: "10.0.0.1:80"}
	checks.statuses = map[healthcheck.Key]healthcheck.Status{key: {State: healthcheck.Up, Since: born, Reason: "fine",
		Probes: []healthcheck.Probe{{At: born.Add(2), OK: true, Status: 200}, {At: born, OK: false, Reason: "refused"}}}}
	s := start(t, func(o *Options) { o.Running, o.Checks = running, checks })
	_, body := ask(t, overTCP(), "GET", "http://"+s.Addr()+"/v1/pools/web/backends/10.0.0.1:80/probes", "")
	got := decode[ProbeHistory](t, body)
	if len(got.Probes) != 2 || !got.Probes[0].OK || got.Probes[1].Reason != "refused" || got.State != "up" || got.Backend != key.Backend {
		t.Errorf("got %+v", got)
	}
}

// TestStatusOfTheEjected says why a backend gets nothing although its health check passes.
func TestStatusOfTheEjected(t *testing.T) {
	c := &config.Pool{Name: "web", Algorithm: config.WeightedRoundRobin, Outlier: config.Outlier{ConsecutiveErrors: 1, Eject: 30 * time.Second}}
	for i, name := range []string{"b1", "b2"} {
		c.Backends = append(c.Backends, &config.Backend{Name: name, Weight: 1, State: config.Ready,
			Address: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(80+i))})
	}
	p := balancer.NewPool(c, balancer.Options{}, born)
	p.Failed(p.Snapshot().Members()[0].Backend, balancer.FaultTimeout, born)
	running, checks := healthy()
	running.pools = []Pool{{Pool: p}}
	b := New(Options{Running: running, Checks: checks}).Status().Pools[0].Backends[0]
	if want := (Ejection{born.UTC(), born.Add(30 * time.Second).UTC(), "timeout", 1}); b.Ejection == nil || *b.Ejection != want {
		t.Errorf("got %+v, want %+v", b.Ejection, want)
	}
	want := "ejected for 30s until " + born.Add(30*time.Second).UTC().Format("15:04:05Z") + ": live traffic failed on it (timeout)"
	if !strings.HasPrefix(b.Reason, want) || b.Health != "up" || b.Eligible {
		t.Errorf("got %+v, want the reason %q", b, want)
	}
}
