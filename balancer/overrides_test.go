package balancer

import (
	"net/netip"
	"testing"

	"weir/config"
)

// TestOverridesOfTheConfiguration: they hold from the first snapshot on, for backends that are there and
// for those that come later, until the configuration has them no more; SetAdmin wishes beside them.
func TestOverridesOfTheConfiguration(t *testing.T) {
	drained := config.Override{State: new(config.Drain)}
	c := &config.Pool{Name: "app", Algorithm: config.WeightedRoundRobin, Overrides: map[string]config.Override{"b1": drained, "b3": {Weight: new(7)}}}
	with := func(overrides map[string]config.Override, names ...string) *config.Pool {
		p := *c
		p.Overrides = overrides
		for i, name := range names {
			p.Backends = append(p.Backends, &config.Backend{Name: name, Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 80), Weight: 1, State: config.Ready})
		}
		return &p
	}
	p := NewPool(with(c.Overrides, "b1", "b2"), Options{}, epoch)
	want := func(step, name string, state config.State, weight int) {
		t.Helper()
		for _, m := range p.Snapshot().Members() {
			if m.Backend.Name() == name && (m.State != state || m.Weight != weight) {
				t.Errorf("%s: %s is %s with weight %d, want %s and %d", step, name, m.State, m.Weight, state, weight)
			}
		}
	}
	want("start", "b1", config.Drain, 1)
	if err := p.SetAdmin("b2", Override{Weight: new(9)}, epoch); err != nil {
		t.Fatal(err)
	}
	p.Apply(with(c.Overrides, "b1", "b2", "b3"), epoch)
	want("one more", "b1", config.Drain, 1)
	want("one more", "b2", config.Ready, 9)
	want("one more", "b3", config.Ready, 7)
	p.Apply(with(c.Overrides, "b2"), epoch)
	p.Apply(with(c.Overrides, "b1", "b2", "b3"), epoch)
	want("back again", "b1", config.Drain, 1)
	want("back again", "b3", config.Ready, 7)
	p.Apply(with(nil, "b1", "b2", "b3"), epoch)
	want("cleared", "b1", config.Ready, 1)
	want("cleared", "b2", config.Ready, 9)
	want("cleared", "b3", config.Ready, 1)
}
