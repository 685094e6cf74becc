//go:build !race

package telemetry

import (
	"crypto/tls"
	"net/netip"
	"testing"
	"time"
)

// The race detector makes sync.Pool forget at random, so these run without it.

func wantNoAllocs(t *testing.T, what string, f func()) {
	t.Helper()
	f() // the first use may allocate
	if n := testing.AllocsPerRun(1000, f); n != 0 {
		t.Errorf("%s allocates %v times", what, n)
	}
}

func TestCountingAllocs(t *testing.T) {
	r := New(Options{})
	l, h, b, p := r.Listener("web"), r.HTTP("web", "app"), r.Backend("app", "b1"), r.Pool("app")
	method := []byte("DELETE")
	wantNoAllocs(t, "NextShard", func() { r.NextShard() })
	wantNoAllocs(t, "HTTP.Done", func() { h.Done(0, benchExchange) })
	wantNoAllocs(t, "HTTP.Bytes", func() { h.Bytes(0, 1, 1) })
	wantNoAllocs(t, "ParseMethod", func() { ParseMethod(method) })
	wantNoAllocs(t, "Listener", func() {
		l.ConnectionOpened(0)
		l.ConnectionClosed(0)
		l.Rejected(RejectDraining)
		l.AcceptError()
		l.Handshake(tls.VersionTLS13, true)
		l.Handshake(0, false)
	})
	wantNoAllocs(t, "Backend", func() {
		b.Request(0, 200, OutcomeOK)
		b.Reused(0)
		b.ConnectionOpened()
		b.ConnectionClosed()
		b.ConnectError(ConnectRefused)
	})
	wantNoAllocs(t, "Pool", func() {
		p.Retry(RetryReset)
		p.Session(0, SessionHit)
		p.Probe("b1", true, time.Millisecond)
	})
}

func TestAccessLogWriteAllocs(t *testing.T) {
	a := &AccessLog{
		sampler: newSampler(1),
		encoder: newLineEncoder(),
		// Without a goroutine: what it does is not the caller's.
		output: &asyncWriter{
			lost:    func(uint64) { t.Error("line lost") },
			pending: make([]byte, 0, maxPending),
		},
	}
	e := sampleEntry()
	e.Client = netip.MustParseAddrPort("[2001:db8::1]:4711")
	e.Reason, e.RequestID = "why", "4f"
	wantNoAllocs(t, "AccessLog.Write", func() { a.Write(&e) })
}
