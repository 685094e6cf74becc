package balancer

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/config"
)

// Each backend is written as health/state/weight, with a + for a backup: "up drain 1", "+down ready 1".
func TestEligibility(t *testing.T) {
	tests := []struct {
		name       string
		backends   []string
		minHealthy int
		tier       Tier
		eligible   []int
		err        error
	}{
		{"all primaries", []string{"up ready 1", "up ready 1"}, 0, TierPrimary, []int{0, 1}, nil},
		{"down and checking are out", []string{"up ready 1", "down ready 1", "checking ready 1"}, 0, TierPrimary, []int{0}, nil},
		{"weight 0 is out", []string{"up ready 1", "up ready 0"}, 0, TierPrimary, []int{0}, nil},
		{"backups wait", []string{"up ready 1", "+up ready 1"}, 0, TierPrimary, []int{0}, nil},
		{"backups", []string{"down ready 1", "+up ready 1", "+down ready 1"}, 0, TierBackup, []int{1}, nil},
		{"backups before weight 0", []string{"up ready 0", "+up ready 1"}, 0, TierBackup, []int{1}, nil},
		{"backups before draining", []string{"up drain 1", "+up ready 1"}, 0, TierBackup, []int{1}, nil},
		{"draining", []string{"up drain 1", "down ready 1", "+up drain 1", "+down ready 1"}, 0, TierDraining, []int{0, 2}, nil},
		{"draining and down", []string{"down drain 1"}, 0, TierNone, nil, ErrNoBackendUp},
		{"maintenance never", []string{"up maintenance 1"}, 1, TierNone, nil, ErrNoBackendUp},
		{"fail open", []string{"down ready 1", "down drain 1", "+down ready 1", "down maintenance 1", "down ready 0"}, 1, TierFailOpen, []int{0, 1, 2}, nil},
		{"no fail open unless asked for", []string{"down ready 1", "down ready 1"}, 0, TierNone, nil, ErrNoBackendUp},
		{"draining before fail open", []string{"up drain 1", "down ready 1"}, 1, TierDraining, []int{0}, nil},
		{"too few for min_healthy", []string{"up ready 1", "down ready 1", "down ready 1"}, 2, TierFailOpen, []int{0, 1, 2}, nil},
		{"just enough for min_healthy", []string{"up ready 1", "up ready 1", "down ready 1"}, 2, TierPrimary, []int{0, 1}, nil},
		{"backups in reserve count", []string{"up ready 1", "down ready 1", "+up ready 1"}, 2, TierPrimary, []int{0}, nil},
		{"no verdict is not bad health", []string{"up ready 1", "checking ready 1"}, 2, TierPrimary, []int{0}, nil},
		{"all checking", []string{"checking ready 1", "checking ready 1"}, 0, TierNone, nil, ErrChecking},
		{"all checking, min_healthy", []string{"checking ready 1", "checking ready 1"}, 1, TierNone, nil, ErrChecking},
		{"all but maintenance checking", []string{"checking ready 1", "up maintenance 1"}, 0, TierNone, nil, ErrChecking},
		{"one verdict", []string{"checking ready 1", "down ready 1"}, 0, TierNone, nil, ErrNoBackendUp},
		{"weight 0 only", []string{"up ready 0", "down ready 1"}, 0, TierNone, nil, ErrNoCapacity},
		{"weight 0 in maintenance", []string{"up maintenance 0", "down ready 1"}, 0, TierNone, nil, ErrNoBackendUp},
		{"empty", nil, 1, TierNone, nil, ErrNoBackendUp},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, a := range algorithms {
				p := NewPool(described(t, a, tt.backends, tt.minHealthy), Options{}, epoch)
				for i, m := range p.Snapshot().Members() {
					if h := strings.TrimPrefix(strings.Fields(tt.backends[i])[0], "+"); h != "checking" {
						p.Report(m.Backend, h == "up", epoch)
					}
				}
				checkEligible(t, p, tt.tier, tt.eligible, tt.err)
			}
		})
	}
}

func described(t *testing.T, a config.Algorithm, backends []string, minHealthy int) *config.Pool {
	t.Helper()
	c := checked(weighted(a), config.InitialChecking)
	c.MinHealthy = minHealthy
	for i, text := range backends {
		b := backendOf(i, 0)
		var health string
		if _, err := fmt.Sscan(text, &health, &b.State, &b.Weight); err != nil {
			t.Fatal(err)
		}
		b.Backup = strings.HasPrefix(health, "+")
		c.Backends = append(c.Backends, b)
	}
	return c
}

// checkEligible fails unless exactly these members are eligible, are picked, and nothing else is.
func checkEligible(t *testing.T, p *Pool, tier Tier, eligible []int, want error) {
	t.Helper()
	s := p.Snapshot()
	if s.Tier() != tier {
		t.Errorf("%s: got tier %v, want %v", s.Algorithm(), s.Tier(), tier)
	}
	picked := map[string]bool{}
	for i := range 200 {
		l, err := p.Acquire(client(i), nil)
		if !errors.Is(err, want) {
			t.Fatalf("%s: got error %v, want %v", s.Algorithm(), err, want)
		}
		if err == nil {
			picked[l.Backend().Name()] = true
			l.Release()
		}
	}
	for i, m := range s.Members() {
		in := slices.Contains(eligible, i)
		if m.Eligible != in || picked[m.Backend.Name()] != in || m.Effective > 0 != in {
			t.Errorf("%s: %s eligible %v effective %v picked %v, want %v",
				s.Algorithm(), m.Backend.Name(), m.Eligible, m.Effective, picked[m.Backend.Name()], in)
		}
	}
}

func TestTierNames(t *testing.T) {
	for tier, want := range map[Tier]string{
		TierPrimary: "primary", TierBackup: "backup", TierDraining: "draining", TierFailOpen: "fail_open", TierNone: "none",
	} {
		if got := tier.String(); got != want {
			t.Errorf("tier %d: got %q, want %q", tier, got, want)
		}
	}
}

func TestAcquireBackend(t *testing.T) {
	ready, drain, maintenance, zero := config.Ready, config.Drain, config.Maintenance, 0
	tests := []struct {
		name  string
		setup func(p *Pool, b *Backend)
		want  bool
	}{
		{"up", func(*Pool, *Backend) {}, true},
		{"draining", func(p *Pool, b *Backend) { mustAdmin(t, p, b, Override{State: &drain}) }, true},
		{"weight 0", func(p *Pool, b *Backend) { mustAdmin(t, p, b, Override{State: &ready, Weight: &zero}) }, true},
		{"maintenance", func(p *Pool, b *Backend) { mustAdmin(t, p, b, Override{State: &maintenance}) }, false},
		{"down", func(p *Pool, b *Backend) { p.Report(b, false, time.Unix(1, 0)) }, false},
		{"down, failed open", func(p *Pool, b *Backend) {
			for _, m := range p.Snapshot().Members() {
				p.Report(m.Backend, false, time.Unix(1, 0))
			}
		}, true},
		{"removed", func(p *Pool, b *Backend) {
			p.Apply(&config.Pool{Name: "p", Algorithm: config.WeightedRoundRobin}, time.Unix(1, 0))
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &config.Pool{Name: "p", Algorithm: config.WeightedRoundRobin, MinHealthy: 1}
			for i := range 2 {
				c.Backends = append(c.Backends, &config.Backend{
					Name: fmt.Sprintf("b%d", i), Weight: 1, State: config.Ready,
					Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 80),
				})
			}
			p := NewPool(c, Options{}, time.Unix(0, 0))
			b := p.Snapshot().Members()[0].Backend
			tt.setup(p, b)
			lease, err := p.AcquireBackend(b, nil)
			if (err == nil) != tt.want {
				t.Fatalf("got %v, want success %v", err, tt.want)
			}
			if err != nil {
				return
			}
			if b.Active() != 1 || lease.Backend() != b {
				t.Errorf("%d leases on %v", b.Active(), lease.Backend())
			}
			lease.Release()
			var tried Tried
			tried.Add(b)
			if _, err := p.AcquireBackend(b, &tried); err == nil || b.Active() != 0 {
				t.Error("a tried backend was taken again")
			}
		})
	}
}

func mustAdmin(t *testing.T, p *Pool, b *Backend, o Override) {
	t.Helper()
	if err := p.SetAdmin(b.Name(), o, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
}
