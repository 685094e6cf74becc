package balancer

import (
	"cmp"
	"container/heap"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"weir/config"
)

// linearScan is the definition: the least (active+1)/weight of the eligible ones, the first behind
// last of several.
func linearScan(backends []*Backend, weights []int, last int) int {
	best := -1
	for i := range backends {
		at := (last + 1 + i) % len(backends)
		if weights[at] == 0 {
			continue
		}
		if best < 0 || (backends[at].Active()+1)*int64(weights[best]) < (backends[best].Active()+1)*int64(weights[at]) {
			best = at
		}
	}
	return best
}

func TestLeastConnectionsEqualsLinearScan(t *testing.T) {
	rng := rand.New(rand.NewPCG(10, 11))
	for state := range 10_000 {
		weights := make([]int, 1+rng.IntN(20))
		for i := range weights {
			weights[i] = 1
			if state%2 == 0 { // else equal weights, which have a loop of their own
				weights[i] = rng.IntN(6)
			}
		}
		weights[rng.IntN(len(weights))] = 1
		p := NewPool(weighted(config.LeastConnections, weights...), Options{}, epoch)
		backends := make([]*Backend, len(weights))
		for i, m := range p.Snapshot().Members() {
			backends[i] = m.Backend
			m.Backend.acquired.Store(uint64(rng.IntN(30)))
			m.Backend.released.Store(uint64(rng.IntN(1 + int(m.Backend.acquired.Load()))))
		}
		last := len(weights) - 1
		var held []Lease
		for range 10 {
			want := linearScan(backends, weights, last)
			l, err := p.Acquire(Flow{}, nil)
			if err != nil || l.Backend() != backends[want] {
				t.Fatalf("weights %v last %d: got %v, %v, want %s", weights, last, l.Backend(), err, backends[want].Name())
			}
			last = want
			if held = append(held, l); rng.IntN(3) == 0 {
				i := rng.IntN(len(held))
				held[i].Release()
				held[i] = held[len(held)-1]
				held = held[:len(held)-1]
			}
		}
	}
}

func TestTiesRotate(t *testing.T) {
	p := NewPool(poolOf(10, config.LeastConnections), Options{}, epoch)
	for i, m := range p.Snapshot().Members() {
		if i != 2 && i != 7 { // only these two are idle: they take turns, however far apart
			m.Backend.acquired.Add(1)
		}
	}
	for n := range 20 {
		want := "b2"
		if n%2 == 1 {
			want = "b7"
		}
		if got := acquire(t, p, Flow{}); got != want {
			t.Fatalf("pick %d: got %s, want %s", n, got, want)
		}
	}
}

func TestScanGoesOnWhereItWasAfterARebuild(t *testing.T) {
	p := NewPool(poolOf(5, config.LeastConnections), Options{}, epoch)
	for range 3 { // b0 b1 b2
		acquire(t, p, Flow{})
	}
	p.Report(backend(t, p, "b0"), false, epoch)
	if got := acquire(t, p, Flow{}); got != "b3" {
		t.Errorf("after b2, without b0: got %s, want b3", got)
	}
	p.Report(backend(t, p, "b4"), false, epoch)
	if got := acquire(t, p, Flow{}); got != "b1" {
		t.Errorf("after b3, without b4 and b0: got %s, want b1", got)
	}
}

// completion is the end of a lease in virtual time.
type completion struct {
	at    time.Time
	lease Lease
}

type completions []completion

func (c completions) Len() int           { return len(c) }
func (c completions) Less(i, j int) bool { return c[i].at.Before(c[j].at) }
func (c completions) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }
func (c *completions) Push(x any)        { *c = append(*c, x.(completion)) }
func (c *completions) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

func TestSlowBackendHoldsNoMoreThanItsPartOfAClosedLoop(t *testing.T) {
	const loop = 64
	for _, n := range []int{2, 3, 5, 8, 10} {
		t.Run(fmt.Sprintf("%d backends", n), func(t *testing.T) {
			p := NewPool(poolOf(n, config.LeastConnections), Options{}, epoch)
			rng := rand.New(rand.NewPCG(12, uint64(n)))
			var running completions
			start := func(now time.Time) {
				l, err := p.Acquire(Flow{}, nil)
				if err != nil {
					t.Fatal(err)
				}
				service := 10 * time.Millisecond
				if l.Backend().Name() == "b0" {
					service *= 10
				}
				service += time.Duration(rng.Int64N(int64(service)))
				heap.Push(&running, completion{now.Add(service), l})
			}
			for range loop {
				start(epoch)
			}
			limit := int64((loop+n-1)/n + 2)
			for range 20_000 {
				done := heap.Pop(&running).(completion)
				done.lease.Release()
				start(done.at)
				for _, m := range p.Snapshot().Members() {
					if got := m.Backend.Active(); got > limit {
						t.Fatalf("%s holds %d leases, want at most %d", m.Backend.Name(), got, limit)
					}
				}
			}
			slow, fast := backend(t, p, "b0").Picks(), backend(t, p, "b1").Picks()
			if cmp.Compare(slow*5, fast) > 0 {
				t.Errorf("the slow one got %d picks, the fast one %d: want less than a fifth", slow, fast)
			}
		})
	}
}
