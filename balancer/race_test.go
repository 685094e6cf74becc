package balancer

import (
	"errors"
	"sync"
	"testing"
	"time"

	"weir/config"
)

// Flows and writers at once: under -race this proves that readers need no lock, without it that no
// lease is lost.
func TestConcurrentFlowsAndWriters(t *testing.T) {
	for _, a := range []config.Algorithm{config.WeightedRoundRobin, config.LeastConnections, config.SourceIP} {
		t.Run(string(a), func(t *testing.T) {
			c := ramping(weighted(a, 5, 3, 1, 2, 2), time.Second, true)
			p := NewPool(c, Options{}, epoch)
			seen := map[*Backend]bool{}
			for _, m := range p.Snapshot().Members() {
				seen[m.Backend] = true
			}
			stop := make(chan struct{})
			var flows, writer sync.WaitGroup
			writer.Go(func() {
				for now := epoch; ; now = now.Add(100 * time.Millisecond) {
					select {
					case <-stop:
						return
					default:
						disturb(t, p, c, now)
					}
					for _, m := range p.Snapshot().Members() {
						seen[m.Backend] = true
					}
				}
			})
			for g := range 4 {
				flows.Go(func() { flow(t, p, g) })
			}
			flows.Wait()
			close(stop)
			writer.Wait()
			for b := range seen {
				if got := b.Active(); got != 0 {
					t.Errorf("%s holds %d leases, want 0", b.Name(), got)
				}
			}
		})
	}
}

// flow picks, retries and releases a few thousand times.
func flow(t *testing.T, p *Pool, g int) {
	var tried Tried
	for i := range 3000 {
		tried.Reset()
		for range 3 {
			l, err := p.Acquire(client(g*3000+i), &tried)
			if err != nil {
				if !errors.Is(err, ErrNoBackendUp) {
					t.Errorf("acquire: %v", err)
				}
				break
			}
			if tried.Has(l.Backend()) {
				t.Errorf("%s was picked twice", l.Backend().Name())
			}
			tried.Add(l.Backend())
			l.Release()
		}
	}
}

// disturb makes every kind of change, by the clock.
func disturb(t *testing.T, p *Pool, c *config.Pool, now time.Time) {
	round := int(now.Sub(epoch) / (100 * time.Millisecond))
	members := p.Snapshot().Members()
	b := members[round%len(members)].Backend
	switch round % 5 {
	case 0:
		p.Report(b, false, now)
	case 1:
		for _, m := range members {
			p.Report(m.Backend, true, now)
		}
	case 2:
		if round%2 == 0 {
			c = grown(c, 3)
		}
		p.Apply(c, now)
	case 3:
		if err := p.SetAdmin(b.Name(), Override{Weight: new(1 + round%7)}, now); err != nil {
			t.Errorf("override: %v", err)
		}
	case 4:
		p.Ramp(now)
	}
}

// Without rebuilds concurrent round robin is exact, however many pick.
func TestConcurrentRoundRobinIsExact(t *testing.T) {
	p := NewPool(weighted(config.WeightedRoundRobin, 5, 3, 1), Options{}, epoch)
	var flows sync.WaitGroup
	for range 8 {
		flows.Go(func() {
			for range 900 {
				l, err := p.Acquire(Flow{}, nil)
				if err != nil {
					t.Errorf("acquire: %v", err)
					return
				}
				l.Release()
			}
		})
	}
	flows.Wait()
	for name, want := range map[string]uint64{"b0": 4000, "b1": 2400, "b2": 800} {
		if got := backend(t, p, name).Picks(); got != want {
			t.Errorf("%s: got %d picks, want %d", name, got, want)
		}
	}
}

func TestReplacedWakesAWaiter(t *testing.T) {
	p := NewPool(checked(poolOf(1, config.WeightedRoundRobin), config.InitialChecking), Options{}, epoch)
	b := backend(t, p, "b0")
	got := make(chan error)
	waiting := make(chan struct{})
	go func() {
		for {
			s := p.Snapshot()
			_, err := p.Acquire(Flow{}, nil)
			if !errors.Is(err, ErrChecking) {
				got <- err
				return
			}
			select {
			case waiting <- struct{}{}:
			default:
			}
			<-s.Replaced()
		}
	}()
	<-waiting
	p.Report(b, true, epoch)
	if err := <-got; err != nil {
		t.Errorf("after the first verdict: %v", err)
	}
}
