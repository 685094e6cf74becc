// One goroutine does it all, and the race detector would make a minute of it.

//go:build !race

package balancer

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"weir/config"
)

// explained is a pool in some state that random events have brought it to.
type explained struct {
	t     *testing.T
	r     *rand.Rand
	pool  *Pool
	now   time.Time
	held  []Lease
	ramps int // explanations that met a slow start
	picks int // those that led to a backend
}

func newExplained(t *testing.T, a config.Algorithm, seed uint64, limited bool) *explained {
	r := rand.New(rand.NewPCG(seed, 1))
	var weights []int
	for range 2 + r.IntN(9) {
		weights = append(weights, 1+r.IntN(5))
	}
	c := ramping(weighted(a, weights...), 10*time.Second, true)
	c.Hash.Seed, c.Hash.Weighted = r.Uint64(), r.IntN(4) > 0
	for _, b := range c.Backends {
		if limited {
			b.MaxConnections = 1 + r.IntN(4)
		}
		b.Backup = r.IntN(6) == 0
	}
	return &explained{t: t, r: r, now: epoch, pool: NewPool(checked(c, config.InitialUp), Options{Offset: r.Uint64N(100)}, epoch)}
}

// event changes the pool: a verdict, a wish, a step of a slow start, the end of a lease.
func (x *explained) event() {
	members := x.pool.Snapshot().Members()
	b := members[x.r.IntN(len(members))].Backend
	switch x.r.IntN(8) {
	case 0:
		x.pool.Report(b, false, x.now)
	case 1, 2:
		x.pool.Report(b, true, x.now)
	case 3:
		state := []config.State{config.Ready, config.Ready, config.Drain, config.Maintenance}[x.r.IntN(4)]
		if err := x.pool.SetAdmin(b.Name(), Override{State: &state}, x.now); err != nil {
			x.t.Fatal(err)
		}
	case 4, 5:
		x.now = x.now.Add(time.Duration(x.r.IntN(3000)) * time.Millisecond)
		x.pool.Ramp(x.now)
	default:
		for range x.r.IntN(4) {
			x.release()
		}
	}
}

func (x *explained) release() {
	if len(x.held) > 0 {
		i := x.r.IntN(len(x.held))
		x.held[i].Release()
		x.held = append(x.held[:i], x.held[i+1:]...)
	}
}

// compare explains a flow, and then has it acquire.
func (x *explained) compare() {
	f := client(x.r.IntN(1 << 20))
	got := x.pool.Explain(f)
	if x.r.IntN(8) == 0 {
		if again := x.pool.Explain(f); again.Pick != got.Pick {
			x.t.Fatalf("to explain has changed the pick from %v to %v", nameOf(got.Pick), nameOf(again.Pick))
		}
	}
	l, err := x.pool.Acquire(f, nil)
	if got.Pick != l.Backend() || !errors.Is(got.Refusal, err) || (got.Refusal == nil) != (err == nil) {
		x.t.Fatalf("explained %s, %v (%s); the pool picked %s, %v", nameOf(got.Pick), got.Refusal, got.Why, nameOf(l.Backend()), err)
	}
	if got.Why == "" {
		x.t.Fatalf("nothing says why %s, %v", nameOf(got.Pick), err)
	}
	x.candidates(got)
	for _, m := range got.Snapshot.Members() {
		want := x.pool.ExplainBackend(m.Backend)
		l, err := x.pool.AcquireBackend(m.Backend, nil)
		if !errors.Is(err, want) || (err == nil) != (want == nil) {
			x.t.Fatalf("a session of %s: explained %v, got %v", m.Backend.Name(), want, err)
		}
		if err == nil {
			l.Release()
		}
	}
	if err == nil {
		x.picks++
		x.held = append(x.held, l)
	}
}

// candidates holds what is said of the members against what must be so of each.
func (x *explained) candidates(e Explanation) {
	sum, shared, ramps := 0.0, true, false
	for _, c := range e.Candidates {
		if c.Why == "" || !c.Eligible && (c.Share != 0 || c.Backend == e.Pick) {
			x.t.Fatalf("candidate %s: eligible %v, share %v, %q", c.Backend.Name(), c.Eligible, c.Share, c.Why)
		}
		ramps = ramps || c.Eligible && c.Ramp < 1
		if c.Eligible {
			shared = shared && !math.IsNaN(c.Share)
			sum += c.Share
		}
	}
	if shared && e.Snapshot.Tier() != TierNone && math.Abs(sum-1) > 1e-6 {
		x.t.Fatalf("the shares of the candidates sum up to %v", sum)
	}
	if ramps {
		x.ramps++
	}
}

// What is explained is what the pool does, for every algorithm, at every moment, whoever drains, is down,
// ramps or is full.
func TestExplainAgreesWithAcquire(t *testing.T) {
	const seeds, flows = 15, 50 // times seven algorithms, with limits and without: 10,500 flows
	for _, a := range algorithms {
		for _, limited := range []bool{false, true} {
			ramps, picks := 0, 0
			for seed := range uint64(seeds) {
				x := newExplained(t, a, seed, limited)
				for range flows {
					x.event()
					x.compare()
				}
				ramps, picks = ramps+x.ramps, picks+x.picks
				for len(x.held) > 0 {
					x.release()
				}
			}
			if ramps < seeds*flows/20 || picks < seeds*flows/4 {
				t.Errorf("%s: %d of %d explanations met a slow start, %d a backend: the test looks at too little", a, ramps, seeds*flows, picks)
			}
		}
	}
}

// What would be if is what is once it has come true.
func TestExplainIfAgreesWithWhatComes(t *testing.T) {
	for _, a := range algorithms {
		for seed := range uint64(25) {
			x := newExplained(t, a, seed, seed%5 == 0)
			for range x.r.IntN(30) {
				x.event()
				x.compare()
			}
			members := x.pool.Snapshot().Members()
			b := members[x.r.IntN(len(members))].Backend
			suppose := []Supposition{
				{Backend: b.Name(), Down: true}, {Backend: b.Name(), State: config.Drain}, {Backend: b.Name(), State: config.Maintenance},
			}[x.r.IntN(3)]
			before := x.pool.Snapshot()
			f := client(x.r.IntN(1 << 20))
			e, moved, err := x.pool.ExplainIf(f, []Supposition{suppose})
			if err != nil {
				t.Fatal(err)
			}
			if x.pool.Snapshot() != before {
				t.Fatal("a supposition has changed the pool")
			}
			if suppose.Down {
				x.pool.Report(b, false, x.now)
			} else if err := x.pool.SetAdmin(b.Name(), Override{State: &suppose.State}, x.now); err != nil {
				t.Fatal(err)
			}
			after := x.pool.Snapshot()
			if after.Tier() != e.Snapshot.Tier() || !errors.Is(e.Snapshot.refusal, after.refusal) {
				t.Fatalf("%s, %+v: supposed %v, came %v", a, suppose, e.Snapshot.Tier(), after.Tier())
			}
			if got := x.pool.Explain(f).Pick; got != e.Pick {
				t.Errorf("%s, seed %d, %+v: supposed %s, came %s", a, seed, suppose, nameOf(e.Pick), nameOf(got))
			}
			x.moved(before, after, moved)
		}
	}
}

// moved compares a share that was foretold with one that is counted over clients.
func (x *explained) moved(before, after *Snapshot, foretold float64) {
	if !before.keyed || before.picker == nil || after.picker == nil {
		return
	}
	const clients = 20000
	n := 0
	for i := range clients {
		f := client(i)
		hash := f.Hash(before.tuple, before.seed)
		if before.picker.(*hashing).owner(hash) != after.picker.(*hashing).owner(hash) {
			n++
		}
	}
	if counted := float64(n) / clients; math.Abs(counted-foretold) > 0.02 {
		x.t.Errorf("%s: %.3f of the keys were to move, %.3f do", before.algorithm, foretold, counted)
	}
}
