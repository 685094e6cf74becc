package proxy

import (
	"fmt"
	"net/netip"
	"testing"

	"weir/config"
	"weir/internal/lbtest"
)

// resolved is c with the pool app having one backend, a name, that has these addresses.
func resolved(c *config.Config, addresses ...netip.AddrPort) *config.Config {
	out := *c
	pool := *c.Pools["app"]
	named := &config.Backend{Name: "app", Host: "app.example", Weight: 1, State: config.Ready}
	pool.Named, pool.Backends = []*config.Backend{named}, nil
	for _, a := range addresses {
		b := *named
		b.Name, b.Group, b.Address, b.ProbeAddress = "app/"+a.String(), "app", a, a
		pool.Backends = append(pool.Backends, &b)
	}
	out.Pools = map[string]*config.Pool{"app": &pool}
	return &out
}

// TestRepopulateUnderTraffic changes the addresses of a name under traffic, all of them and back: no request
// fails, and what stays is the same backend.
func TestRepopulateUnderTraffic(t *testing.T) {
	a, b, c := lbtest.NewHTTP(t, "a"), lbtest.NewHTTP(t, "b"), lbtest.NewHTTP(t, "c")
	c0 := load(t, site("", "", a.Addr()))
	r := startWith(t, resolved(c0, a.Addr(), b.Addr()), nil)
	f := r.traffic(8)
	sets := [][]netip.AddrPort{{b.Addr(), c.Addr()}, {c.Addr()}, {a.Addr()}, {a.Addr(), b.Addr(), c.Addr()}, {a.Addr(), b.Addr()}}
	for range 20 {
		for _, set := range sets {
			kept := r.s.Pools()[0].Balancer.Snapshot().Members()
			change := r.s.Repopulate(resolved(c0, set...))
			r.note()
			members := r.s.Pools()[0].Balancer.Snapshot().Members()
			if len(members) != len(set) || change.BackendsAdded+change.BackendsRemoved == 0 || change.PoolsChanged != 0 {
				t.Fatalf("got %d members of %d, %s", len(members), len(set), change)
			}
			for _, m := range members {
				for _, old := range kept {
					if old.Backend.Address() == m.Backend.Address() && old.Backend != m.Backend {
						t.Fatalf("%s is another backend", m.Backend.Name())
					}
				}
			}
			at := f.done.Load()
			lbtest.Eventually(t, patience, func() bool { return f.done.Load() > at+20 })
		}
	}
	f.end(t)
}

// TestRepopulateKeepsTheRest wants a change of addresses to leave alone what else is in service, and a change
// of the whole configuration to find it.
func TestRepopulateKeepsTheRest(t *testing.T) {
	a, b := lbtest.NewHTTP(t, "a"), lbtest.NewHTTP(t, "b")
	c0 := load(t, site("", "", a.Addr()))
	r := startWith(t, resolved(c0), nil)
	client := r.dial()
	client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if got := client.receive("GET"); got.StatusCode != 503 {
		t.Errorf("without an address: got %d, want 503", got.StatusCode)
	}
	r.s.Repopulate(resolved(c0, a.Addr()))
	r.note()
	client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if got := client.receive("GET"); got.StatusCode != 200 {
		t.Errorf("with an address, on the same connection: got %d, want 200", got.StatusCode)
	}
	if got := len(r.s.Pools()[0].Config.Backends); got != 1 {
		t.Errorf("the configuration in force has %d backends, want 1", got)
	}
	if change := r.s.Repopulate(resolved(c0, a.Addr())); change != (Change{}) {
		t.Errorf("the same again: %s", change)
	}
	change := r.apply(resolved(c0, a.Addr(), b.Addr()))
	if change.BackendsAdded != 1 || change.PoolsChanged+change.BackendsRemoved+change.BackendsChanged+change.ListenersChanged != 0 {
		t.Errorf("one address more by a reload: %s", change)
	}
}

// TestRepopulateLayer4 wants the addresses of names to come into service at layer 4 as well.
func TestRepopulateLayer4(t *testing.T) {
	for _, protocol := range []string{"tcp", "udp"} {
		t.Run(protocol, func(t *testing.T) {
			c0 := load(t, fmt.Sprintf("listeners: { web: { protocol: %[1]s, address: \"127.0.0.1:0\", pool: app } }\n"+
				"pools: { app: { protocol: %[1]s, health_check: none, backends: [\"127.0.0.1:9\"] } }\n", protocol))
			r := startWith(t, resolved(c0), nil)
			r.s.Repopulate(resolved(c0, netip.MustParseAddrPort("127.0.0.1:9")))
			r.note()
			members := r.s.Pools()[0].Balancer.Snapshot().Members()
			if len(members) != 1 || !members[0].Eligible || members[0].Backend.Host() != "app.example" {
				t.Errorf("got %+v", members)
			}
		})
	}
}

// TestRepopulateProbes wants new addresses to be checked, and to serve when they are up.
func TestRepopulateProbes(t *testing.T) {
	a, b := lbtest.NewHTTP(t, "a"), lbtest.NewHTTP(t, "b")
	c0 := load(t, fmt.Sprintf("listeners: { web: { protocol: http, address: \"127.0.0.1:0\", pool: app } }\n"+
		"pools: { app: { health_check: { interval: 20ms }, backends: [\"%s\"] } }\n", a.Addr()))
	r := startWith(t, resolved(c0, a.Addr()), nil)
	up := func(addr netip.AddrPort) {
		t.Helper()
		lbtest.Eventually(t, patience, func() bool {
			members := r.s.Pools()[0].Balancer.Snapshot().Members()
			return len(members) == 1 && members[0].Backend.Address() == addr && members[0].Eligible
		})
	}
	up(a.Addr())
	r.s.Repopulate(resolved(c0, b.Addr()))
	r.note()
	up(b.Addr())
}
