package stream

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"weir/balancer"
	"weir/config"
	"weir/internal/lbtest"
	"weir/proxy/wire"
)

// TestFirstConnectionsAgree: two first connections of a client that look for a backend at the same time
// get the same, though another one is free.
func TestFirstConnectionsAgree(t *testing.T) {
	r := newRig(t, func(_ *config.Listener, p *config.Pool) {
		p.Persistence = &config.Persistence{Type: config.PersistSourceIP, Timeout: time.Hour}
		p.Queue = 4
		for _, b := range p.Backends {
			b.MaxConnections = 1
		}
	}, named(t, "a").Addr(), named(t, "b").Addr())
	var before []net.Conn
	for _, from := range []string{"127.0.0.8", "127.0.0.9"} {
		c := r.dialFrom(from)
		take(t, c, 1)
		before = append(before, c)
	}
	waiting := []*net.TCPConn{r.dial(), r.dial()}
	lbtest.Eventually(t, patience, func() bool { return r.pool.Balancer.Queued() == 2 })
	for _, c := range before {
		c.Close()
	}
	type answer struct {
		conn *net.TCPConn
		name string
	}
	answers := make(chan answer)
	for _, c := range waiting {
		go func() {
			var b [1]byte
			_, _ = c.Read(b[:])
			answers <- answer{c, string(b[:])}
		}()
	}
	first := <-answers
	lbtest.Eventually(t, patience, func() bool { return r.clients.Count() == 2 && r.pool.Balancer.Queued() == 1 })
	first.conn.Close()
	if second := <-answers; second.name != first.name || first.name < "a" {
		t.Errorf("the first connections of a client were on %q and %q", first.name, second.name)
	}
}

// TestFirstConnectionFails: a backend that could not be connected to is not that of the client, not even
// where a client whose backend cannot be used gets no other.
func TestFirstConnectionFails(t *testing.T) {
	for _, fallback := range []config.Fallback{config.FallbackRebalance, config.FallbackFail} {
		r := newRig(t, func(_ *config.Listener, p *config.Pool) {
			p.Persistence = &config.Persistence{Type: config.PersistSourceIP, Timeout: time.Hour, Fallback: fallback}
		}, lbtest.Refusing(t), lbtest.Refusing(t))
		r.refused()
		on := func() *balancer.Backend {
			bond := r.pool.settings.Load().sticky.Find(netip.MustParseAddr("127.0.0.1"), wire.Now())
			return bond.Backend()
		}
		if b := on(); b != nil {
			t.Errorf("%s: the client is on %s, which it never reached", fallback, b.Name())
		}
		r.apply(func(p *config.Pool) {
			p.Backends = append(slices.Clone(p.Backends), members(netip.AddrPort{}, netip.AddrPort{}, named(t, "c").Addr())[2])
		})
		for range 3 {
			want(t, r.dial(), "c")
		}
		if b := on(); b != r.backend("c") {
			t.Errorf("%s: the client is on %v, want c", fallback, b)
		}
	}
}
