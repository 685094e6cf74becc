package healthcheck

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestPanicInAProbe costs that probe alone: the backend keeps its state, and the probes go on.
func TestPanicInAProbe(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		v.set(address(1), answer(200, "ok"))
		var broken atomic.Bool
		var told atomic.Int64
		var results sink
		m := New(Options{
			Observe: results.observe,
			Panicked: func(value any, stack []byte) {
				if value != "a defect" || !strings.Contains(string(stack), "attempt") {
					t.Errorf("told of %v with\n%s", value, stack)
				}
				told.Add(1)
			},
			Dial: func(ctx context.Context, at netip.AddrPort) (net.Conn, error) {
				if broken.Load() {
					panic("a defect")
				}
				return v.dial(ctx, at)
			},
		})
		defer m.Close()
		m.Apply([]Target{target(1, httpCheck())})
		pass(30 * time.Second)
		results.take()
		broken.Store(true)
		pass(30 * time.Second)
		if told.Load() < 4 {
			t.Errorf("told of %d panics", told.Load())
		}
		for _, r := range results.take() {
			if r.Changed || r.State != Up || r.Probe.Local != causePanic {
				t.Errorf("got %+v", r)
			}
		}
		broken.Store(false)
		pass(30 * time.Second)
		got := results.take()
		if last := got[len(got)-1]; !last.Probe.OK || last.State != Up {
			t.Errorf("afterwards: %+v", last)
		}
	})
}
