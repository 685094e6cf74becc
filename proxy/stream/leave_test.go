package stream

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"weir/config"
	"weir/internal/lbtest"
	"weir/telemetry"
)

// drop ends a connection by a reset.
func drop(t *testing.T, c *net.TCPConn) {
	t.Helper()
	if err := errors.Join(c.SetLinger(0), c.Close()); err != nil {
		t.Fatal(err)
	}
}

// A client that is gone is not waited for: it gives its place in the queue back, and the connection that
// was under way. One that has only ended its side is.
func TestClientLeavesWhileItWaits(t *testing.T) {
	r := newRig(t, func(_ *config.Listener, p *config.Pool) {
		p.Queue, p.Timeouts.Queue = 10, time.Hour
	}, named(t, "a").Addr())
	r.apply(func(p *config.Pool) {
		b := *p.Backends[0]
		b.MaxConnections = 1
		p.Backends = []*config.Backend{&b}
	})
	first := r.dial()
	want(t, first, "a")
	queued := func(n int64) {
		t.Helper()
		lbtest.Eventually(t, patience, func() bool { return r.pool.Balancer.Queued() == n })
	}
	lost, patient := r.dial(), r.dial()
	queued(2)
	if _, err := io.WriteString(patient, "all that I say"); err != nil {
		t.Fatal(err)
	}
	if err := patient.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	drop(t, lost)
	queued(1)
	r.wantOutcome(telemetry.OutcomeClientClosed, "client", 1)
	first.Close()
	if got, err := io.ReadAll(patient); string(got) != "aall that I say" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestClientLeavesWhileWeirConnects(t *testing.T) {
	r := newRig(t, func(_ *config.Listener, p *config.Pool) { p.Timeouts.Connect = time.Hour }, blackhole(t))
	c := r.dial()
	lbtest.Eventually(t, patience, func() bool { return r.backend("a").Active() == 1 })
	drop(t, c)
	lbtest.Eventually(t, patience, func() bool { return r.backend("a").Active() == 0 })
	r.wantOutcome(telemetry.OutcomeClientClosed, "client", 1)
	if n := r.failed.Load(); n != 0 {
		t.Errorf("the backend is blamed %d times", n)
	}
}
