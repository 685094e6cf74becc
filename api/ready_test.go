package api

import (
	"net/http"
	"strings"
	"testing"
)

func TestReadiness(t *testing.T) {
	tests := []struct {
		name    string
		change  func(*fakeRunning, *fakeChecks)
		missing string // name of the one condition that fails; empty: ready
		detail  string
	}{
		{"ready", func(*fakeRunning, *fakeChecks) {}, "", ""},
		{"not loaded", func(r *fakeRunning, _ *fakeChecks) { r.process.Loaded = false }, "loaded", "no configuration"},
		{"not bound", func(r *fakeRunning, _ *fakeChecks) { r.process.Bound = false }, "bound", "not every listener"},
		{"first round", func(_ *fakeRunning, c *fakeChecks) { c.settled = false }, "probed", "first round"},
		{"draining", func(r *fakeRunning, _ *fakeChecks) { r.process.Draining = true }, "serving", "stopping"},
		{"a required pool is down", func(r *fakeRunning, _ *fakeChecks) {
			p := newPool("api", 1, 1, 1)
			report(p, false, false)
			r.pools = append(r.pools, p)
		}, "pool api", "0 up, 2 down, 1 checking"},
		{"a required pool has no weight", func(r *fakeRunning, _ *fakeChecks) {
			p := newPool("api", 0)
			report(p, true)
			r.pools = append(r.pools, p)
		}, "pool api", "1 up, 0 down"},
		{"another pool is down", func(r *fakeRunning, _ *fakeChecks) {
			p := newPool("api", 1)
			p.Required = false
			report(p, false)
			r.pools = append(r.pools, p)
		}, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			running, checks := healthy()
			tt.change(running, checks)
			s := start(t, func(o *Options) { o.Running, o.Checks = running, checks })
			response, body := ask(t, overTCP(), "GET", "http://"+s.Addr()+"/readyz", "")
			want := http.StatusOK
			if tt.missing != "" {
				want = http.StatusServiceUnavailable
			}
			if response.StatusCode != want {
				t.Errorf("got %d, want %d", response.StatusCode, want)
			}
			got := decode[Readiness](t, body)
			if got.Ready != (tt.missing == "") || got.Draining != running.process.Draining {
				t.Errorf("got %+v", got)
			}
			for _, c := range got.Checks {
				if c.OK == (c.Name == tt.missing) {
					t.Errorf("condition %q: got ok %v", c.Name, c.OK)
				}
				if c.Name == tt.missing && !strings.Contains(c.Detail, tt.detail) {
					t.Errorf("got detail %q, want it to contain %q", c.Detail, tt.detail)
				}
				if c.OK && c.Detail != "" {
					t.Errorf("condition %q holds and has detail %q", c.Name, c.Detail)
				}
			}
		})
	}
}
