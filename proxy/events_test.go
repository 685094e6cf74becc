package proxy

import (
	"slices"
	"sync"
	"testing"

	"weir/internal/lbtest"
	"weir/telemetry"
)

// told is the events of a server, as KIND STATE.
type told struct {
	mu   sync.Mutex
	list []string
	last telemetry.Event
}

func (e *told) add(event telemetry.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, event.Kind+" "+event.Fields["state"]+event.Fields["tier"])
	e.last = event
}

func (e *told) has(want string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Contains(e.list, want)
}

// TestEvents: what becomes of health and of who serves is told.
func TestEvents(t *testing.T) {
	o := lbtest.NewHTTP(t, "b1")
	var e told
	text := "listeners: { web: { protocol: http, address: \"127.0.0.1:0\", pool: app } }\n" +
		"pools: { app: { health_check: { interval: 20ms, rise: 1, fall: 1 }, backends: { b1: { address: \"" + o.Addr().String() + "\" } } } }\n"
	startOptions(t, Options{Config: load(t, text), Events: e.add})
	lbtest.Eventually(t, patience, func() bool { return e.has("health up") })
	o.Stop()
	lbtest.Eventually(t, patience, func() bool { return e.has("health down") && e.has("pool none") })
	o.Start()
	lbtest.Eventually(t, patience, func() bool { return e.has("pool primary") })
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.last.Pool != "app" || e.last.Message == "" {
		t.Errorf("got %+v", e.last)
	}
}

// TestEventsOfEjections: an ejection and its end are told.
func TestEventsOfEjections(t *testing.T) {
	bad, o := resetting(t), answering(t, ok200)
	var e told
	text := site("", "outlier: { consecutive_errors: 3, eject: 200ms }", bad.Addr(), o.Addr())
	r := startOptions(t, Options{Config: load(t, text), Events: e.add})
	c := r.dial()
	lbtest.Eventually(t, patience, func() bool {
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		c.want("GET", 200, "ok")
		return e.has("ejection ejected")
	})
	lbtest.Eventually(t, patience, func() bool { return e.has("ejection back") })
}
