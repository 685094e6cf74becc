package balancer

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"weir/config"
)

// sequence is the names of the next n picks.
func sequence(t *testing.T, p *Pool, n int) []string {
	t.Helper()
	names := make([]string, n)
	for i := range names {
		names[i] = acquire(t, p, Flow{})
	}
	return names
}

// checkShares draws two cycles and fails unless each has exact counts and every prefix is within one
// pick of the ideal.
func checkShares(t *testing.T, p *Pool, weights map[string]int) {
	t.Helper()
	sum, divisor := 0, 0
	for _, w := range weights {
		sum += w
		divisor = gcd(divisor, w)
	}
	taken := map[string]int{}
	for n := 1; n <= 2*sum/divisor; n++ {
		taken[acquire(t, p, Flow{})]++
		for name, w := range weights {
			if off := taken[name]*sum - w*n; off >= sum || off <= -sum {
				t.Fatalf("weights %v: after %d picks %s has %d, want within one of %.2f",
					weights, n, name, taken[name], float64(w*n)/float64(sum))
			}
			if n%(sum/divisor) == 0 && taken[name]*sum != w*n {
				t.Fatalf("weights %v: after %d picks %s has %d, want %d", weights, n, name, taken[name], w*n/sum)
			}
		}
	}
	for name := range taken {
		if weights[name] == 0 {
			t.Fatalf("%s was picked, has no weight or is down", name)
		}
	}
}

func TestWeightedRoundRobinIsExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		weights := make([]int, 1+rng.IntN(10))
		ideal := map[string]int{}
		for i := range weights {
			weights[i] = rng.IntN(1 + rng.IntN(256))
		}
		weights[rng.IntN(len(weights))]++ // somebody has weight
		for i, w := range weights {
			if w > 0 {
				ideal["b"+itoa(i)] = w
			}
		}
		checkShares(t, NewPool(weighted(config.WeightedRoundRobin, weights...), Options{}, epoch), ideal)

		down := "b" + itoa(rng.IntN(len(weights)))
		if delete(ideal, down); len(ideal) > 0 {
			p := NewPool(weighted(config.WeightedRoundRobin, weights...), Options{}, epoch)
			p.Report(backend(t, p, down), false, epoch)
			checkShares(t, p, ideal)
		}
	}
}

func TestRotationBeginsAtOffset(t *testing.T) {
	c := weighted(config.WeightedRoundRobin, 1, 1, 1)
	want := []string{"b2", "b0", "b1", "b2"}
	if got := sequence(t, NewPool(c, Options{Offset: 5}, epoch), 4); !slices.Equal(got, want) {
		t.Errorf("offset 5 of 3: got %v, want %v", got, want)
	}
	// The verdicts of the start rebuild the rotation; the offset must not be lost.
	p := NewPool(checked(c, config.InitialChecking), Options{Offset: 5}, epoch)
	for _, m := range p.Snapshot().Members() {
		p.Report(m.Backend, true, epoch)
	}
	if got := sequence(t, p, 4); !slices.Equal(got, want) {
		t.Errorf("offset 5 of 3 after the first verdicts: got %v, want %v", got, want)
	}
}

func TestRebuildsWithTheSameWeightsKeepTheSequence(t *testing.T) {
	c := weighted(config.WeightedRoundRobin, 5, 3, 1, 7)
	c.Backends[3].State = config.Maintenance
	still, moving := NewPool(c, Options{}, epoch), NewPool(c, Options{}, epoch)
	rng := rand.New(rand.NewPCG(5, 6))
	for n := range 500 {
		switch rng.IntN(4) {
		case 0:
			moving.Report(backend(t, moving, "b3"), n%2 == 0, epoch)
		case 1:
			moving.Apply(c, epoch)
		case 2:
			same := *c
			same.MinHealthy = n % 2 // two or more are up: no difference
			moving.Apply(&same, epoch)
		}
		if got, want := acquire(t, moving, Flow{}), acquire(t, still, Flow{}); got != want {
			t.Fatalf("pick %d: got %s, want %s", n, got, want)
		}
	}
	if got := moving.Snapshot().Generation(); got < 50 {
		t.Fatalf("%d snapshots: the test has to rebuild", got)
	}
}

// A backend's picks over any number of rebuilds stay within two of the integral of its share. Without the
// ledger each rebuild would begin the cycle anew and favour those at its beginning without bound.
func TestChangedWeightsKeepEachShare(t *testing.T) {
	const bound = 2.0
	worst := 0.0
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(7, seed))
		n := 2 + rng.IntN(15)
		c := poolOf(n, config.WeightedRoundRobin)
		p := NewPool(c, Options{}, epoch)
		taken, ideal := make(map[string]float64), make(map[string]float64)
		for range 400 {
			next := *c
			next.Backends = nil
			sum := 0
			for i := range n {
				next.Backends = append(next.Backends, backendOf(i, 1+rng.IntN(1+rng.IntN(20))))
				sum += next.Backends[i].Weight
			}
			p.Apply(&next, epoch)
			for range rng.IntN(2 * n) {
				taken[acquire(t, p, Flow{})]++
				for _, b := range next.Backends {
					ideal[b.Name] += float64(b.Weight) / float64(sum)
				}
			}
			for name := range ideal {
				worst = max(worst, math.Abs(taken[name]-ideal[name]))
			}
		}
	}
	if t.Logf("worst deviation: %.2f picks", worst); worst > bound {
		t.Errorf("worst deviation: got %.2f picks, want at most %.0f", worst, bound)
	}
}

func TestFlappingBackendDoesNotRestartTheRotation(t *testing.T) {
	p := NewPool(poolOf(4, config.WeightedRoundRobin), Options{}, epoch)
	flapping := backend(t, p, "b3")
	taken := map[string]int{}
	for n := range 1200 { // one pick between two flips: a restart would give every pick to b0
		p.Report(flapping, n%2 == 0, epoch)
		taken[acquire(t, p, Flow{})]++
	}
	for _, name := range []string{"b1", "b2"} {
		if off := taken[name] - taken["b0"]; off < -2 || off > 2 {
			t.Errorf("picks %v: %s is %d from b0, want at most 2", taken, name, off)
		}
	}
	// A quarter of the 600 picks at which it was up is 150. What it is owed when it goes down is
	// partly given to the others, at most a pick each time.
	if got := taken["b3"]; got < 100 || got > 150 {
		t.Errorf("flapping backend: got %d picks, want 100…150", got)
	}
}

func TestRotationRemembersAcrossAnOutage(t *testing.T) {
	p := NewPool(poolOf(2, config.WeightedRoundRobin), Options{}, epoch)
	all := []*Backend{backend(t, p, "b0"), backend(t, p, "b1")}
	taken := map[string]int{}
	for range 100 { // one pick between two outages of everything
		taken[acquire(t, p, Flow{})]++
		for _, up := range []bool{false, true} {
			for _, b := range all {
				p.Report(b, up, epoch)
			}
		}
	}
	if taken["b0"] != 50 {
		t.Errorf("b0 got %d picks of 100, want 50", taken["b0"])
	}
}

func TestManyWeightsAreScaledToTheTable(t *testing.T) {
	weights := make([]int, 1024)
	for i := range weights {
		weights[i] = 255 + i%2
	}
	weights[0] = 1
	p := NewPool(weighted(config.WeightedRoundRobin, weights...), Options{}, epoch)
	r := p.Snapshot().picker.(*rotation)
	if len(r.cycle) != maxSlots {
		t.Fatalf("got %d slots, want %d", len(r.cycle), maxSlots)
	}
	if slices.Min(r.slots) != 1 {
		t.Errorf("smallest share: got %d slots, want 1", slices.Min(r.slots))
	}
	checkCycle(t, r.slots, r.cycle)
	// Weight 1 of about 261,000 should have a quarter of a slot.
	if got := p.Snapshot().ShareError(); got < 2 || got > 4 {
		t.Errorf("share error: got %.3f, want about 3: one slot instead of a quarter", got)
	}
	for _, w := range [][]int{{1, 2, 3}, {256, 255}, {100, 100}} {
		p := NewPool(weighted(config.WeightedRoundRobin, w...), Options{}, time.Time{})
		if got := p.Snapshot().ShareError(); got != 0 {
			t.Errorf("weights %v: share error %v, want 0", w, got)
		}
	}
}

func TestTurnAgreesWithDivision(t *testing.T) {
	for _, length := range []int{1, 2, 3, 7, 1000, 65535, 65536} {
		r := newRotation([]*Backend{{}}, []int{length}, nil, 0)
		for _, count := range []uint64{0, 1, 6, 65535, 65536, 1 << 32, 1<<48 - 1, 1 << 48, 1<<48 + 5, 1 << 63} {
			r.cursor.Store(count)
			if got, want := r.turn(), int(count%uint64(length)); got != want {
				t.Errorf("turn at %d of %d: got %d, want %d", count, length, got, want)
			}
		}
	}
}
