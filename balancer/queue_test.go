package balancer

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/config"
)

// bounded is poolOf with at most limit leases on each backend.
func bounded(n int, a config.Algorithm, limit int) *config.Pool {
	c := poolOf(n, a)
	for _, b := range c.Backends {
		b.MaxConnections = limit
	}
	return c
}

func TestLimitIsExact(t *testing.T) {
	for _, a := range algorithms {
		p := NewPool(bounded(3, a, 2), Options{}, epoch)
		var leases []Lease
		for i := range 6 {
			l, err := p.Acquire(client(i), nil)
			if err != nil {
				t.Fatalf("%s: lease %d: %v", a, i, err)
			}
			leases = append(leases, l)
		}
		for _, m := range p.Snapshot().Members() {
			if got := m.Backend.Active(); got != 2 {
				t.Errorf("%s: %s has %d leases, want 2", a, m.Backend.Name(), got)
			}
		}
		if _, err := p.Acquire(client(7), nil); !errors.Is(err, ErrFull) {
			t.Errorf("%s: got %v, want ErrFull", a, err)
		}
		if _, err := p.AcquireBackend(backend(t, p, "b0"), nil); !errors.Is(err, ErrFull) {
			t.Errorf("%s: of a session: got %v, want ErrFull", a, err)
		}
		freed := leases[3].Backend()
		leases[3].Release()
		var tried Tried
		tried.Add(freed)
		if _, err := p.Acquire(client(7), &tried); !errors.Is(err, ErrFull) {
			t.Errorf("%s: only a tried one is free: got %v, want ErrFull", a, err)
		}
		l, err := p.Acquire(client(7), nil)
		if err != nil || l.Backend() != freed {
			t.Errorf("%s: got %v, %v, want the one that is free", a, l.Backend(), err)
		}
	}
}

// TestTriedAndFull wants the difference told between those that are full and those that failed.
func TestTriedAndFull(t *testing.T) {
	p := NewPool(bounded(2, config.WeightedRoundRobin, 1), Options{}, epoch)
	var tried Tried
	for _, m := range p.Snapshot().Members() {
		tried.Add(m.Backend)
	}
	if _, err := p.Acquire(client(0), &tried); !errors.Is(err, ErrNoBackendUp) {
		t.Errorf("all were tried: got %v, want ErrNoBackendUp", err)
	}
}

func TestLimitHoldsUnderContention(t *testing.T) {
	for _, a := range []config.Algorithm{config.WeightedRoundRobin, config.LeastConnections, config.SourceIP} {
		p := NewPool(bounded(4, a, 3), Options{}, epoch)
		var over, full atomic.Int64
		held := map[*Backend]*atomic.Int64{} // Active may be read between a release and the next lease
		for _, m := range p.Snapshot().Members() {
			held[m.Backend] = new(atomic.Int64)
		}
		var wg sync.WaitGroup
		for g := range 16 {
			wg.Go(func() {
				for i := range 2000 {
					l, err := p.Acquire(client(g*2000+i), nil)
					if err != nil {
						full.Add(1)
						continue
					}
					if held[l.Backend()].Add(1) > 3 {
						over.Add(1)
					}
					held[l.Backend()].Add(-1)
					l.Release()
				}
			})
		}
		wg.Wait()
		if over.Load() > 0 {
			t.Errorf("%s: %d times a backend had more than 3 leases", a, over.Load())
		}
		for _, m := range p.Snapshot().Members() {
			if n := m.Backend.Active(); n != 0 {
				t.Errorf("%s: %d leases are left", a, n)
			}
		}
	}
}

func TestLimitByReload(t *testing.T) {
	p := NewPool(poolOf(1, config.WeightedRoundRobin), Options{}, epoch)
	first, _ := p.Acquire(client(0), nil)
	p.Apply(bounded(1, config.WeightedRoundRobin, 1), epoch)
	if _, err := p.Acquire(client(1), nil); !errors.Is(err, ErrFull) {
		t.Errorf("with the limit: got %v, want ErrFull", err)
	}
	place, _ := p.Queue(1)
	p.Apply(poolOf(1, config.WeightedRoundRobin), epoch)
	select {
	case <-place.Ready():
	default:
		t.Error("who waits is not told of the new snapshot")
	}
	second, err := p.AcquireQueued(client(1), nil)
	if err != nil {
		t.Fatal(err)
	}
	place.Leave(true)
	first.Release()
	second.Release()
	if n := p.Queued(); n != 0 {
		t.Errorf("%d are left in the queue", n)
	}
}

func TestQueueOrder(t *testing.T) {
	p := NewPool(bounded(1, config.WeightedRoundRobin, 1), Options{}, epoch)
	lease, _ := p.Acquire(client(0), nil)
	var places []*Place
	for range 3 {
		place, ok := p.Queue(3)
		if !ok {
			t.Fatal("there was room")
		}
		places = append(places, place)
	}
	if _, ok := p.Queue(3); ok {
		t.Error("a fourth got a place of three")
	}
	for i, place := range places {
		lease.Release()
		if called := calledOf(places); len(called) != 1 || called[0] != i {
			t.Fatalf("release %d called %v", i, called)
		}
		if _, err := p.Acquire(client(9), nil); !errors.Is(err, ErrFull) {
			t.Error("a newcomer overtook the queue")
		}
		var err error
		if lease, err = p.AcquireQueued(client(i), nil); err != nil {
			t.Fatal(err)
		}
		<-place.Ready()
		place.Leave(true)
		places[i] = nil
	}
	lease.Release()
}

// calledOf lists those of places that have a call waiting.
func calledOf(places []*Place) (called []int) {
	for i, p := range places {
		if p != nil && len(p.ready) > 0 {
			called = append(called, i)
		}
	}
	return called
}

func TestCallsAreNotLost(t *testing.T) {
	q := &queue{}
	enter := func() *Place { p, _ := q.enter(10, false); return p }
	a, b, c := enter(), enter(), enter()
	all := []*Place{a, b, c}
	q.wake()
	a.Leave(false) // it gave up at that moment
	if got := calledOf(all[1:]); len(got) != 1 || got[0] != 0 {
		t.Fatalf("called %v after the first left, want the second", got)
	}
	<-b.Ready()
	b.Stay(true)
	if got := calledOf(all[1:]); len(got) != 1 || got[0] != 1 {
		t.Fatalf("called %v after the second passed, want the third", got)
	}
	q.wake() // two are free now: one call each
	if got := calledOf(all[1:]); len(got) != 2 {
		t.Fatalf("called %v, want both", got)
	}
	c.Leave(true) // with a lease that it got before it looked at its call
	b.Stay(false)
	if len(b.ready) != 1 {
		t.Error("a call that was not looked at is lost")
	}
	b.Leave(false)
	if q.waiting.Load() != 0 || q.first != nil || q.last != nil {
		t.Error("the queue is not empty")
	}
}

// TestQueueUnderContention wants everybody served in the end, over a single lease.
func TestQueueUnderContention(t *testing.T) {
	p := NewPool(bounded(2, config.LeastConnections, 1), Options{}, epoch)
	var served atomic.Int64
	var wg sync.WaitGroup
	for g := range 32 {
		wg.Go(func() {
			for i := range 200 {
				l, err := p.Acquire(client(i), nil)
				if errors.Is(err, ErrFull) {
					l, err = p.Await(&Wait{Flow: client(g), Places: 1000})
				}
				if err != nil {
					t.Error(err)
					return
				}
				served.Add(1)
				l.Release()
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("stuck: %d served, %d wait", served.Load(), p.Queued())
	}
	if p.Queued() != 0 {
		t.Errorf("%d are left in the queue", p.Queued())
	}
}
