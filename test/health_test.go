package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"weir/api"
)

// moody answers probes by its mood; in a bad one, requests fail. It counts what it was asked by
// whom.
type moody struct {
	bad      atomic.Bool
	probes   atomic.Int64
	requests atomic.Int64
}

func (m *moody) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	bad := m.bad.Load()
	if r.URL.Path == "/healthz" {
		m.probes.Add(1)
		// Errors of writing mean that weir does not want the answer any more.
		_, _ = fmt.Fprintf(w, "database: ok\nreplica synchronised: %v\n", !bad)
		return
	}
	m.requests.Add(1)
	if bad {
		w.WriteHeader(http.StatusInternalServerError)
	}
	_, _ = io.WriteString(w, "answer")
}

// TestBodyExpression lets the body of a backend's probe stop matching Oracle's documented example of
// an expression, which needs look-around. The status stays 200 all the time.
func TestBodyExpression(t *testing.T) {
	const expression = `^((?!false).|\s)*$`
	b := backends(t, 2)
	mood := &moody{}
	b[0].SetHandler(mood)
	d := start(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools:
  app:
    health_check: { protocol: http, path: /healthz, body: '%s', interval: 100ms, timeout: 5s, rise: 2, fall: 3 }
    backends: %s
`, expression, listed(b...)))
	d.awaitHealth("app", "b1", "up")
	d.awaitHealth("app", "b2", "up")
	traffic := drive(t, load{url: d.url("web"), clients: 4, rate: 200})
	eventually(t, "both take part", func() bool { return shares(traffic.calls())["b1"] > 20 })

	mood.bad.Store(true)
	probes := mood.probes.Load()
	down := d.awaitHealth("app", "b1", "down")
	served := traffic.count()
	if n := mood.probes.Load() - probes; n < 3 {
		t.Errorf("down after %d probes, fall is 3", n)
	}
	wantWords(t, "the reason in the status", down.Reason, strconv.Quote(expression), "200", "replica synchronised: false", "3 of 3")
	wantLogged(t, d, "app/b1 down: ", strconv.Quote(expression), "200", "replica synchronised: false", "3 of 3")
	if down.Eligible || down.Check.Last.Status != http.StatusOK || !strings.Contains(down.Check.Last.Excerpt, "replica") {
		t.Errorf("status: got %+v", down)
	}
	wantHistory(t, d, down)

	// The four requests that were under way when it went down may have met it.
	eventually(t, "the requests under way are answered", func() bool { return traffic.count() >= served+10 })
	met := mood.requests.Load()
	clean := traffic.count()
	eventually(t, "b2 serves alone", func() bool { return traffic.count() > clean+100 })
	if n := mood.requests.Load() - met; n != 0 {
		t.Errorf("%d requests went to a backend that is down", n)
	}
	mood.bad.Store(false)
	wantNoFailure(t, begunAfter(traffic.calls(), traffic.calls()[clean-1].ended))
	up := d.awaitHealth("app", "b1", "up")
	wantWords(t, "the reason after the return", up.Reason, "200", "2 of 2")
	back := mood.requests.Load()
	eventually(t, "it serves again", func() bool { return mood.requests.Load() > back+20 })
	wantNoFailure(t, begunAfter(traffic.stop(), up.Since))
}

// wantHistory holds that the verdict fell with the third failure in a row, not before and not later.
func wantHistory(t *testing.T, d *daemon, down api.BackendStatus) {
	t.Helper()
	code, stdout, stderr := d.cli("status", "-o", "json")
	if code != 0 || !strings.Contains(stdout, "replica synchronised: false") {
		t.Errorf("weir status: exit code %d, %s%s", code, stdout, stderr)
	}
	_, body := d.get("/v1/pools/app/backends/b1/probes")
	var history api.ProbeHistory
	if err := json.Unmarshal(body, &history); err != nil {
		t.Fatal(err)
	}
	failures := 0 // up to the verdict, backwards in time
	for _, p := range history.Probes {
		if p.At.After(down.Since) {
			continue
		}
		if p.OK {
			break
		}
		failures++
	}
	if failures != 3 {
		t.Errorf("the verdict fell after %d failures in a row, want 3: %s", failures, body)
	}
}

func wantWords(t *testing.T, where, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%s: got %q, want it to name %q", where, text, word)
		}
	}
}

// wantLogged holds that one message of the log has all the words, soon: what weir has written is read by
// another goroutine.
func wantLogged(t *testing.T, d *daemon, words ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("a line of the log has %q", words), func() bool {
		return slices.ContainsFunc(d.lines(), func(l logLine) bool {
			return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(l.Msg, word) })
		})
	})
}
