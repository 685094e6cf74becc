package balancer

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"weir/config"
)

// draining is poolOf with that drain_timeout and the first n backends set to drain.
func draining(of, n int, timeout time.Duration) *config.Pool {
	c := poolOf(of, config.WeightedRoundRobin)
	c.DrainTimeout = timeout
	for _, b := range c.Backends[:n] {
		b.State = config.Drain
	}
	return c
}

// wantDrained compares what is to be cut so long after the epoch.
func wantDrained(t *testing.T, p *Pool, after time.Duration, want ...*Backend) {
	t.Helper()
	if got := p.Drained(epoch.Add(after)); !slices.Equal(got, want) {
		t.Errorf("after %v: got %v, want %v", after, names(got), names(want))
	}
}

// lease takes one on b, as of a session.
func lease(t *testing.T, p *Pool, b *Backend) Lease {
	t.Helper()
	l, err := p.AcquireBackend(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func wantRefused(t *testing.T, p *Pool, b *Backend) {
	t.Helper()
	if _, err := p.AcquireBackend(b, nil); !errors.Is(err, ErrNoBackendUp) {
		t.Errorf("a session of %s: got %v, want ErrNoBackendUp", b.Name(), err)
	}
}

func TestDrainTimeout(t *testing.T) {
	p := NewPool(draining(2, 1, time.Minute), Options{}, epoch)
	b0 := backend(t, p, "b0")
	l := lease(t, p, b0)
	wantDrained(t, p, time.Minute-1)
	lease(t, p, b0).Release() // a session goes on
	wantDrained(t, p, time.Minute, b0)
	wantRefused(t, p, b0)
	wantDrained(t, p, time.Hour, b0) // whoever has a lease is told of again
	l.Release()
	wantDrained(t, p, time.Hour)
	wantRefused(t, p, b0)

	ready := config.Ready
	if err := p.SetAdmin("b0", Override{State: &ready}, epoch.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	lease(t, p, b0).Release()
	wantDrained(t, p, 2*time.Hour)
}

// TestDrainTimer stops with ready, and begins anew.
func TestDrainTimer(t *testing.T) {
	p := NewPool(draining(2, 1, time.Minute), Options{}, epoch)
	b0 := backend(t, p, "b0")
	defer lease(t, p, b0).Release()
	p.Apply(draining(2, 0, time.Minute), epoch.Add(50*time.Second))
	wantDrained(t, p, 70*time.Second)
	p.Apply(draining(2, 1, time.Minute), epoch.Add(80*time.Second))
	wantDrained(t, p, 139*time.Second)
	wantDrained(t, p, 140*time.Second, b0)
}

func TestDrainTimeoutByReload(t *testing.T) {
	p := NewPool(draining(2, 1, time.Hour), Options{}, epoch)
	b0 := backend(t, p, "b0")
	defer lease(t, p, b0).Release()
	wantDrained(t, p, 2*time.Minute)
	p.Apply(draining(2, 1, time.Minute), epoch.Add(2*time.Minute))
	wantDrained(t, p, 2*time.Minute, b0)
	p.Apply(draining(2, 1, 0), epoch.Add(3*time.Minute)) // never
	wantDrained(t, p, 100*time.Hour)
	lease(t, p, b0).Release()
}

func TestDrainOfTheRemoved(t *testing.T) {
	p := NewPool(draining(3, 1, time.Minute), Options{}, epoch)
	b0, b1 := backend(t, p, "b0"), backend(t, p, "b1")
	of0, of1 := lease(t, p, b0), lease(t, p, b1)
	c := draining(3, 0, time.Minute)
	c.Backends = c.Backends[2:]
	p.Apply(c, epoch.Add(30*time.Second))
	wantDrained(t, p, 59*time.Second)
	wantDrained(t, p, time.Minute, b0) // which was draining before
	wantDrained(t, p, 90*time.Second, b0, b1)
	of0.Release()
	of1.Release()
	p.Apply(draining(3, 0, time.Minute), epoch.Add(90*time.Second)) // which need not wait for a look
	if len(p.removed) != 0 {
		t.Errorf("%v are kept though nothing is left", names(p.removed))
	}
}

// TestDrainOfTheLast leaves a backend alone that drains but serves, because there is no other.
func TestDrainOfTheLast(t *testing.T) {
	p := NewPool(draining(2, 2, time.Minute), Options{}, epoch)
	b0 := backend(t, p, "b0")
	defer lease(t, p, b0).Release()
	wantDrained(t, p, time.Hour)
	if _, err := p.Acquire(client(0), nil); err != nil {
		t.Errorf("a new flow: %v", err)
	}
	lease(t, p, b0).Release()
	p.Apply(draining(2, 1, time.Minute), epoch.Add(time.Hour)) // the other is back
	wantDrained(t, p, time.Hour, b0)
	wantRefused(t, p, b0)
}

func TestDrainOfAClosedPool(t *testing.T) {
	p := NewPool(draining(1, 0, time.Minute), Options{}, epoch)
	b0 := backend(t, p, "b0")
	l := lease(t, p, b0)
	wantDrained(t, p, time.Hour)
	p.Close(epoch.Add(time.Hour))
	if p.Ended(epoch.Add(2 * time.Hour)) {
		t.Error("it has ended with a lease left")
	}
	wantDrained(t, p, time.Hour+59*time.Second)
	if late, err := p.Acquire(client(0), nil); err != nil {
		t.Errorf("a flow that was with the pool before: %v", err)
	} else {
		late.Release()
	}
	wantDrained(t, p, time.Hour+time.Minute, b0)
	l.Release()
	if !p.Ended(epoch.Add(2 * time.Hour)) {
		t.Error("it has not ended")
	}
}

// TestDrainEndsWaits: a session that waits for room on its backend is told that it is to go elsewhere.
func TestDrainEndsWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := draining(2, 1, time.Minute)
		c.Backends[0].MaxConnections = 1
		p := NewPool(c, Options{}, epoch)
		b0 := backend(t, p, "b0")
		l := lease(t, p, b0)
		w := await(p, Wait{Backend: b0, Places: 1})
		w.wantWaiting(t)
		wantDrained(t, p, time.Minute, b0)
		w.wantError(t, ErrNoBackendUp)
		l.Release()
	})
}
