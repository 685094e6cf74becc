//go:build !race

package balancer

import (
	"testing"

	"weir/config"
)

// Picks, retries and releases must not allocate. The race detector does, so this is not built with
// it.
func TestAcquireAllocs(t *testing.T) {
	for _, a := range algorithms {
		for _, ramps := range []bool{false, true} {
			p := NewPool(ramping(poolOf(8, a), 10e9, true), Options{}, epoch)
			if ramps {
				p.Report(backend(t, p, "b3"), false, epoch)
				p.Report(backend(t, p, "b3"), true, epoch)
			}
			i := 0
			allocs := testing.AllocsPerRun(1000, func() {
				var tried Tried
				f := client(i)
				i++
				for range 3 {
					l, err := p.Acquire(f, &tried)
					if err != nil {
						t.Fatal(err)
					}
					tried.Add(l.Backend())
					l.Release()
				}
			})
			if allocs != 0 {
				t.Errorf("%s, ramps %v: %v allocations, want 0", a, ramps, allocs)
			}
		}
	}
}

func TestRefusalAllocs(t *testing.T) {
	p := NewPool(checked(poolOf(2, config.WeightedRoundRobin), config.InitialDown), Options{}, epoch)
	if allocs := testing.AllocsPerRun(1000, func() {
		if _, err := p.Acquire(Flow{}, nil); err == nil {
			t.Fatal("a backend that is down was picked")
		}
	}); allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}

func TestHashAllocs(t *testing.T) {
	f := client(1)
	for tuple := SourceIP; tuple <= ConnectionID; tuple++ {
		var sum uint64
		if allocs := testing.AllocsPerRun(1000, func() { sum += f.Hash(tuple, sum) }); allocs != 0 {
			t.Errorf("tuple %d: %v allocations, want 0", tuple, allocs)
		}
	}
}

func TestBoundedAcquireDoesNotAllocate(t *testing.T) {
	for _, a := range algorithms {
		p := NewPool(bounded(3, a, 5), Options{}, epoch)
		f := client(1)
		if n := testing.AllocsPerRun(100, func() {
			l, err := p.Acquire(f, nil)
			if err != nil {
				t.Fatal(err)
			}
			l.Release()
		}); n != 0 {
			t.Errorf("%s: %v allocations", a, n)
		}
	}
}
