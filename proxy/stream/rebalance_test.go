package stream

import (
	"io"
	"net"
	"testing"
	"time"

	"weir/config"
	"weir/internal/lbtest"
	"weir/proxy/wire"
	"weir/telemetry"
)

// crowd connects n clients, which all end up on one backend.
func crowd(t *testing.T, r *rig, n int) (list []*net.TCPConn) {
	t.Helper()
	for range n {
		c := r.dial()
		want(t, c, "a")
		list = append(list, c)
	}
	return list
}

// sessions is how many sessions a backend that may have left the pool has.
func sessions(b *peer) func() bool { return func() bool { return b.count() == 0 } }

func (r *rig) sweep(after time.Duration) time.Duration {
	return r.pool.Sweep(wire.Now() + int64(after))
}

func TestLostBackendLeavesItsSessionsAlone(t *testing.T) {
	r := newRig(t, func(_ *config.Listener, p *config.Pool) { p.DrainTimeout = time.Hour }, named(t, "a").Addr())
	list := crowd(t, r, 3)
	r.pool.Balancer.Report(r.backend("a"), false, time.Now())
	r.sweep(2 * time.Hour)
	for _, c := range list {
		if _, err := io.WriteString(c, "on"); err != nil {
			t.Fatal(err)
		}
		want(t, c, "on")
	}
}

func TestRebalanceOfALostBackend(t *testing.T) {
	for _, removed := range []bool{false, true} {
		r := newRig(t, func(_ *config.Listener, p *config.Pool) {
			p.Rebalance.Move = true
			p.Health = &config.HealthCheck{Initial: config.InitialUp}
		}, named(t, "a").Addr())
		list := crowd(t, r, 5)
		b := r.backend("a").Peer().(*peer)
		r.sweep(0) // nothing is lost
		if removed {
			r.apply(func(p *config.Pool) { p.Backends = nil })
		} else {
			r.pool.Balancer.Report(r.backend("a"), false, time.Now())
		}
		if next := r.sweep(0); next != 0 {
			t.Errorf("wants to go on in %v, without a rate", next)
		}
		for _, c := range list {
			wantReset(t, c)
		}
		lbtest.Eventually(t, patience, sessions(b))
		r.wantOutcome(telemetry.OutcomeRebalanced, "weir", 5)
	}
}

// TestRebalanceRate: the sessions go one after the other, as fast as the rate says.
func TestRebalanceRate(t *testing.T) {
	r := newRig(t, func(_ *config.Listener, p *config.Pool) {
		p.Rebalance = config.Rebalance{Move: true, Rate: 10}
		p.Health = &config.HealthCheck{Initial: config.InitialUp}
	}, named(t, "a").Addr())
	crowd(t, r, 20)
	b := r.backend("a").Peer().(*peer)
	r.pool.Balancer.Report(r.backend("a"), false, time.Now())
	at := wire.Now() + int64(time.Hour)
	end := at
	for cut := 0; cut < 20; cut++ {
		next := r.pool.Sweep(end)
		if left := unended(b); left != 19-cut {
			t.Fatalf("%d sessions are left after %v, want %d", left, time.Duration(end-at), 19-cut)
		}
		if cut == 19 {
			break
		}
		if next <= 0 {
			t.Fatalf("does not want to go on with %d left", 19-cut)
		}
		end += int64(next)
	}
	if d := time.Duration(end - at); d < 1850*time.Millisecond || d > 2*time.Second {
		t.Errorf("20 sessions took %v at 10 a second, want 1.9 s", d)
	}
}

func TestDrainTimeout(t *testing.T) {
	r := newRig(t, func(_ *config.Listener, p *config.Pool) { p.DrainTimeout = time.Minute }, named(t, "a").Addr(), named(t, "b").Addr())
	c := crowd(t, r, 1)[0]
	drain := func(s config.State) {
		r.apply(func(p *config.Pool) {
			p.Backends = members(r.backend("a").Address(), r.backend("b").Address())
			p.Backends[0].State = s
		})
	}
	drain(config.Drain)
	r.sweep(0)
	r.sweep(59 * time.Second)
	drain(config.Ready) // the timer stops
	r.sweep(2 * time.Minute)
	drain(config.Drain)
	r.sweep(59 * time.Second)
	if _, err := io.WriteString(c, "on"); err != nil {
		t.Fatal(err)
	}
	want(t, c, "on")
	r.sweep(61 * time.Second)
	wantReset(t, c)
	b := r.backend("a").Peer().(*peer)
	lbtest.Eventually(t, patience, sessions(b))
	r.wantOutcome(telemetry.OutcomeDrainTimeout, "drain", 1)
}

// TestRemovedBackendDrains: without rebalancing its sessions have drain_timeout.
func TestRemovedBackendDrains(t *testing.T) {
	r := newRig(t, func(_ *config.Listener, p *config.Pool) { p.DrainTimeout = time.Minute }, named(t, "a").Addr())
	c := crowd(t, r, 1)[0]
	r.apply(func(p *config.Pool) { p.Backends = nil })
	r.sweep(0)
	if _, err := io.WriteString(c, "on"); err != nil {
		t.Fatal(err)
	}
	want(t, c, "on")
	r.sweep(61 * time.Second)
	wantReset(t, c)
	r.wantOutcome(telemetry.OutcomeDrainTimeout, "drain", 1)
	lbtest.Eventually(t, patience, func() bool { r.sweep(0); return len(r.pool.retired) == 0 })
}

// TestFailedOpenIsNotLost: a pool that has failed open uses backends that are down, and keeps them.
func TestFailedOpenIsNotLost(t *testing.T) {
	r := newRig(t, func(_ *config.Listener, p *config.Pool) {
		p.Rebalance.Move, p.MinHealthy = true, 1
		p.Health = &config.HealthCheck{Initial: config.InitialUp}
	}, named(t, "a").Addr())
	r.pool.Balancer.Report(r.backend("a"), false, time.Now())
	c := crowd(t, r, 1)[0]
	r.sweep(time.Hour)
	if _, err := io.WriteString(c, "on"); err != nil {
		t.Fatal(err)
	}
	want(t, c, "on")
}

// unended is how many sessions nobody has ended yet.
func unended(p *peer) int {
	_, n := p.choose(0)
	return n
}
