package datagram

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/balancer"
	"weir/config"
	"weir/proxy/wire"
	"weir/telemetry"
)

// trio starts three backends that answer with their names.
func trio(t *testing.T) (addrs []netip.AddrPort) {
	for _, name := range []string{"b1", "b2", "b3"} {
		addrs = append(addrs, newOrigin(t, "", named(name)).addr)
	}
	return addrs
}

// served is the backend that answers a client.
func served(c *client) string {
	c.t.Helper()
	name, _, _ := strings.Cut(c.ask("x"), " ")
	return name
}

// port is the one that a client sends from.
func (c *client) port() uint16 {
	a, err := netip.ParseAddrPort(c.conn.LocalAddr().String())
	must(c.t, err)
	return a.Port()
}

// TestRotation: with weights, sessions are spread exactly.
func TestRotation(t *testing.T) {
	r := newRig(t, rigOptions{pool: func(p *config.Pool) { p.Backends[0].Weight = 3 }}, trio(t)...)
	got := map[string]int{}
	for range 50 {
		got[served(newClient(t, "", r.addr()))]++
	}
	if got["b1"] != 30 || got["b2"] != 10 || got["b3"] != 10 {
		t.Errorf("got %v", got)
	}
}

// TestLeastConnections: sessions are what is counted.
func TestLeastConnections(t *testing.T) {
	r := newRig(t, rigOptions{pool: func(p *config.Pool) { p.Algorithm = config.LeastConnections }}, trio(t)...)
	got := map[string]int{}
	for range 30 {
		got[served(newClient(t, "", r.addr()))]++
	}
	for name, n := range got {
		if n != 10 || r.backend(name).Active() != 10 {
			t.Errorf("%s has %d of 30 sessions, %d leases", name, n, r.backend(name).Active())
		}
	}
}

// TestTupleHashes: what a hash covers decides, and nothing else.
func TestTupleHashes(t *testing.T) {
	tests := []struct {
		algorithm               config.Algorithm
		bySource, byDst, byPort bool // whether a difference there alone spreads sessions
	}{
		{config.SourceIP, true, false, false},
		{config.TwoTupleHash, true, true, false},
		{config.ThreeTupleHash, true, true, false},
		{config.FiveTupleHash, true, true, true},
	}
	for _, tt := range tests {
		t.Run(string(tt.algorithm), func(t *testing.T) {
			r := newRig(t, rigOptions{address: "0.0.0.0:0", pool: func(p *config.Pool) { p.Algorithm = tt.algorithm }}, trio(t)...)
			at := func(i int) netip.AddrPort {
				return netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("127.0.1.%d", i)), r.addr().Port())
			}
			same := newClient(t, "127.0.0.1:0", at(1))
			port := same.port()
			first := served(same)
			spread := func(c func(i int) *client) bool {
				for i := 2; i < 30; i++ {
					if served(c(i)) != first {
						return true
					}
				}
				return false
			}
			if got := spread(func(i int) *client { return newClient(t, fmt.Sprintf("127.0.0.%d:%d", i, port), at(1)) }); got != tt.bySource {
				t.Errorf("by source: %v", got)
			}
			if got := spread(func(i int) *client { return newClient(t, "127.0.0.1:0", at(1)) }); got != tt.byPort {
				t.Errorf("by port: %v", got)
			}
			r.expireAfter(time.Hour)
			if got := spread(func(i int) *client { return newClientFrom(t, fmt.Sprintf("127.0.0.1:%d", port), at(i), same) }); got != tt.byDst {
				t.Errorf("by destination: %v", got)
			}
		})
	}
}

// newClientFrom takes over the local address of other, which is closed.
func newClientFrom(t *testing.T, local string, to netip.AddrPort, other *client) *client {
	t.Helper()
	other.conn.Close()
	c := newClient(t, local, to)
	t.Cleanup(func() { c.conn.Close() })
	other.conn = c.conn
	return c
}

// TestPersistence: an address stays with its backend over its sessions, and comes back to it with another
// port; one whose backend is down gets another one, for good, or nobody.
func TestPersistence(t *testing.T) {
	for _, fallback := range []config.Fallback{config.FallbackRebalance, config.FallbackFail} {
		t.Run(string(fallback), func(t *testing.T) {
			r := newRig(t, rigOptions{pool: func(p *config.Pool) {
				p.Persistence = &config.Persistence{Type: config.PersistSourceIP, Timeout: time.Hour, Fallback: fallback}
			}}, trio(t)...)
			first := served(newClient(t, "127.0.0.2:0", r.addr()))
			for range 6 {
				if got := served(newClient(t, "127.0.0.2:0", r.addr())); got != first {
					t.Fatalf("%s, then %s", first, got)
				}
			}
			r.expireAfter(time.Hour / 2)
			if got := served(newClient(t, "127.0.0.2:0", r.addr())); got != first {
				t.Fatalf("%s, then %s after its sessions", first, got)
			}
			r.pool.Balancer.Report(r.backend(first), false, time.Now())
			c := newClient(t, "127.0.0.2:0", r.addr())
			if fallback == config.FallbackFail {
				c.send("x")
				eventually(t, "the datagram is dropped", func() bool { return r.stats().Drops(telemetry.DropNoBackendUp) == 1 })
				r.pool.Balancer.Report(r.backend(first), true, time.Now())
				without := *r.config
				without.Backends = slices.DeleteFunc(slices.Clone(r.config.Backends), func(b *config.Backend) bool { return b.Name == first })
				r.pool.Apply(&without, time.Now())
				c.send("x")
				eventually(t, "a datagram for a backend that was removed is dropped", func() bool { return r.stats().Drops(telemetry.DropNoBackendUp) == 2 })
				r.pool.Apply(r.config, time.Now())
				if got := served(newClient(t, "127.0.0.2:0", r.addr())); got != first {
					t.Errorf("its backend is back, and %s serves", got)
				}
				return
			}
			second := served(c)
			if second == first {
				t.Fatal("a backend that is down serves")
			}
			r.pool.Balancer.Report(r.backend(first), true, time.Now())
			if got := served(newClient(t, "127.0.0.2:0", r.addr())); got != second {
				t.Errorf("%s, then %s", second, got)
			}
		})
	}
}

// TestAdmission: lists, the pace of new sessions, and the sessions of one client. Sessions that are there
// go on whatever the limits.
func TestAdmission(t *testing.T) {
	tests := []struct {
		name   string
		change func(*config.Listener)
		source string
		served int // of five clients
		why    telemetry.DropReason
	}{
		{"denied", func(l *config.Listener) { l.Access.Deny = []netip.Prefix{netip.MustParsePrefix("127.0.0.7/32")} }, "127.0.0.7", 0, telemetry.DropDenied},
		{"not denied", func(l *config.Listener) { l.Access.Deny = []netip.Prefix{netip.MustParsePrefix("127.0.0.7/32")} }, "127.0.0.8", 5, 0},
		{"not allowed", func(l *config.Listener) { l.Access.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.8/32")} }, "127.0.0.7", 0, telemetry.DropDenied},
		{"pace", func(l *config.Listener) { l.Limits.NewConnections = 2 }, "127.0.0.7", 2, telemetry.DropRate},
		{"per client", func(l *config.Listener) { l.Limits.PerClient = 3 }, "127.0.0.7", 3, telemetry.DropPerClient},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, rigOptions{listen: tt.change}, newOrigin(t, "", echo).addr)
			var clients []*client
			for range 5 {
				c := newClient(t, tt.source+":0", r.addr())
				clients = append(clients, c)
				before := r.stats().Counts()
				c.send("x")
				eventually(t, "an answer, or none", func() bool {
					now := r.stats().Counts()
					return now.Sent > before.Sent || now.Dropped > before.Dropped
				})
			}
			if n := r.clients.Count(); n != tt.served {
				t.Errorf("%d clients were served, want %d", n, tt.served)
			}
			if n := r.stats().Drops(tt.why); tt.served < 5 && n != uint64(5-tt.served) {
				t.Errorf("%d datagrams were dropped as %v", n, tt.why)
			}
			for _, c := range clients[:tt.served] {
				if c.receive() != "x" || c.ask("y") != "y" {
					t.Error("a session that is there does not go on")
				}
			}
		})
	}
}

// TestDeniedLater: a list that is new ends the sessions of those that it keeps out, and nobody else's.
func TestDeniedLater(t *testing.T) {
	o := newOrigin(t, "", echo)
	r := newRig(t, rigOptions{}, o.addr)
	bad, good := newClient(t, "127.0.0.7:0", r.addr()), newClient(t, "", r.addr())
	bad.ask("x")
	good.ask("x")
	r.listen.Access.Deny = []netip.Prefix{netip.MustParsePrefix("127.0.0.7/32")}
	r.clients.SetSite(r.site(r.clients.Site()))
	r.clients.Sweep(wire.Now())
	bad.send("y")
	eventually(t, "its datagram is dropped", func() bool { return r.stats().Drops(telemetry.DropDenied) == 1 })
	good.ask("y")
	if n := r.clients.Count(); n != 1 || o.received() != 3 {
		t.Errorf("%d sessions, and the backend has had %d datagrams", n, o.received())
	}
	if n := r.stats().Outcome(telemetry.OutcomeDenied); n != 1 {
		t.Errorf("%d sessions have ended so", n)
	}
}

// TestPerClientIsGivenBack: a session that moves is still one, and one that ends is none.
func TestPerClientIsGivenBack(t *testing.T) {
	r := newRig(t, rigOptions{listen: func(l *config.Listener) { l.Limits.PerClient = 1 }}, trio(t)...)
	c := newClient(t, "", r.addr())
	first := served(c)
	r.pool.Balancer.Report(r.backend(first), false, time.Now())
	if served(c) == first {
		t.Fatal("it has not moved")
	}
	other := newClient(t, "", r.addr())
	other.send("x")
	eventually(t, "the second session is refused", func() bool { return r.stats().Drops(telemetry.DropPerClient) == 1 })
	r.expireAfter(time.Hour)
	served(other)
}

// TestMaxConnections: sessions count as connections of a backend.
func TestMaxConnections(t *testing.T) {
	r := newRig(t, rigOptions{pool: func(p *config.Pool) {
		for _, b := range p.Backends {
			b.MaxConnections = 2
		}
	}}, trio(t)...)
	for range 6 {
		served(newClient(t, "", r.addr()))
	}
	newClient(t, "", r.addr()).send("x")
	eventually(t, "the seventh is refused", func() bool { return r.stats().Drops(telemetry.DropNoCapacity) == 1 })
}

// TestRebalanceRate: with a rate, sessions move by and by; those that wait go on where they are.
func TestRebalanceRate(t *testing.T) {
	r := newRig(t, rigOptions{pool: func(p *config.Pool) { p.Rebalance.Rate = 1 }}, trio(t)...)
	var clients []*client
	for len(clients) < 4 {
		if c := newClient(t, "", r.addr()); served(c) == "b1" {
			clients = append(clients, c)
		}
	}
	r.pool.Balancer.Report(r.backend("b1"), false, time.Now())
	begin, moved := time.Now(), 0
	for _, c := range clients {
		if served(c) != "b1" {
			moved++
		}
	}
	if moved == 0 || moved > 1+int(time.Since(begin)/time.Second) {
		t.Errorf("%d sessions moved in %v at 1 in a second", moved, time.Since(begin))
	}
}

// TestQuota is the rate by a clock of its own.
func TestQuota(t *testing.T) {
	var q quota
	taken := 0
	for at := int64(1); at <= int64(2*time.Second); at += int64(time.Millisecond) {
		if q.take(100, at) {
			taken++
		}
	}
	if taken < 199 || taken > 206 {
		t.Errorf("%d in two seconds at 100 in a second", taken)
	}
	if !q.take(0, 0) {
		t.Error("no rate is a bound")
	}
}

// TestWeightZeroAndBackup: a backend without weight gets no sessions, and backups only when nobody else is
// there.
func TestWeightZeroAndBackup(t *testing.T) {
	r := newRig(t, rigOptions{pool: func(p *config.Pool) {
		p.Backends[0].Weight = 0
		p.Backends[1].Backup = true
	}}, trio(t)...)
	for range 5 {
		if got := served(newClient(t, "", r.addr())); got != "b3" {
			t.Fatalf("%s serves", got)
		}
	}
	r.pool.Balancer.Report(r.backend("b3"), false, time.Now())
	if got := served(newClient(t, "", r.addr())); got != "b2" {
		t.Errorf("%s serves", got)
	}
}

// TestClosedPool: the sessions of a pool that is no longer configured go where the listener leads.
func TestClosedPool(t *testing.T) {
	addrs := trio(t)
	r := newRig(t, rigOptions{}, addrs[0])
	c := newClient(t, "", r.addr())
	if got := served(c); got != "b1" {
		t.Fatalf("%s serves", got)
	}
	next := *r.config
	next.Name, next.Backends = "next", []*config.Backend{{Name: "n", Address: addrs[1], Weight: 1, State: config.Ready}}
	pool := r.engine.NewPool(&next, 0, time.Now())
	listen := *r.listen
	listen.Pool = "next"
	r.clients.SetSite(r.engine.NewSite(SiteOptions{Config: &listen, Pools: map[string]*Pool{"next": pool}, Previous: r.clients.Site()}))
	r.pool.Close(time.Now())
	if got := served(c); got != "b2" {
		t.Errorf("%s serves", got)
	}
	if n := r.clients.Count(); n != 1 {
		t.Errorf("%d sessions", n)
	}
	if n := r.backend("b1").Active(); n != 0 {
		t.Errorf("%d leases", n)
	}
	r.clients.Stop()
	pool.Close(time.Now())
	if !pool.Ended(time.Now().Add(time.Minute)) {
		t.Error("the next pool has something left")
	}
}

// TestNoPool: without a pool nothing is answered.
func TestNoPool(t *testing.T) {
	r := newRig(t, rigOptions{listen: func(l *config.Listener) { l.Pool = "" }}, newOrigin(t, "", echo).addr)
	newClient(t, "", r.addr()).send("x")
	stats := r.engine.Telemetry.UDP("dns", "")
	eventually(t, "the datagram is dropped", func() bool { return stats.Drops(telemetry.DropNoRoute) == 1 })
}

// TestDrainTimeoutOfOverride: a backend that was drained and is ready again keeps its sessions.
func TestDrainTimeoutOfOverride(t *testing.T) {
	r := newRig(t, rigOptions{pool: func(p *config.Pool) { p.Rebalance.Move = false }}, trio(t)...)
	c := newClient(t, "", r.addr())
	first := served(c)
	drain, ready := config.Drain, config.Ready
	must(t, r.pool.Balancer.SetAdmin(first, balancer.Override{State: &drain}, time.Now()))
	must(t, r.pool.Balancer.SetAdmin(first, balancer.Override{State: &ready}, time.Now()))
	r.pool.Sweep(wire.Now() + int64(time.Hour))
	if n := r.clients.Count(); n != 1 {
		t.Error("the drain timer has not stopped on ready")
	}
}
