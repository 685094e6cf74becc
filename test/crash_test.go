package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestKilledBackend kills the process of a backend under load. Only requests in flight on it may be
// lost: POSTs must not be sent twice, and GETs are as far as the retry budget allows.
func TestKilledBackend(t *testing.T) {
	for _, l := range []load{{method: http.MethodPost, body: "an order"}, {method: http.MethodGet}} {
		t.Run(l.method, func(t *testing.T) { killUnderLoad(t, l) })
	}
}

const crashClients = 16

// toTell is how long a busy machine may take to deliver the last segments of a process that has ended.
const toTell = 50 * time.Millisecond

func killUnderLoad(t *testing.T, l load) {
	t.Helper()
	victim := newProcess(t, "victim")
	others := backends(t, 2)
	for _, b := range others {
		b.SetDelay(backendDelay)
	}
	log := filepath.Join(t.TempDir(), "access.log")
	d := start(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools:
  app:
    health_check: { protocol: tcp, interval: 200ms, timeout: 5s, rise: 2, fall: 2 }
    backends: { victim: { address: %q }, b1: { address: %q }, b2: { address: %q } }
log: { access: { output: %q } }
`, victim.address, others[0].Addr(), others[1].Addr(), log))
	for _, name := range []string{"victim", "b1", "b2"} {
		d.awaitHealth("app", name, "up")
	}
	l.url, l.clients = d.url("web"), crashClients
	traffic := drive(t, l)
	eventually(t, "the victim works", func() bool { return shares(traffic.calls())["victim"] > 200 })

	victim.kill()
	killed := time.Now()
	d.awaitHealth("app", "victim", "down")
	n := traffic.count()
	eventually(t, "the others go on", func() bool { return traffic.count() > n+500 })
	victim.start()
	d.awaitHealth("app", "victim", "up")
	back := time.Now()
	eventually(t, "the victim works again", func() bool { return shares(begunAfter(traffic.calls(), back))["victim"] > 100 })
	calls := traffic.stop()
	lost := wantLostInFlight(t, l.method, calls, killed)
	d.stop()
	wantLostOnVictim(t, log, lost)
}

// wantLostInFlight holds that the lost calls were under way when the backend ended, that weir answered
// them, and that none is lost that may be repeated. It returns how many were lost.
func wantLostInFlight(t *testing.T, method string, calls []call, killed time.Time) (lost int) {
	t.Helper()
	for _, c := range calls {
		if !c.failed() {
			continue
		}
		lost++
		if c.begun.After(killed.Add(toTell)) {
			t.Errorf("begun %v after the end of the backend: %v", c.begun.Sub(killed), c)
		}
		if c.err != nil || c.status != http.StatusBadGateway {
			t.Errorf("lost without an answer of weir: %v", c)
		}
	}
	allowed := crashClients // those that were in flight, and must not be repeated
	if method == http.MethodGet {
		allowed = 0
	}
	if lost > allowed {
		t.Errorf("%d requests were lost, %d may be", lost, allowed)
	}
	t.Logf("%d of %d requests were lost", lost, len(calls))
	var slowest time.Duration
	for _, c := range begunAfter(calls, killed) {
		slowest = max(slowest, c.ended.Sub(c.begun))
	}
	if slowest > 2*time.Second {
		t.Errorf("a request after the end of the backend took %v", slowest)
	}
	return lost
}

// wantLostOnVictim reads in the access log which backend the lost requests were on.
func wantLostOnVictim(t *testing.T, path string, lost int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	logged := 0
	for line := range bytes.Lines(text) {
		var entry struct{ Backend, Outcome string }
		if err := json.Unmarshal(line, &entry); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		switch entry.Outcome {
		case "ok", "retried_ok":
			continue
		}
		logged++
		if entry.Backend != "victim" || entry.Outcome != "backend_reset" {
			t.Errorf("lost otherwise: %s", line)
		}
	}
	if logged != lost {
		t.Errorf("the access log has %d lost requests, the clients %d", logged, lost)
	}
}
