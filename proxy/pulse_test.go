package proxy

import (
	"context"
	"strings"
	"testing"
	"time"
)

// A server that moves has a pulse; one of which a part is stuck says which.
func TestPulse(t *testing.T) {
	r := start(t, `
listeners:
  web: { protocol: http, address: "127.0.0.1:0", pool: web }
  dns: { protocol: udp, address: "127.0.0.1:0", pool: dns }
pools:
  web: { backends: ["127.0.0.1:9"], health_check: none }
  dns: { protocol: udp, backends: ["127.0.0.1:9"], health_check: none }
`)
	p := r.s.NewPulse()
	check := func(within time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		return p.Check(ctx)
	}
	for range 3 {
		if err := check(patience); err != nil {
			t.Fatal(err)
		}
	}
	socket := r.s.listeners["web"].sockets[0]
	stuck := []struct {
		name         string
		lock, unlock func()
		want         string
	}{
		{"who accepts", socket.mu.Lock, socket.mu.Unlock, "nobody accepts connections at 127.0.0.1:0"},
		{"the steward", r.s.steward.work.Lock, r.s.steward.work.Unlock, "nobody looks after slow starts"},
		{"a change", r.s.mu.Lock, r.s.mu.Unlock, "a change of the configuration does not end"},
	}
	for _, tt := range stuck {
		tt.lock()
		err := check(30 * time.Millisecond)
		tt.unlock()
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s is stuck: got %v, want %q", tt.name, err, tt.want)
		}
	}
	if err := check(patience); err != nil {
		t.Errorf("everything moves again: %v", err)
	}
	// While everything stands still because it is being handed over, nobody is to be ended for that.
	offer, err := r.s.Offer()
	if err != nil {
		t.Fatal(err)
	}
	closeOffer(offer)
	if err := r.s.Freeze([]int{0, 1}); err != nil {
		t.Fatal(err)
	}
	if err := check(30 * time.Millisecond); err != nil {
		t.Errorf("while it is handed over: %v", err)
	}
	r.s.TakeBack()
	if err := check(patience); err != nil {
		t.Errorf("after that: %v", err)
	}
}
