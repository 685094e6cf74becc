package telemetry

import (
	"strings"
	"testing"

	"weir/config"
)

// TestResolutionOfForgottenNames wants a look-up that ends after its name has left not to bring the series
// back.
func TestResolutionOfForgottenNames(t *testing.T) {
	r := New(Options{})
	n1, n2 := &config.Backend{Name: "n1"}, &config.Backend{Name: "n2"}
	r.CountNames("app", "n1")
	r.CountNames("app", "n2")
	r.Resolution("app", "n1", Resolution{Addresses: 1})
	r.Retain(&config.Config{Pools: map[string]*config.Pool{"app": {Name: "app", Named: []*config.Backend{n1, n2}}}})
	if text := scrapeText(t, r, "/metrics"); !strings.Contains(text, `weir_resolved_addresses{backend="n1",pool="app"} 1`) {
		t.Error("the series of a name that stays is gone")
	}
	r.Retain(&config.Config{Pools: map[string]*config.Pool{"app": {Name: "app", Named: []*config.Backend{n2}}}})
	r.Resolution("app", "n1", Resolution{Addresses: 1})
	text := scrapeText(t, r, "/metrics")
	if strings.Contains(text, `backend="n1"`) || !strings.Contains(text, `weir_resolved_addresses{backend="n2",pool="app"} 0`) {
		t.Errorf("got\n%s", strings.Join(own(text), "\n"))
	}
	r.ForgetPool("app")
	if text := scrapeText(t, r, "/metrics"); strings.Contains(text, "weir_resol") {
		t.Error("the series of a removed pool are there")
	}
	if got := ResolutionResult(200).String(); got != "failed" {
		t.Errorf("got %s", got)
	}
}
