package resolve

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// TestLast wants what a process knew that has ended to be used only when there is no answer, and to be
// replaced by the first one.
func TestLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		last := map[string][]netip.Addr{"app.example": addrs("10.0.0.1", "0.0.0.0"), "well.example": addrs("10.0.0.9")}
		g := newRig(t, func(o *Options) { o.Last = last })
		g.say("app.example", reply{err: silence})
		g.say("well.example", reply{addrs: addrs("10.0.0.7")})
		c := poolOf(backend("app", "app.example", 80), backend("well", "well.example", 80))
		if e := g.Expand(c); len(e.Pools["web"].Backends) != 0 || e.Pools["web"].Resolving != 2 {
			t.Errorf("before any look-up: got %v", backendsOf(e))
		}
		g.Follow(c)
		g.take()
		if got := fmt.Sprint(backendsOf(g.Expand(c))); got != "[app/10.0.0.1=10.0.0.1:80 well/10.0.0.7=10.0.0.7:80]" {
			t.Errorf("after the first look-up: got %s", got)
		}
		if s := g.Status()[0]; s.State != Stale || s.Reason == "" {
			t.Errorf("got %+v, want stale with a reason", s)
		}
		g.say("app.example", reply{addrs: addrs("10.0.0.5")})
		time.Sleep(2 * time.Second)
		g.take()
		if got := fmt.Sprint(backendsOf(g.Expand(c))); got != "[app/10.0.0.5=10.0.0.5:80 well/10.0.0.7=10.0.0.7:80]" {
			t.Errorf("after an answer: got %s", got)
		}
	})
}
