package balancer

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"weir/config"
)

// named is a pool of the backend app, a name, at these addresses.
func named(resolving int, addresses ...string) *config.Pool {
	app := &config.Backend{Name: "app", Host: "app.example", Port: 8080, Weight: 3, State: config.Ready}
	c := &config.Pool{
		Name: "web", Algorithm: config.WeightedRoundRobin, Hash: config.Hash{Weighted: true},
		Named: []*config.Backend{app}, Resolving: resolving,
	}
	for _, address := range addresses {
		b := *app
		b.Name, b.Group = "app/"+address, "app"
		b.Address = netip.AddrPortFrom(netip.MustParseAddr(address), app.Port)
		b.ProbeAddress = b.Address
		c.Backends = append(c.Backends, &b)
	}
	return c
}

// TestOverrideOfName wants an override of a name to hold for all its addresses, those that come later
// included, and that of one of them to go before it, part by part.
func TestOverrideOfName(t *testing.T) {
	p := NewPool(named(0, "10.0.0.1", "10.0.0.2"), Options{}, epoch)
	set := func(backend string, o Override) {
		t.Helper()
		if err := p.SetAdmin(backend, o, epoch); err != nil {
			t.Fatal(err)
		}
	}
	want := func(backend string, state config.State, weight int, overridden bool) {
		t.Helper()
		if m := member(t, p, backend); m.State != state || m.Weight != weight || m.Overridden != overridden {
			t.Errorf("%s: got %s, weight %d, overridden %v, want %s, %d, %v", backend, m.State, m.Weight, m.Overridden, state, weight, overridden)
		}
	}
	set("app", Override{State: new(config.Drain), Weight: new(7)})
	set("app/10.0.0.1", Override{State: new(config.Ready)})
	set("app/10.0.0.9", Override{Weight: new(9)}) // not there yet
	want("app/10.0.0.1", config.Ready, 7, true)
	want("app/10.0.0.2", config.Drain, 7, true)

	p.Apply(named(0, "10.0.0.3", "10.0.0.9"), epoch)
	want("app/10.0.0.3", config.Drain, 7, true)
	want("app/10.0.0.9", config.Drain, 9, true)
	p.Apply(named(0), epoch) // no address, and later some again
	p.Apply(named(0, "10.0.0.1", "10.0.0.2"), epoch)
	want("app/10.0.0.1", config.Ready, 7, true)
	want("app/10.0.0.2", config.Drain, 7, true)

	set("app", Override{})
	want("app/10.0.0.1", config.Ready, 3, true)
	want("app/10.0.0.2", config.Ready, 3, false)

	if err := p.SetAdmin("db/10.0.0.1", Override{Weight: new(1)}, epoch); err == nil {
		t.Error("an override of an address of no backend was taken")
	}
	p.Apply(poolOf(1, config.WeightedRoundRobin), epoch)
	p.Apply(named(0, "10.0.0.1"), epoch)
	want("app/10.0.0.1", config.Ready, 3, false) // the backend had left the configuration
}

// TestHostIsIdentity wants another backend for another name at the same address: its certificate is
// another one.
func TestHostIsIdentity(t *testing.T) {
	c := named(0, "10.0.0.1")
	p := NewPool(c, Options{}, epoch)
	before := backend(t, p, "app/10.0.0.1")
	other := named(0, "10.0.0.1")
	other.Backends[0].Host = "app2.example"
	if change := p.Apply(other, epoch); len(change.Added) != 1 || len(change.Removed) != 1 {
		t.Errorf("got %d added, %d removed, want 1 and 1", len(change.Added), len(change.Removed))
	}
	if b := backend(t, p, "app/10.0.0.1"); b == before || b.Host() != "app2.example" || before.Host() != "app.example" {
		t.Errorf("got %q after %q, the same backend: %v", b.Host(), before.Host(), b == before)
	}
}

// TestResolvingIsChecking wants flows to wait for the first answer about a name as they do for the first
// verdict on a backend, and only while there is nothing else that has had one.
func TestResolvingIsChecking(t *testing.T) {
	p := NewPool(named(1), Options{}, epoch)
	if _, err := p.Acquire(Flow{}, nil); !errors.Is(err, ErrChecking) {
		t.Errorf("resolving: got %v, want ErrChecking", err)
	}
	if !p.Snapshot().Undecided() {
		t.Error("resolving: the snapshot counts as decided")
	}
	got := make(chan error, 1)
	go func() {
		lease, err := p.Await(&Wait{})
		if err == nil {
			lease.Release()
		}
		got <- err
	}()
	p.Apply(named(0, "10.0.0.1"), epoch)
	select {
	case err := <-got:
		if err != nil {
			t.Errorf("who waited got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("who waited for the first answer was not woken by it")
	}
	p.Apply(named(0), epoch)
	if _, err := p.Acquire(Flow{}, nil); !errors.Is(err, ErrNoBackendUp) {
		t.Errorf("no address: got %v, want ErrNoBackendUp", err)
	}
	if p.Snapshot().Undecided() {
		t.Error("no address: the snapshot counts as undecided")
	}
	down := checked(named(1, "10.0.0.1"), config.InitialDown)
	p.Apply(down, epoch)
	if _, err := p.Acquire(Flow{}, nil); !errors.Is(err, ErrNoBackendUp) {
		t.Errorf("one down, one resolving: got %v, want ErrNoBackendUp", err)
	}
}

// TestFirstAnswersAreFounders wants no slow start for the backends of the first answers, whatever their
// order, and one for those that come later.
func TestFirstAnswersAreFounders(t *testing.T) {
	ramped := func(c *config.Pool) *config.Pool {
		c.SlowStart = config.SlowStart{Duration: time.Minute, Repeat: true}
		return c
	}
	p := NewPool(ramped(named(2)), Options{}, epoch)
	p.Apply(ramped(named(1, "10.0.0.1")), epoch)
	p.Apply(ramped(named(0, "10.0.0.1", "10.0.0.2")), epoch.Add(time.Second))
	if got := member(t, p, "app/10.0.0.2").Ramp; got != 1 {
		t.Errorf("a backend of the first answers ramps at %v", got)
	}
	p.Apply(ramped(named(1, "10.0.0.1", "10.0.0.2")), epoch.Add(2*time.Second)) // a further name
	p.Apply(ramped(named(0, "10.0.0.1", "10.0.0.2", "10.0.0.3")), epoch.Add(3*time.Second))
	if got := member(t, p, "app/10.0.0.3").Ramp; got == 1 {
		t.Error("a backend that joined later does not ramp")
	}
}
