package balancer

import (
	"math"
	"slices"
	"testing"
	"time"

	"weir/config"
)

// ramping is c with a slow start.
func ramping(c *config.Pool, d time.Duration, repeat bool) *config.Pool {
	c.SlowStart = config.SlowStart{Duration: d, Repeat: repeat}
	return c
}

// grown is a copy of c with one backend more.
func grown(c *config.Pool, weight int) *config.Pool {
	g := *c
	g.Backends = append(slices.Clone(c.Backends), backendOf(len(c.Backends), weight))
	return &g
}

// driver picks for a flow and holds the leases of the last picks, as a server under load does.
type driver struct {
	held  []Lease
	depth int
	n     int
}

func (d *driver) pick(t *testing.T, p *Pool) string {
	t.Helper()
	l, err := p.Acquire(client(d.n), nil)
	if err != nil {
		t.Fatal(err)
	}
	d.n++
	if d.held = append(d.held, l); len(d.held) > d.depth {
		d.held[0].Release()
		d.held = d.held[1:]
	}
	return l.Backend().Name()
}

// At every step of a ramp the share of the new backend is w·r / Σ effective weights, within 3 % of
// it. The pool is driven under load and, for least connections, idle too.
func TestSlowStartFollowsTheCurve(t *testing.T) {
	tests := []struct {
		name      string
		algorithm config.Algorithm
		weights   []int
		joining   int
		held      int
		picks     int
		tolerance float64
	}{
		{"round robin", config.WeightedRoundRobin, []int{1, 1, 1}, 1, 20, 4000, 0.03},
		{"round robin, weights", config.WeightedRoundRobin, []int{5, 3, 2}, 4, 20, 14000, 0.03},
		{"least connections, idle", config.LeastConnections, []int{1, 1, 1}, 1, 0, 4000, 0.03},
		{"least connections, loaded", config.LeastConnections, []int{1, 1, 1}, 1, 300, 4000, 0.03},
		{"least connections, weights", config.LeastConnections, []int{2, 2, 2}, 2, 100, 4000, 0.03},
		{"source_ip", config.SourceIP, []int{1, 1, 1}, 1, 0, 100_000, 0.03},
		{"source_ip, weights", config.SourceIP, []int{5, 3, 2}, 4, 0, 100_000, 0.03},
	}
	const duration = 10 * time.Second
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := ramping(weighted(tt.algorithm, tt.weights...), duration, true)
			p := NewPool(c, Options{}, epoch)
			c = grown(c, tt.joining)
			p.Apply(c, epoch)
			name := c.Backends[len(c.Backends)-1].Name
			steps, ratio := 0, 0.0
			d := &driver{depth: tt.held}
			for now := p.Ramp(epoch); !now.IsZero(); now = p.Ramp(now) {
				steps++
				m := member(t, p, name)
				if m.Ramp < ratio || m.Ramp-ratio > 0.1001 || ratio > 0 && m.Ramp-ratio > 0.0501 {
					t.Fatalf("step %d: ratio went from %.3f to %.3f, want steps of at most 0.05", steps, ratio, m.Ramp)
				}
				if ratio = m.Ramp; ratio > curve(now.Sub(epoch), duration) {
					t.Fatalf("step %d: ratio %.3f is above the curve", steps, ratio)
				}
				var sum float64
				for _, m := range p.Snapshot().Members() {
					sum += m.Effective
				}
				for range tt.held { // the leases of the step before
					d.pick(t, p)
				}
				taken := 0
				for range tt.picks {
					if d.pick(t, p) == name {
						taken++
					}
				}
				got, want := float64(taken)/float64(tt.picks), float64(tt.joining)*ratio/sum
				if math.Abs(got-want) > tt.tolerance*want {
					t.Errorf("ratio %.3f: got share %.4f, want %.4f ± %.0f %%", ratio, got, want, 100*tt.tolerance)
				}
			}
			if steps < 18 {
				t.Errorf("ramp had %d steps, want 18 or more", steps)
			}
			if m := member(t, p, name); m.Ramp != 1 || m.Effective != float64(tt.joining) {
				t.Errorf("after the ramp: ratio %v effective %v, want 1 and %d", m.Ramp, m.Effective, tt.joining)
			}
		})
	}
}

func TestHashKeyMovesAtMostOnce(t *testing.T) {
	const keys = 20_000
	c := ramping(poolOf(5, config.SourceIP), 10*time.Second, true)
	p := NewPool(c, Options{}, epoch)
	warm := owners(t, p, keys)
	p.Apply(grown(c, 1), epoch)
	// What is not for b5 in the end moves, if at all, when the ramp begins: the tables differ there.
	last := owners(t, p, keys)
	moves := make([]int, keys)
	for i := range keys {
		if last[i] != warm[i] {
			moves[i]++
		}
	}
	for now := p.Ramp(epoch); !now.IsZero(); now = p.Ramp(now) {
		for i, owner := range owners(t, p, keys) {
			if owner == last[i] {
				continue
			}
			if moves[i]++; moves[i] > 1 {
				t.Fatalf("client %d moves a second time, from %s to %s", i, last[i], owner)
			}
			if owner != "b5" {
				t.Fatalf("client %d moves from %s to %s, which does not ramp", i, last[i], owner)
			}
			last[i] = owner
		}
	}
	moved := 0
	for i, owner := range owners(t, p, keys) {
		if owner != last[i] && moves[i] > 0 {
			t.Fatalf("client %d moves a second time at the end of the ramp", i)
		}
		if owner == "b5" {
			moved++
		}
	}
	if moved < keys/6*9/10 || moved > keys/6*11/10 {
		t.Errorf("b5 has %d keys, want about %d", moved, keys/6)
	}
}

// Two ramps that overlap: a key moves once for each at most, but for the few that any change of a
// table moves.
func TestHashKeyMovesOncePerRampingBackend(t *testing.T) {
	const keys = 20_000
	c := ramping(poolOf(6, config.SourceIP), 10*time.Second, true)
	p := NewPool(c, Options{}, epoch)
	last, moves := owners(t, p, keys), make([]int, keys)
	look := func() {
		for i, owner := range owners(t, p, keys) {
			if owner != last[i] {
				moves[i]++
				last[i] = owner
			}
		}
	}
	c = grown(c, 1)
	p.Apply(c, epoch)
	look()
	second := epoch.Add(5 * time.Second)
	for now := p.Ramp(epoch); !now.IsZero(); now = p.Ramp(now) {
		if look(); len(c.Backends) == 7 && !now.Before(second) {
			c = grown(c, 1)
			p.Apply(c, now)
			look()
		}
	}
	look()
	more, taken := 0, map[string]int{}
	for i, n := range moves {
		taken[last[i]]++
		if n > 2 {
			more++
		}
	}
	if more > keys/100 {
		t.Errorf("%d of %d keys moved more than twice, want at most 1 %%", more, keys)
	}
	for _, name := range []string{"b6", "b7"} {
		if got := taken[name]; got < keys/8*9/10 || got > keys/8*11/10 {
			t.Errorf("%s has %d keys, want about %d", name, got, keys/8)
		}
	}
}

func TestTenColdBackendsAtStartShareAtOnce(t *testing.T) {
	for _, a := range []config.Algorithm{config.WeightedRoundRobin, config.LeastConnections} {
		p := NewPool(ramping(checked(poolOf(10, a), config.InitialChecking), 30*time.Second, true), Options{}, epoch)
		for i, m := range p.Snapshot().Members() {
			p.Report(m.Backend, true, epoch.Add(time.Duration(i)*50*time.Millisecond))
		}
		if next := p.Ramp(epoch.Add(time.Second)); !next.IsZero() {
			t.Errorf("%s: something ramps at the start", a)
		}
		taken := map[string]int{}
		for range 200 {
			taken[acquire(t, p, Flow{})]++
		}
		for name, n := range taken {
			if n != 20 {
				t.Errorf("%s: %s got %d of 200 picks, want 20", a, name, n)
			}
		}
	}
}

// Whether a backend ramps, by what happens to it.
func TestWhoRamps(t *testing.T) {
	up := func(name string) func(*testing.T, *Pool) {
		return func(t *testing.T, p *Pool) { p.Report(backend(t, p, name), true, epoch) }
	}
	down := func(name string) func(*testing.T, *Pool) {
		return func(t *testing.T, p *Pool) { p.Report(backend(t, p, name), false, epoch) }
	}
	state := func(name string, s config.State) func(*testing.T, *Pool) {
		return func(t *testing.T, p *Pool) {
			if err := p.SetAdmin(name, Override{State: &s}, epoch); err != nil {
				t.Fatal(err)
			}
		}
	}
	weigh := func(name string, w int) func(*testing.T, *Pool) {
		return func(t *testing.T, p *Pool) {
			if err := p.SetAdmin(name, Override{Weight: &w}, epoch); err != nil {
				t.Fatal(err)
			}
		}
	}
	finish := func(t *testing.T, p *Pool) {
		for now := p.Ramp(epoch); !now.IsZero(); now = p.Ramp(now) {
		}
	}
	join := func(weight int) func(*testing.T, *Pool) {
		return func(_ *testing.T, p *Pool) { p.Apply(grown(p.config, weight), epoch) }
	}
	type steps []func(*testing.T, *Pool)
	tests := []struct {
		name   string
		n      int
		repeat bool
		steps  steps
		watch  string
		want   bool
	}{
		{"comes back", 4, true, steps{down("b0"), up("b0")}, "b0", true},
		{"comes back, of two", 2, true, steps{down("b0"), up("b0")}, "b0", true},
		{"alone", 1, true, steps{down("b0"), up("b0")}, "b0", false},
		{"joins", 4, true, steps{join(1), up("b4")}, "b4", true},
		{"joins, not yet up", 4, true, steps{join(1)}, "b4", false},
		{"joins with more than half of the weight", 4, true, steps{join(5), up("b4")}, "b4", false},
		{"joins with half of the weight", 4, true, steps{join(4), up("b4")}, "b4", true},
		{"the first two of four come back", 4, true, steps{
			down("b0"), down("b1"), down("b2"), down("b3"), up("b0"), up("b1"),
		}, "b1", false},
		{"the third of four comes back", 4, true, steps{
			down("b0"), down("b1"), down("b2"), down("b3"), up("b0"), up("b1"), up("b2"),
		}, "b2", true},
		{"those that ramp are not warm", 4, true, steps{
			down("b0"), down("b1"), down("b2"), down("b3"), up("b0"), up("b1"), up("b2"), down("b1"), up("b1"),
		}, "b1", false},
		{"goes down while it ramps", 4, true, steps{down("b0"), up("b0"), down("b0")}, "b0", false},
		{"is complete", 4, true, steps{down("b0"), up("b0"), finish}, "b0", false},
		{"comes back again", 4, true, steps{down("b0"), up("b0"), finish, down("b0"), up("b0")}, "b0", true},
		{"comes back from maintenance", 4, true, steps{state("b0", config.Maintenance), state("b0", config.Ready)}, "b0", true},
		{"comes back from draining", 4, true, steps{state("b0", config.Drain), state("b0", config.Ready)}, "b0", false},
		{"comes up while draining, then ready", 4, true, steps{
			down("b0"), state("b0", config.Drain), up("b0"), state("b0", config.Ready),
		}, "b0", true},
		{"joins at weight 0", 4, true, steps{join(0), up("b4")}, "b4", false},
		{"joins at weight 0, then gets some", 4, true, steps{join(0), up("b4"), weigh("b4", 1)}, "b4", true},
		{"weight 0 for a while", 4, true, steps{weigh("b0", 0), weigh("b0", 1)}, "b0", false},
		{"once: a founder comes back", 4, false, steps{down("b0"), up("b0")}, "b0", false},
		{"once: joins", 4, false, steps{join(1), up("b4")}, "b4", true},
		{"once: comes back before it is complete", 4, false, steps{join(1), up("b4"), down("b4"), up("b4")}, "b4", true},
		{"once: comes back after", 4, false, steps{join(1), up("b4"), finish, down("b4"), up("b4")}, "b4", false},
		{"once: the first of a pool", 0, false, steps{join(1), up("b0")}, "b0", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := ramping(checked(poolOf(tt.n, config.WeightedRoundRobin), config.InitialChecking), 10*time.Second, tt.repeat)
			p := NewPool(c, Options{}, epoch)
			for _, m := range p.Snapshot().Members() {
				p.Report(m.Backend, true, epoch)
			}
			for _, s := range tt.steps {
				s(t, p)
			}
			if got := member(t, p, tt.watch).Ramp < 1; got != tt.want {
				t.Errorf("ramps: got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestRampSurvivesApply(t *testing.T) {
	c := ramping(poolOf(4, config.WeightedRoundRobin), 10*time.Second, true)
	p := NewPool(c, Options{}, epoch)
	b := backend(t, p, "b0")
	p.Report(b, false, epoch)
	p.Report(b, true, epoch)
	next := epoch
	for range 5 {
		next = p.Ramp(next)
	}
	before := member(t, p, "b0").Ramp
	snapshot := p.Snapshot()
	same := *c
	p.Apply(&same, next)
	if p.Snapshot() != snapshot {
		t.Error("a reload without a change published a snapshot")
	}
	longer := *ramping(grown(c, 1), 20*time.Second, true)
	p.Apply(&longer, next)
	if got := member(t, p, "b0"); got.Ramp != before || got.Backend != b {
		t.Errorf("ratio after a reload: got %.3f, want %.3f", got.Ramp, before)
	}
	// Half of the new duration is more than the ramp has reached: it waits, then goes on.
	for next = p.Ramp(next); next.Before(epoch.Add(15 * time.Second)); next = p.Ramp(next) {
		if got := member(t, p, "b0").Ramp; got < before {
			t.Fatalf("the longer duration took the ratio back from %.3f to %.3f", before, got)
		}
	}
	if got := member(t, p, "b0").Ramp; got < 0.70 || got > 0.78 {
		t.Errorf("ratio after 15 of 20 s: got %.3f, want about 0.74", got)
	}
	p.Apply(ramping(grown(c, 1), 0, true), next)
	if got := member(t, p, "b0").Ramp; got != 1 {
		t.Errorf("ratio after slow_start was taken away: got %.3f, want 1", got)
	}
}

func TestRampStepsOnTimeOnly(t *testing.T) {
	c := ramping(poolOf(4, config.WeightedRoundRobin), 90*time.Second, true)
	p := NewPool(c, Options{}, epoch)
	if next := p.Ramp(epoch); !next.IsZero() {
		t.Fatalf("nothing ramps, but Ramp wants to be called at %v", next)
	}
	b := backend(t, p, "b0")
	p.Report(b, false, epoch)
	p.Report(b, true, epoch)
	if got, want := p.Ramp(epoch), epoch.Add(time.Second); !got.Equal(want) {
		t.Fatalf("first step: got %v, want %v", got, want)
	}
	before := p.Snapshot()
	p.Ramp(epoch.Add(999 * time.Millisecond))
	if p.Snapshot() != before {
		t.Error("an early call published a snapshot")
	}
	if got, want := p.Ramp(epoch.Add(45*time.Second)), epoch.Add(46*time.Second); !got.Equal(want) {
		t.Errorf("after a late call: got %v, want %v", got, want)
	}
	if got := member(t, p, "b0").Ramp; math.Abs(got-0.55) > 1e-9 {
		t.Errorf("ratio at half time: got %v, want 0.55", got)
	}
}

// A backend that ramps keeps its keys when another one that ramps goes down, although its share of
// the effective weights would then be reached with fewer.
func TestRampingBackendGivesNoKeysBack(t *testing.T) {
	const keys = 50_000
	c := ramping(weighted(config.SourceIP, 5, 5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), 100*time.Second, true)
	p := NewPool(c, Options{}, epoch)
	for _, name := range []string{"b0", "b1"} {
		p.Report(backend(t, p, name), false, epoch)
	}
	for _, name := range []string{"b0", "b1"} {
		p.Report(backend(t, p, name), true, epoch)
	}
	before := owners(t, p, keys)
	p.Report(backend(t, p, "b1"), false, epoch)
	had, lost := 0, 0
	for i, owner := range owners(t, p, keys) {
		if before[i] == "b0" {
			if had++; owner != "b0" {
				lost++
			}
		}
	}
	if had < keys/50 || lost > had*3/100 {
		t.Errorf("b0 lost %d of its %d keys, want at most 3 %%", lost, had)
	}
}

func TestPrimariesDoNotWarmABackup(t *testing.T) {
	c := ramping(checked(poolOf(4, config.WeightedRoundRobin), config.InitialUp), 10*time.Second, true)
	c.Backends[3].Backup = true
	p := NewPool(c, Options{}, epoch)
	b := backend(t, p, "b3")
	p.Report(b, false, epoch)
	p.Report(b, true, epoch)
	if got := member(t, p, "b3").Ramp; got != 1 {
		t.Errorf("the only backup ramps at %v: nobody could serve in its place", got)
	}
}

func TestLeavingMaintenanceRampsAlsoFromTheStart(t *testing.T) {
	c := ramping(checked(poolOf(4, config.WeightedRoundRobin), config.InitialUp), 10*time.Second, true)
	c.Backends[3].State = config.Maintenance
	p := NewPool(c, Options{}, epoch)
	if err := p.SetAdmin("b3", Override{State: new(config.Ready)}, epoch); err != nil {
		t.Fatal(err)
	}
	if got := member(t, p, "b3").Ramp; got != firstRatio {
		t.Errorf("ratio: got %v, want %v", got, firstRatio)
	}
}
