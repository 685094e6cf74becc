package balancer

import (
	"errors"
	"slices"
	"testing"

	"weir/config"
)

func TestRetryNeverPicksATriedBackend(t *testing.T) {
	const n = 12
	for _, a := range algorithms {
		for _, ramps := range []bool{false, true} {
			c := ramping(poolOf(n, a), 10e9, true)
			p := NewPool(c, Options{}, epoch)
			if ramps {
				for _, name := range []string{"b3", "b7"} {
					p.Report(backend(t, p, name), false, epoch)
					p.Report(backend(t, p, name), true, epoch)
				}
			}
			for flow := range 50 {
				var tried Tried
				for range n {
					l, err := p.Acquire(client(flow), &tried)
					if err != nil {
						t.Fatalf("%s ramps %v: after %d: %v", a, ramps, tried.Len(), err)
					}
					if tried.Has(l.Backend()) {
						t.Fatalf("%s ramps %v: %s was picked twice", a, ramps, l.Backend().Name())
					}
					tried.Add(l.Backend())
					l.Release()
				}
				if _, err := p.Acquire(client(flow), &tried); !errors.Is(err, ErrNoBackendUp) {
					t.Fatalf("%s ramps %v: all tried: got %v, want %v", a, ramps, err, ErrNoBackendUp)
				}
			}
			for _, m := range p.Snapshot().Members() {
				if got := m.Backend.Active(); got != 0 {
					t.Errorf("%s: %s holds %d leases, want 0", a, m.Backend.Name(), got)
				}
			}
		}
	}
}

func TestKeysRetryInTheSameOrderAndSpread(t *testing.T) {
	p := NewPool(poolOf(10, config.SourceIP), Options{}, epoch)
	second := map[string]map[string]bool{}
	for i := range 2000 {
		order := func() (names []string) {
			var tried Tried
			for range 10 {
				l, err := p.Acquire(client(i), &tried)
				if err != nil {
					t.Fatal(err)
				}
				tried.Add(l.Backend())
				names = append(names, l.Backend().Name())
				l.Release()
			}
			return names
		}
		first := order()
		if again := order(); !slices.Equal(first, again) {
			t.Fatalf("client %d: got %v, then %v", i, first, again)
		}
		if second[first[0]] == nil {
			second[first[0]] = map[string]bool{}
		}
		second[first[0]][first[1]] = true
	}
	for name, others := range second {
		if len(others) != 9 {
			t.Errorf("the keys of %s retry on %d others, want all 9", name, len(others))
		}
	}
}

func TestTried(t *testing.T) {
	var tried Tried
	backends := make([]*Backend, maxTried+1)
	for i := range backends {
		backends[i] = &Backend{}
	}
	for i, b := range backends[:maxTried] {
		tried.Add(b)
		tried.Add(b)
		if tried.Len() != i+1 || !tried.Has(b) || tried.Has(backends[maxTried]) {
			t.Fatalf("after %d: len %d", i+1, tried.Len())
		}
	}
	p := NewPool(poolOf(3, config.WeightedRoundRobin), Options{}, epoch)
	if _, err := p.Acquire(Flow{}, &tried); err != nil {
		t.Fatalf("a full set of others: %v", err)
	}
	if tried.Add(backends[maxTried]); tried.Has(backends[maxTried]) {
		t.Fatal("a set of 16 holds a seventeenth")
	}
	if _, err := p.Acquire(Flow{}, &tried); !errors.Is(err, ErrNoBackendUp) {
		t.Errorf("after more than it can remember: got %v, want %v", err, ErrNoBackendUp)
	}
	if tried.Reset(); tried.Len() != 0 || tried.Has(backends[0]) {
		t.Error("Reset leaves something")
	}
	if _, err := p.Acquire(Flow{}, &tried); err != nil {
		t.Errorf("after Reset: %v", err)
	}
	var none *Tried
	if none.Len() != 0 || none.Has(backends[0]) {
		t.Error("a nil set is not empty")
	}
}
