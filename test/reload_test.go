package test

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/lbtest"
)

// reloadConfig is the configurations of TestReload: what changes between them.
func reloadConfig(backends, routes, pools string) string {
	return fmt.Sprintf(`
listeners:
  web: { protocol: http, address: "127.0.0.1:0", pool: app, routes: [%s] }
pools:
  app: { backends: %s, health_check: { protocol: tcp, interval: 200ms, timeout: 5s, rise: 1, fall: 2 } }
%s`, routes, backends, pools)
}

// TestReload changes everything that a reload can change while clients send as fast as they can. No
// request fails and no client connection is closed.
func TestReload(t *testing.T) {
	const clients = 8
	b := backends(t, 3)
	other := lbtest.NewHTTP(t, "other")
	both := listed(b[:2]...)
	d := start(t, reloadConfig(both, "", ""))
	d.awaitHealth("app", "b1", "up")
	d.awaitHealth("app", "b2", "up")
	url := d.url("web")
	traffic := drive(t, load{url: url, clients: clients})
	more := func(n int) (from time.Time) {
		t.Helper()
		from, before := time.Now(), traffic.count()
		eventually(t, "traffic flows", func() bool { return traffic.count() >= before+n })
		return from
	}
	more(500)

	d.reload(reloadConfig(listed(b...), "", "")) // a backend more
	d.awaitHealth("app", "b3", "up")
	from := more(500)
	if n := shares(begunAfter(traffic.calls(), from)); n["b3"] == 0 {
		t.Errorf("nothing goes to the backend that was added: %v", n)
	}
	picks, _ := d.backend("app", "b2")

	d.reload(reloadConfig(listed(b[1:]...), "", "")) // one less
	from = more(500)
	if n := shares(begunAfter(traffic.calls(), from)); n["b1"] != 0 {
		t.Errorf("requests go to the backend that was removed: %v", n)
	}
	if later, _ := d.backend("app", "b2"); later.Picks <= picks.Picks {
		t.Errorf("the count of b2 went from %d to %d", picks.Picks, later.Picks)
	}

	weighted := fmt.Sprintf("{ b2: { address: %q, weight: 3 }, b3: { address: %q, weight: 1 } }", b[1].Addr(), b[2].Addr())
	d.reload(reloadConfig(weighted, "", "")) // other weights
	from = more(1000)
	n := shares(begunAfter(traffic.calls(), from))
	// Exact but for the picks in flight at both ends.
	if total := float64(n["b2"] + n["b3"]); math.Abs(float64(n["b2"])-0.75*total) > 2*clients {
		t.Errorf("weights 3:1: got %v", n)
	}

	d.reload(reloadConfig(weighted, `{ path_prefix: "/", pool: rest }`, "  rest: { backends: "+listed(other)+" }\n")) // a route
	from = more(500)
	if n := shares(begunAfter(traffic.calls(), from)); len(n) != 1 || n["other"] == 0 {
		t.Errorf("by the route all go to other: got %v", n)
	}
	calls := traffic.stop()
	wantNoFailure(t, calls)
	if n := traffic.closed.Load(); n != 0 {
		t.Errorf("weir closed %d client connections", n)
	}
	t.Logf("%d requests over 4 reloads", len(calls))
}

// TestReloadRefused reloads a file that is not valid, by HUP and by the verb: nothing changes, and it
// says where the mistake is.
func TestReloadRefused(t *testing.T) {
	b := backends(t, 2)
	good := reloadConfig(listed(b...), "", "")
	d := start(t, good)
	d.expect("reload refused")
	traffic := drive(t, load{url: d.url("web"), clients: 4, rate: 300})
	before := d.status()

	d.write(strings.Replace(good, "interval", "intervall", 1))
	code, stdout, stderr := d.cli("reload")
	if code == 0 || stdout != "" {
		t.Errorf("weir reload: exit code %d, output %q", code, stdout)
	}
	// The pool stands in line 5.
	place := regexp.MustCompile(regexp.QuoteMeta(d.file) + `:5:\d+`)
	if !place.MatchString(stderr) || !strings.Contains(stderr, "intervall") || !strings.Contains(stderr, `"interval"`) {
		t.Errorf("weir reload does not say where and what: %q", stderr)
	}
	d.signal(syscall.SIGHUP)
	eventually(t, "HUP is refused as well", func() bool { return strings.Count(d.log.String(), "reload refused") == 2 })
	if !place.MatchString(d.log.String()) {
		t.Error("the log does not say where the mistake is")
	}
	if after := d.status(); after.Generation != before.Generation || after.Config != before.Config {
		t.Errorf("got %d %+v, want %d %+v", after.Generation, after.Config, before.Generation, before.Config)
	}
	if ok, refused := d.metric("weir_config_last_reload_successful"), d.metric("weir_config_reloads_total", "result", "failure"); ok != 0 || refused != 2 {
		t.Errorf("metrics: last reload successful %v, refused %v; want 0 and 2", ok, refused)
	}
	// A port that somebody has is found before anything changes, too.
	d.write(strings.Replace(good, "\npools:", fmt.Sprintf("\n  other: { protocol: http, address: %q, pool: app }\npools:", b[0].Addr()), 1))
	if code, _, stderr := d.cli("reload"); code == 0 || !strings.Contains(stderr, b[0].Addr().String()) {
		t.Errorf("weir reload with a port taken: exit code %d, %q", code, stderr)
	}
	if n := len(d.status().Listeners); n != 1 {
		t.Errorf("got %d listeners, want 1", n)
	}
	d.reload(good)
	if d.metric("weir_config_last_reload_successful") != 1 {
		t.Error("the metric does not show the reload that succeeded")
	}
	wantNoFailure(t, traffic.stop())
}
