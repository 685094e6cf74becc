package resolve

import (
	"context"
	"net/netip"
	"testing"

	"weir/config"
)

// A resolver begins with the addresses that another one knew, and asks nobody for them first.
func TestRemember(t *testing.T) {
	silent := func(ctx context.Context, _ string, _ []netip.Addr) ([]netip.Addr, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	r := New(Options{Lookup: silent})
	defer r.Close()
	addr := netip.MustParseAddr("10.0.0.7")
	r.Remember([]Status{
		{Key: Key{"app", "b"}, Host: "app.example", State: Resolved, Addresses: []netip.Addr{addr}},
		{Key: Key{"gone", "b"}, Host: "gone.example", State: Resolved, Addresses: []netip.Addr{addr}},
		{Key: Key{"app", "none"}, Host: "none.example", State: Unresolved},
	})
	c := &config.Config{Pools: map[string]*config.Pool{"app": {Name: "app", Backends: []*config.Backend{
		{Name: "b", Host: "app.example", Port: 80}, {Name: "none", Host: "none.example", Port: 80},
	}}}}
	for _, step := range []string{"at the beginning", "when it is followed"} {
		p := r.Expand(c).Pools["app"]
		if len(p.Backends) != 1 || p.Backends[0].Address != netip.AddrPortFrom(addr, 80) || p.Resolving != 1 {
			t.Errorf("%s: got %d backends, %d names to be resolved, want 1 and 1", step, len(p.Backends), p.Resolving)
		}
		r.Follow(c)
	}
	if n := len(r.Status()); n != 2 {
		t.Errorf("names: got %d, want 2: what is not followed is forgotten", n)
	}
}
