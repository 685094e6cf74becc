package balancer

import (
	"errors"
	"slices"
	"testing"
	"time"

	"weir/config"
)

// fallible is poolOf whose backends are ejected after three faults in a row, for ten seconds.
func fallible(of int, algorithm config.Algorithm, share float64) *config.Pool {
	c := poolOf(of, algorithm)
	c.Outlier = config.Outlier{ConsecutiveErrors: 3, Eject: 10 * time.Second, MaxEjected: share}
	return c
}

// fail makes live traffic fail on b so often, so long after the epoch.
func fail(p *Pool, b *Backend, times int, after time.Duration) {
	for range times {
		p.Failed(b, FaultReset, epoch.Add(after))
	}
}

func wantEjected(t *testing.T, p *Pool, want ...string) {
	t.Helper()
	var got []string
	for _, m := range p.Snapshot().Members() {
		if m.Ejected != (m.Backend.Ejection() != nil) {
			t.Errorf("%s: the snapshot says %v, the backend %v", m.Backend.Name(), m.Ejected, m.Backend.Ejection())
		}
		if m.Ejected {
			got = append(got, m.Backend.Name())
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("ejected: %v, want %v", got, want)
	}
}

func TestFaultsInARowEject(t *testing.T) {
	var told []Ejection
	options := Options{Ejected: func(b *Backend, e Ejection) {
		if b.Name() != "b1" {
			t.Errorf("told of %s", b.Name())
		}
		told = append(told, e)
	}}
	for _, algorithm := range algorithms {
		told = nil
		p := NewPool(fallible(4, algorithm, 0.5), options, epoch)
		b1 := backend(t, p, "b1")
		fail(p, b1, 2, time.Second)
		b1.Succeeded()
		fail(p, b1, 2, time.Second)
		wantEjected(t, p)
		fail(p, b1, 1, time.Second)
		wantEjected(t, p, "b1")
		want := Ejection{epoch.Add(time.Second), epoch.Add(11 * time.Second), FaultReset, 1}
		if len(told) != 1 || told[0] != want || *b1.Ejection() != want {
			t.Errorf("%s: told %+v, want %+v", algorithm, told, want)
		}
		for i := range 200 {
			l, err := p.Acquire(client(i), nil)
			if err != nil {
				t.Fatal(err)
			}
			if l.Backend() == b1 {
				t.Fatalf("%s picks the ejected one", algorithm)
			}
			l.Release()
		}
		if back := p.Readmit(epoch.Add(11*time.Second - 1)); back != nil {
			t.Errorf("%s: back too early: %v", algorithm, names(back))
		}
		if back := p.Readmit(epoch.Add(11 * time.Second)); !slices.Equal(back, []*Backend{b1}) {
			t.Errorf("%s: back are %v", algorithm, names(back))
		}
		wantEjected(t, p)
	}
}

// TestFaultsOfRequestsUnderWay come after the ejection, and do not count for the next.
func TestFaultsOfRequestsUnderWay(t *testing.T) {
	p := NewPool(fallible(3, config.WeightedRoundRobin, 0.5), Options{}, epoch)
	b0 := backend(t, p, "b0")
	fail(p, b0, 3+2, 0)
	p.Readmit(epoch.Add(10 * time.Second))
	fail(p, b0, 2, 10*time.Second)
	wantEjected(t, p)
}

func TestEjectionsGrowAndDecay(t *testing.T) {
	p := NewPool(fallible(3, config.WeightedRoundRobin, 0.5), Options{}, epoch)
	b0 := backend(t, p, "b0")
	at := time.Duration(0)
	round := func(want time.Duration) {
		t.Helper()
		fail(p, b0, 3, at)
		e := b0.Ejection()
		if e == nil || e.Until.Sub(e.Since) != want {
			t.Fatalf("after %v: ejected %+v, want for %v", at, e, want)
		}
		at = e.Until.Sub(epoch)
		p.Readmit(epoch.Add(at))
	}
	for times := time.Duration(1); times <= mostEjections; times++ {
		round(times * 10 * time.Second)
	}
	round(100 * time.Second)
	at += 30 * time.Second // three steps back, and one forward
	round(80 * time.Second)
	at += time.Hour
	round(10 * time.Second)
}

func TestNoEjectionOfTheLast(t *testing.T) {
	c := fallible(4, config.WeightedRoundRobin, 1)
	c.Backends[1].Weight = 0
	c.Backends[2].State = config.Drain
	c.Backends[3].Backup = true
	p := NewPool(c, Options{}, epoch)
	b0, b3 := backend(t, p, "b0"), backend(t, p, "b3")
	fail(p, b0, 3, 0)
	wantEjected(t, p, "b0") // the backup serves
	if tier := p.Snapshot().Tier(); tier != TierBackup {
		t.Errorf("the tier is %v", tier)
	}
	fail(p, b3, 3, 0)
	wantEjected(t, p, "b0")

	p.Report(b3, false, epoch) // nobody else is left
	wantEjected(t, p)
	if tier := p.Snapshot().Tier(); tier != TierPrimary {
		t.Errorf("the tier is %v", tier)
	}
}

func TestMostEjected(t *testing.T) {
	for _, test := range []struct {
		of    int
		share float64
		want  int
	}{{4, 0.5, 2}, {5, 0.5, 2}, {3, 0.3, 1}, {10, 0.01, 1}, {10, 1, 9}} {
		p := NewPool(fallible(test.of, config.LeastConnections, test.share), Options{}, epoch)
		ejected := 0
		for _, m := range p.Snapshot().Members() {
			fail(p, m.Backend, 3, 0)
		}
		for _, m := range p.Snapshot().Members() {
			if m.Ejected {
				ejected++
			}
		}
		if ejected != test.want {
			t.Errorf("%v of %d: %d are out, want %d", test.share, test.of, ejected, test.want)
		}
	}
}

// TestEjectionGivesWay to what says more.
func TestEjectionGivesWay(t *testing.T) {
	p := NewPool(fallible(3, config.WeightedRoundRobin, 0.5), Options{}, epoch)
	b0 := backend(t, p, "b0")
	fail(p, b0, 3, 0)
	p.Report(b0, false, epoch.Add(time.Second))
	wantEjected(t, p)
	p.Report(b0, true, epoch.Add(2*time.Second))
	wantEjected(t, p)

	fail(p, b0, 3, 3*time.Second)
	wantEjected(t, p, "b0")
	off := poolOf(3, config.WeightedRoundRobin)
	p.Apply(off, epoch.Add(4*time.Second))
	wantEjected(t, p)
	fail(p, b0, 100, 5*time.Second)
	wantEjected(t, p)
}

// TestEjectionAndSessions sends them elsewhere, but for a pool that has failed open.
func TestEjectionAndSessions(t *testing.T) {
	c := fallible(3, config.WeightedRoundRobin, 0.5)
	p := NewPool(c, Options{}, epoch)
	b0 := backend(t, p, "b0")
	fail(p, b0, 3, 0)
	wantRefused(t, p, b0)
	open := fallible(3, config.WeightedRoundRobin, 0.5)
	open.MinHealthy = 3
	p.Apply(open, epoch)
	wantEjected(t, p, "b0")
	if tier := p.Snapshot().Tier(); tier != TierFailOpen {
		t.Errorf("the tier is %v", tier)
	}
	lease(t, p, b0).Release()
}

func TestEjectionOfTheRemoved(t *testing.T) {
	p := NewPool(fallible(3, config.WeightedRoundRobin, 0.5), Options{}, epoch)
	b0 := backend(t, p, "b0")
	c := fallible(3, config.WeightedRoundRobin, 0.5)
	c.Backends = c.Backends[1:]
	p.Apply(c, epoch)
	fail(p, b0, 10, 0)
	if b0.Ejection() != nil {
		t.Error("one that left is ejected")
	}
	if p.Readmit(epoch.Add(time.Hour)) != nil {
		t.Error("and back")
	}
	if _, err := p.Acquire(client(0), nil); errors.Is(err, ErrNoBackendUp) {
		t.Error(err)
	}
}
