package balancer

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/config"
)

// waiting is an Await under way.
type waiting struct {
	lease Lease
	err   error
	ended bool
}

// await begins to wait in a bubble, and returns once it does.
func await(p *Pool, w Wait) *waiting {
	got := &waiting{}
	go func() {
		got.lease, got.err = p.Await(&w)
		got.ended = true
	}()
	synctest.Wait()
	return got
}

func (w *waiting) wantLease(t *testing.T, of *Backend) {
	t.Helper()
	synctest.Wait()
	if !w.ended || w.err != nil || w.lease.Backend() != of {
		t.Fatalf("got %v %v %v, want a lease on %s", w.ended, w.lease.Backend(), w.err, of.Name())
	}
}

func (w *waiting) wantError(t *testing.T, want error) {
	t.Helper()
	synctest.Wait()
	if !w.ended || !errors.Is(w.err, want) {
		t.Fatalf("got %v %v, want %v", w.ended, w.err, want)
	}
}

func (w *waiting) wantWaiting(t *testing.T) {
	t.Helper()
	synctest.Wait()
	if w.ended {
		t.Fatalf("got %v %v, want it to wait", w.lease.Backend(), w.err)
	}
}

func TestAwaitRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(bounded(1, config.WeightedRoundRobin, 1), Options{}, epoch)
		held, err := p.Acquire(client(0), nil)
		if err != nil {
			t.Fatal(err)
		}
		first, second := await(p, Wait{Places: 2}), await(p, Wait{Places: 2})
		await(p, Wait{Places: 2}).wantError(t, ErrQueueFull)
		await(p, Wait{}).wantError(t, ErrQueueFull)
		if n := p.Queued(); n != 2 {
			t.Errorf("%d wait, want 2", n)
		}
		held.Release()
		first.wantLease(t, held.Backend())
		second.wantWaiting(t)
		first.lease.Release()
		second.wantLease(t, held.Backend())

		expired, gone := time.NewTimer(time.Minute), make(chan struct{})
		late, left := await(p, Wait{Places: 2, Expired: expired.C}), await(p, Wait{Places: 2, Gone: gone})
		<-time.After(time.Minute)
		late.wantError(t, ErrFull)
		left.wantWaiting(t)
		close(gone)
		left.wantError(t, ErrGone)
		second.lease.Release()
		if n := p.Queued(); n != 0 {
			t.Errorf("%d are left in the queue", n)
		}
	})
}

// TestAwaitFollowsThePool waits while backends are checked, come, go and get another limit.
func TestAwaitFollowsThePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bounded(1, config.WeightedRoundRobin, 1)
		c.Health = &config.HealthCheck{Initial: config.InitialChecking}
		p := NewPool(c, Options{}, epoch)
		early := await(p, Wait{Places: 1})
		early.wantWaiting(t)
		if n := p.Queued(); n != 0 {
			t.Errorf("%d wait for room, want nobody: there is no verdict", n)
		}
		p.Report(backend(t, p, "b0"), true, epoch)
		early.wantLease(t, backend(t, p, "b0"))

		moved := await(p, Wait{Places: 1})
		p.Apply(bounded(1, config.WeightedRoundRobin, 2), epoch)
		moved.wantLease(t, backend(t, p, "b0"))
		lost := await(p, Wait{Places: 1})
		p.Report(backend(t, p, "b0"), false, epoch)
		p.Apply(&config.Pool{Name: "app", Algorithm: config.WeightedRoundRobin}, epoch)
		lost.wantError(t, ErrNoBackendUp)
	})
}

// TestAwaitBackend waits for the backend of a session, which keeps nobody from the others.
func TestAwaitBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(bounded(2, config.WeightedRoundRobin, 1), Options{}, epoch)
		b0, b1 := backend(t, p, "b0"), backend(t, p, "b1")
		on0, err := p.AcquireBackend(b0, nil)
		if err != nil {
			t.Fatal(err)
		}
		session := await(p, Wait{Backend: b0, Places: 5})
		on1, err := p.Acquire(client(1), nil)
		if err != nil || on1.Backend() != b1 {
			t.Fatalf("got %v %v, want the one that is free", on1.Backend(), err)
		}
		other := await(p, Wait{Places: 5})
		on1.Release() // calls the first, for whom it is of no use
		other.wantLease(t, b1)
		session.wantWaiting(t)
		on0.Release()
		session.wantLease(t, b0)

		// It waits no longer than the backend is there for it.
		next := await(p, Wait{Backend: b0, Places: 5})
		p.Report(b0, false, epoch)
		next.wantError(t, ErrNoBackendUp)
		session.lease.Release()
		other.lease.Release()
	})
}

// TestAwaitVerdictOfASession: until the backend of a session has been checked it is not lost.
func TestAwaitVerdictOfASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := poolOf(2, config.WeightedRoundRobin)
		c.Health = &config.HealthCheck{Initial: config.InitialChecking}
		p := NewPool(c, Options{}, epoch)
		b0, b1 := backend(t, p, "b0"), backend(t, p, "b1")
		up, down := await(p, Wait{Backend: b0}), await(p, Wait{Backend: b1})
		p.Report(b0, true, epoch)
		up.wantLease(t, b0)
		down.wantWaiting(t)
		p.Report(b1, false, epoch)
		down.wantError(t, ErrNoBackendUp)
		up.lease.Release()
	})
}

// TestAwaitUnderContention mixes sessions, flows for any backend and those that give up over few leases:
// nobody is forgotten, and no limit is exceeded.
func TestAwaitUnderContention(t *testing.T) {
	p := NewPool(bounded(3, config.LeastConnections, 2), Options{}, epoch)
	backends := []*Backend{nil, backend(t, p, "b0"), backend(t, p, "b1"), nil, backend(t, p, "b2")}
	held := map[*Backend]*atomic.Int64{}
	for _, m := range p.Snapshot().Members() {
		held[m.Backend] = new(atomic.Int64)
	}
	var served, gaveUp atomic.Int64
	var wg sync.WaitGroup
	for g := range 40 {
		wg.Go(func() {
			gone := make(chan struct{})
			close(gone)
			for i := range 200 {
				w := Wait{Flow: client(g), Backend: backends[(g+i)%len(backends)], Places: 1000}
				if (g+i)%7 == 0 {
					w.Gone = gone
				}
				l, err := p.Await(&w)
				if errors.Is(err, ErrGone) {
					gaveUp.Add(1)
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if n := held[l.Backend()].Add(1); n > 2 {
					t.Errorf("%d leases on %s", n, l.Backend().Name())
				}
				served.Add(1)
				held[l.Backend()].Add(-1)
				l.Release()
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("stuck: %d served, %d gave up, %d wait", served.Load(), gaveUp.Load(), p.Queued())
	}
	if n := p.Queued(); n != 0 {
		t.Errorf("%d are left in the queue", n)
	}
}
