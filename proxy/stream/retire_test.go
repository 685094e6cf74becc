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

// TestRetiredListener ends what a removed listener has left when drain_timeout of the pool has passed, with
// what has no backend yet.
func TestRetiredListener(t *testing.T) {
	r := newRig(t, func(_ *config.Listener, p *config.Pool) {
		p.DrainTimeout = time.Minute
		p.Queue = 4
		p.Backends[0].MaxConnections = 1
	}, named(t, "a").Addr())
	served := r.dial()
	want(t, served, "a")
	waits := r.dial()
	lbtest.Eventually(t, patience, func() bool { return r.pool.Balancer.Queued() == 1 })
	now := wire.Now()
	r.clients.Sweep(now + int64(time.Hour)) // it is in service
	says := func(c net.Conn) {
		t.Helper()
		if _, err := io.WriteString(c, "still here"); err != nil {
			t.Fatal(err)
		}
		want(t, c, "still here")
	}
	r.clients.Retire(now)
	r.clients.Sweep(now + int64(time.Minute) - 1)
	says(served)
	r.apply(func(p *config.Pool) { p.DrainTimeout = 0 })
	r.clients.Sweep(now + int64(time.Hour)) // without bound
	says(served)
	r.apply(func(p *config.Pool) { p.DrainTimeout = time.Minute })
	r.clients.Sweep(now + int64(time.Minute))
	wantReset(t, served)
	wantReset(t, waits)
	if e := r.wantOutcome(telemetry.OutcomeDrainTimeout, "drain", 2); e.Reason != cutRetired.reason {
		t.Errorf("logged as %+v", e)
	}
}
