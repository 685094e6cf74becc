package balancer

import (
	"slices"
	"strings"
	"testing"
	"time"

	"weir/config"
)

// peer counts how often it was told to retire.
type peer struct{ retired int }

func (p *peer) Retire() { p.retired++ }

func names(backends []*Backend) []string {
	var s []string
	for _, b := range backends {
		s = append(s, b.Name())
	}
	return s
}

func TestApplyKeepsIdentity(t *testing.T) {
	c := weighted(config.WeightedRoundRobin, 1, 2, 3, 4)
	p := NewPool(c, Options{Attach: func(*Backend) Peer { return &peer{} }}, epoch)
	before := p.Snapshot()
	old := before.Members()
	lease, err := p.Acquire(Flow{}, nil)
	if err != nil {
		t.Fatal(err)
	}

	next := *c
	moved := *c.Backends[2]
	moved.Address = backendOf(77, 1).Address
	heavier := *c.Backends[1]
	heavier.Weight = 9
	// b0 as it was, b1 heavier, b2 at another address, b3 gone, b9 new; in another order.
	next.Backends = []*config.Backend{backendOf(9, 1), &moved, &heavier, c.Backends[0]}
	change := p.Apply(&next, epoch.Add(time.Second))

	if got, want := names(change.Added), []string{"b9", "b2"}; !slices.Equal(got, want) {
		t.Errorf("added: got %v, want %v", got, want)
	}
	if got, want := names(change.Removed), []string{"b2", "b3"}; !slices.Equal(got, want) {
		t.Errorf("removed: got %v, want %v", got, want)
	}
	if got, want := names(change.Changed), []string{"b1"}; !slices.Equal(got, want) {
		t.Errorf("changed: got %v, want %v", got, want)
	}
	if backend(t, p, "b0") != old[0].Backend || backend(t, p, "b1") != old[1].Backend {
		t.Error("b0 or b1 lost their identity")
	}
	if b := backend(t, p, "b2"); b == old[2].Backend || b.Address() != moved.Address {
		t.Error("b2 at another address is the same backend")
	}
	for i, m := range old {
		gone := i >= 2
		if m.Backend.Removed() != gone || m.Backend.Peer().(*peer).retired != map[bool]int{true: 1}[gone] {
			t.Errorf("%s: removed %v, retired %d times, want %v", m.Backend.Name(), m.Backend.Removed(), m.Backend.Peer().(*peer).retired, gone)
		}
	}
	select {
	case <-before.Replaced():
	default:
		t.Error("the old snapshot does not know that it was replaced")
	}
	if got, want := p.Snapshot().Generation(), before.Generation()+1; got != want {
		t.Errorf("generation: got %d, want %d", got, want)
	}
	lease.Release()
	for _, m := range old {
		if got := m.Backend.Active(); got != 0 {
			t.Errorf("%s holds %d leases", m.Backend.Name(), got)
		}
	}
	if p.Report(old[3].Backend, false, epoch) {
		t.Error("a verdict about a removed backend changed something")
	}
	for _, b := range change.Removed {
		p.Apply(&next, epoch)
		if got := b.Peer().(*peer).retired; got != 1 {
			t.Errorf("%s was retired %d times", b.Name(), got)
		}
	}
}

func TestApplyOfTheSameChangesNothing(t *testing.T) {
	for _, a := range algorithms {
		c := weighted(a, 5, 3, 1)
		p := NewPool(c, Options{}, epoch)
		acquire(t, p, Flow{})
		before := p.Snapshot()
		same := *c
		same.Backends = nil
		for _, b := range c.Backends {
			again := *b
			same.Backends = append(same.Backends, &again)
		}
		change := p.Apply(&same, epoch.Add(time.Hour))
		if p.Snapshot() != before || len(change.Added)+len(change.Removed)+len(change.Changed) > 0 {
			t.Errorf("%s: an equal configuration changed %+v", a, change)
		}
	}
}

func TestAlgorithmMayChange(t *testing.T) {
	p := NewPool(weighted(config.WeightedRoundRobin, 5, 3, 1), Options{}, epoch)
	for range 3 {
		for _, a := range algorithms {
			p.Apply(weighted(a, 5, 3, 1), epoch)
			if got := p.Snapshot().Algorithm(); got != a {
				t.Fatalf("got %s, want %s", got, a)
			}
			acquire(t, p, client(1))
		}
	}
}

func TestInitialHealth(t *testing.T) {
	tests := []struct {
		name   string
		health *config.HealthCheck
		want   Health
	}{
		{"none", nil, Up},
		{"checking", &config.HealthCheck{Initial: config.InitialChecking}, Checking},
		{"up", &config.HealthCheck{Initial: config.InitialUp}, Up},
		{"down", &config.HealthCheck{Initial: config.InitialDown}, Down},
	}
	for _, tt := range tests {
		c := poolOf(1, config.WeightedRoundRobin)
		c.Health = tt.health
		p := NewPool(c, Options{}, epoch)
		if got := backend(t, p, "b0"); got.Health() != tt.want || !got.Since().Equal(epoch) {
			t.Errorf("%s: got %v since %v, want %v since %v", tt.name, got.Health(), got.Since(), tt.want, epoch)
		}
		// Without a check nobody will ever say that it is up.
		p.Apply(poolOf(1, config.WeightedRoundRobin), epoch)
		if got := backend(t, p, "b0").Health(); got != Up {
			t.Errorf("%s, then no check: got %v, want up", tt.name, got)
		}
	}
}

func TestReport(t *testing.T) {
	p := NewPool(checked(poolOf(2, config.WeightedRoundRobin), config.InitialChecking), Options{}, epoch)
	b := backend(t, p, "b0")
	later := epoch.Add(time.Minute)
	steps := []struct {
		up, changed bool
		at          time.Time
		health      string
	}{{true, true, epoch, "up"}, {true, false, epoch, "up"}, {false, true, later, "down"}, {false, false, epoch, "down"}}
	for i, s := range steps {
		before := p.Snapshot()
		if got := p.Report(b, s.up, s.at); got != s.changed {
			t.Errorf("step %d: got %v, want %v", i, got, s.changed)
		}
		if got := p.Snapshot() != before; got != s.changed {
			t.Errorf("step %d: published %v, want %v", i, got, s.changed)
		}
		if got := b.Health().String(); got != s.health {
			t.Errorf("step %d: got %s, want %s", i, got, s.health)
		}
	}
	if !b.Since().Equal(later) {
		t.Errorf("down since %v, want %v", b.Since(), later)
	}
	other := NewPool(poolOf(1, config.WeightedRoundRobin), Options{}, epoch)
	if p.Report(backend(t, other, "b0"), false, epoch) {
		t.Error("a verdict about another pool's backend changed something")
	}
}

func TestOverrides(t *testing.T) {
	c := poolOf(3, config.WeightedRoundRobin)
	p := NewPool(c, Options{}, epoch)
	state, weight := config.Drain, 7
	if err := p.SetAdmin("b1", Override{State: &state, Weight: &weight}, epoch); err != nil {
		t.Fatal(err)
	}
	state, weight = config.Ready, 9 // the pool has its own copy
	check := func(when string, state config.State, weight int, overridden bool) {
		t.Helper()
		m := member(t, p, "b1")
		if m.State != state || m.Weight != weight || m.Overridden != overridden || m.Backend.State() != state {
			t.Errorf("%s: got %+v", when, m)
		}
	}
	check("set", config.Drain, 7, true)

	file := *c
	file.Backends = slices.Clone(c.Backends)
	other := *c.Backends[1]
	other.Weight, other.State, other.Address = 3, config.Maintenance, backendOf(50, 1).Address
	file.Backends[1] = &other
	p.Apply(&file, epoch)
	check("over a reload, at another address", config.Drain, 7, true)

	if err := p.SetAdmin("b1", Override{}, epoch); err != nil {
		t.Fatal(err)
	}
	check("cleared", config.Maintenance, 3, false)

	for _, tt := range []struct {
		name string
		o    Override
		want string
	}{
		{"b7", Override{}, `pool web has no backend "b7"`},
		{"b1", Override{Weight: new(257)}, "weight 257 is not in 0…256"},
		{"b1", Override{Weight: new(-1)}, "weight -1 is not in 0…256"},
		{"b1", Override{State: new(config.State("gone"))}, `state "gone" is not ready, drain or maintenance`},
	} {
		err := p.SetAdmin(tt.name, tt.o, epoch)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
	check("after errors", config.Maintenance, 3, false)
}

func TestTooManyBackends(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a pool of more than MaxBackends did not panic")
		}
	}()
	NewPool(&config.Pool{Backends: make([]*config.Backend, MaxBackends+1)}, Options{}, epoch)
}
