package datagram

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/balancer"
	"weir/config"
	"weir/proxy/wire"
	"weir/telemetry"
)

func TestEcho(t *testing.T) {
	o := newOrigin(t, "", echo)
	r := newRig(t, rigOptions{}, o.addr)
	c := newClient(t, "", r.addr())
	for i := range 100 {
		want := fmt.Sprint("question ", i)
		if got := c.ask(want); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	if n := len(o.sources()); n != 1 {
		t.Errorf("the backend has seen %d clients", n)
	}
	if n := r.clients.Count(); n != 1 {
		t.Errorf("%d sessions", n)
	}
	counts := r.stats().Counts()
	if counts.Received != 100 || counts.Sent != 100 || counts.BytesIn != counts.BytesOut || counts.Dropped != 0 {
		t.Errorf("got %+v", counts)
	}
	r.expireAfter(59 * time.Second)
	if n := r.clients.Count(); n != 1 {
		t.Fatalf("%d sessions before udp_idle", n)
	}
	r.expireAfter(61 * time.Second)
	if n := r.clients.Count(); n != 0 {
		t.Fatalf("%d sessions after udp_idle", n)
	}
	lines := r.lines()
	if len(lines) != 1 {
		t.Fatalf("got %+v", lines)
	}
	l := lines[0]
	if l.Outcome != "expired" || l.EndedBy != "idle" || l.DatagramsIn != 100 || l.DatagramsOut != 100 || l.Backend != "b1" ||
		l.BytesIn != int64(counts.BytesIn) || l.Proto != "UDP" || l.Pool != "app" || l.Client != "127.0.0.1" {
		t.Errorf("got %+v", l)
	}
}

// TestSizes: every datagram comes out as it went in, the empty one and the largest too.
func TestSizes(t *testing.T) {
	o := newOrigin(t, "", echo)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		t.Run(address, func(t *testing.T) {
			r := newRig(t, rigOptions{address: address}, o.addr)
			to := r.addr()
			if to.Addr().IsUnspecified() {
				to = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.9"), to.Port())
			}
			c := newClient(t, "", to)
			for _, size := range []int{0, 1, 2, 511, 1200, 1452, 1472, 1473, 1500, 4096, 9000, 16383, 16384, 65000, 65506, 65507} {
				want := strings.Repeat(string(rune('a'+size%26)), size)
				if got := c.ask(want); got != want {
					t.Errorf("%d bytes came back as %d", size, len(got))
				}
			}
		})
	}
}

// TestReplySource: replies come from the address that the client has used, whatever the socket is bound
// to. A client that is connected to it hears nothing else.
func TestReplySource(t *testing.T) {
	o := newOrigin(t, "", echo)
	tests := []struct {
		listen string
		used   []string
	}{
		{":0", []string{"127.0.0.1", "127.0.0.2", "127.9.9.9", "::1"}},
		{"0.0.0.0:0", []string{"127.0.0.1", "127.0.0.2", "127.9.9.9"}},
		{"[::]:0", []string{"127.0.0.3", "::1"}},
		{"127.0.0.5:0", []string{"127.0.0.5"}},
		{"[::1]:0", []string{"::1"}},
	}
	for _, tt := range tests {
		t.Run(tt.listen, func(t *testing.T) {
			r := newRig(t, rigOptions{address: tt.listen}, o.addr)
			for _, used := range tt.used {
				c := newClient(t, "", netip.AddrPortFrom(netip.MustParseAddr(used), r.addr().Port()))
				if got := c.ask(used); got != used {
					t.Errorf("%s: got %q", used, got)
				}
			}
			if n := r.clients.Count(); n != len(tt.used) {
				t.Errorf("%d sessions, want %d", n, len(tt.used))
			}
		})
	}
}

// TestBroadcast: who asks everybody on the network is answered, from an address of this machine.
func TestBroadcast(t *testing.T) {
	for _, wildcard := range []string{"0.0.0.0:0", "[::]:0"} {
		t.Run(wildcard, func(t *testing.T) {
			r := newRig(t, rigOptions{address: wildcard}, newOrigin(t, "", echo).addr)
			c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			must(t, err)
			defer c.Close()
			raw, err := c.SyscallConn()
			must(t, err)
			must(t, raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1) }))
			must(t, err)
			everybody := netip.AddrPortFrom(netip.MustParseAddr("127.255.255.255"), r.addr().Port())
			_, err = c.WriteToUDPAddrPort([]byte("hello"), everybody)
			must(t, err)
			got := (&client{t, c}).receive()
			if got != "hello" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestIPv6Backend: backends may be of the other family.
func TestIPv6Backend(t *testing.T) {
	o := newOrigin(t, "[::1]:0", echo)
	r := newRig(t, rigOptions{}, o.addr)
	if got := newClient(t, "", r.addr()).ask("hello"); got != "hello" {
		t.Errorf("got %q", got)
	}
}

// TestTuples: clients that differ in the address alone, or the port alone, have sessions of their own,
// and so has one client that uses two addresses.
func TestTuples(t *testing.T) {
	o := newOrigin(t, "", echo)
	r := newRig(t, rigOptions{address: "0.0.0.0:0"}, o.addr)
	at := func(ip string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(ip), r.addr().Port()) }
	a := newClient(t, "127.0.0.1:0", at("127.0.0.1"))
	port := a.conn.LocalAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort().Port()
	clients := []*client{
		a, newClient(t, fmt.Sprintf("127.0.0.2:%d", port), at("127.0.0.1")), newClient(t, "127.0.0.1:0", at("127.0.0.1")),
		newClient(t, "127.0.0.1:0", at("127.0.0.3")),
	}
	for i, c := range clients {
		want := fmt.Sprint("client ", i)
		if got := c.ask(want); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if n := len(o.sources()); n != len(clients) {
		t.Errorf("the backend has seen %d clients", n)
	}
}

// TestResponses: a session is over when every datagram of the client was answered as often as is said.
func TestResponses(t *testing.T) {
	twice := func(p []byte) [][]byte { return [][]byte{p, p} }
	o := newOrigin(t, "", twice)
	r := newRig(t, rigOptions{listen: func(l *config.Listener) { l.UDP.Responses = 2 }}, o.addr)
	c := newClient(t, "", r.addr())
	for range 20 {
		c.send("a")
		if got := c.receive() + c.receive(); got != "aa" {
			t.Fatalf("got %q", got)
		}
	}
	eventually(t, "the sessions end", func() bool { return r.clients.Count() == 0 })
	if n := r.stats().Outcome(telemetry.OutcomeOK); n == 0 || n > 20 {
		t.Errorf("%d sessions were answered", n)
	}
	sessions := len(o.sources())
	if got := int(r.engine.Telemetry.Listener("dns").Counts().Opened); got != sessions {
		t.Errorf("%d sessions, and the backend has seen %d", got, sessions)
	}
}

// TestUnanswered: a session without the replies that are expected says so.
func TestUnanswered(t *testing.T) {
	o := newOrigin(t, "", nil)
	r := newRig(t, rigOptions{listen: func(l *config.Listener) { l.UDP.Responses = 1 }}, o.addr)
	newClient(t, "", r.addr()).send("a")
	eventually(t, "the backend is asked", func() bool { return o.received() == 1 })
	r.expireAfter(2 * time.Minute)
	if l := r.lines(); len(l) != 1 || l[0].Outcome != "backend_timeout" || l[0].Reason == "" {
		t.Errorf("got %+v", l)
	}
}

// TestReplyKeepsSession: what a backend sends counts as use.
func TestReplyKeepsSession(t *testing.T) {
	o := newOrigin(t, "", echo)
	r := newRig(t, rigOptions{}, o.addr)
	c := newClient(t, "", r.addr())
	c.ask("a")
	var s *session
	for _, s = range r.clients.table.all() {
		s.release()
	}
	s.used.Store(s.used.Load() + int64(30*time.Second)) // as a reply would
	r.expireAfter(80 * time.Second)
	if n := r.clients.Count(); n != 1 {
		t.Fatal("the session was ended 50 s after its last datagram")
	}
	r.expireAfter(100 * time.Second)
	if n := r.clients.Count(); n != 0 {
		t.Fatal("the session was not ended 70 s after its last datagram")
	}
}

// TestRefusedMovesOn: where nobody listens, the next datagram goes to another backend, and is counted.
func TestRefusedMovesOn(t *testing.T) {
	dead := newOrigin(t, "", nil)
	dead.close()
	o := newOrigin(t, "", echo)
	r := newRig(t, rigOptions{}, dead.addr, o.addr)
	answered := 0
	for range 10 {
		c := newClient(t, "", r.addr())
		got := ""
		for range 20 {
			c.send("a")
			must(t, c.conn.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
			b := make([]byte, 10)
			if n, err := c.conn.Read(b); err == nil {
				got = string(b[:n])
				break
			}
		}
		if got == "a" {
			answered++
		}
	}
	if answered != 10 {
		t.Errorf("%d of 10 clients were answered", answered)
	}
	if n := r.failed.Load(); n == 0 {
		t.Error("nobody was told that the backend is not there")
	}
	if n := r.backend("b1").Peer().(*peer).stats.Counts().ConnectErrors; n == 0 {
		t.Error("not counted")
	}
	if n := r.stats().Outcome(telemetry.OutcomeRebalanced); n == 0 {
		t.Error("no session was moved")
	}
	for _, l := range r.lines() {
		if l.Outcome == "rebalanced" && (l.Backend != "b1" || l.EndedBy != "backend") {
			t.Errorf("got %+v", l)
		}
	}
}

// TestRefusedAlone: the only backend is tried again, so that clients are served when it is back.
func TestRefusedAlone(t *testing.T) {
	for _, move := range []bool{true, false} {
		o := newOrigin(t, "", nil)
		o.close()
		r := newRig(t, rigOptions{pool: func(p *config.Pool) { p.Rebalance.Move = move }}, o.addr)
		c := newClient(t, "", r.addr())
		for range 5 {
			c.send("a")
		}
		eventually(t, "the failure is told", func() bool { return r.failed.Load() > 0 })
		newOrigin(t, o.addr.String(), echo)
		got := c.ask("b")
		for got == "a" { // the last ones were on their way yet
			got = c.receive()
		}
		if got != "b" {
			t.Errorf("got %q", got)
		}
		if n := r.clients.Count(); n != 1 {
			t.Errorf("%d sessions", n)
		}
	}
}

// TestAllRefused: where no backend is there, sessions do not go round and round.
func TestAllRefused(t *testing.T) {
	var addrs []netip.AddrPort
	for range 3 {
		o := newOrigin(t, "", nil)
		o.close()
		addrs = append(addrs, o.addr)
	}
	r := newRig(t, rigOptions{}, addrs...)
	c := newClient(t, "", r.addr())
	for i := range 100 {
		c.send("x")
		eventually(t, "it is looked at", func() bool { return r.stats().Counts().Received >= uint64(i+1) })
	}
	if n := r.engine.Telemetry.Listener("dns").Counts().Opened; n > 4 {
		t.Errorf("%d sessions for one client", n)
	}
	newOrigin(t, r.clients.addressOf(t), echo)
	if got := c.ask("y"); got != "y" {
		t.Errorf("got %q", got)
	}
}

// addressOf is the backend of the only session.
func (c *Clients) addressOf(t *testing.T) (address string) {
	list := c.table.all()
	if len(list) != 1 {
		t.Fatalf("%d sessions", len(list))
	}
	address = list[0].lease.Backend().Address().String()
	list[0].release()
	return address
}

// TestDown: a session goes on with a backend that is down, or moves, as the pool says.
func TestDown(t *testing.T) {
	for _, move := range []bool{true, false} {
		b1, b2 := newOrigin(t, "", named("b1")), newOrigin(t, "", named("b2"))
		r := newRig(t, rigOptions{pool: func(p *config.Pool) { p.Rebalance.Move = move }}, b1.addr, b2.addr)
		c := newClient(t, "", r.addr())
		first, _, _ := strings.Cut(c.ask("x"), " ")
		r.pool.Balancer.Report(r.backend(first), false, time.Now())
		second, _, _ := strings.Cut(c.ask("x"), " ")
		if moved := second != first; moved != move {
			t.Errorf("target_rebalance %v: %s, then %s", move, first, second)
		}
		if n := r.clients.Count(); n != 1 {
			t.Errorf("%d sessions", n)
		}
		want := uint64(0)
		if move {
			want = 1
		}
		if got := r.stats().Outcome(telemetry.OutcomeRebalanced); got != want {
			t.Errorf("%d sessions were moved, want %d", got, want)
		}
	}
}

// TestEveryBackendDown: with nobody to move to, a session stays where it is.
func TestEveryBackendDown(t *testing.T) {
	o := newOrigin(t, "", echo)
	r := newRig(t, rigOptions{}, o.addr)
	c := newClient(t, "", r.addr())
	c.ask("x")
	r.pool.Balancer.Report(r.backend("b1"), false, time.Now())
	if got := c.ask("y"); got != "y" {
		t.Errorf("got %q", got)
	}
	other := newClient(t, "", r.addr())
	other.send("z")
	eventually(t, "the new client's datagram is dropped", func() bool { return r.stats().Drops(telemetry.DropNoBackendUp) == 1 })
	other.silent()
	if n := r.logs.FilterMessage("datagrams are dropped").Len(); n != 1 {
		t.Errorf("the log tells of it %d times", n)
	}
}

// TestRemoved: sessions of a backend that was removed move; with target_rebalance false they stay until
// drain_timeout.
func TestRemoved(t *testing.T) {
	for _, move := range []bool{true, false} {
		b1, b2 := newOrigin(t, "", named("b1")), newOrigin(t, "", named("b2"))
		r := newRig(t, rigOptions{pool: func(p *config.Pool) { p.Rebalance.Move = move }}, b1.addr, b2.addr)
		c := newClient(t, "", r.addr())
		first, _, _ := strings.Cut(c.ask("x"), " ")
		next := *r.config
		next.Backends = nil
		for _, b := range r.config.Backends {
			if b.Name != first {
				next.Backends = append(next.Backends, b)
			}
		}
		r.pool.Apply(&next, time.Now())
		second, _, _ := strings.Cut(c.ask("x"), " ")
		if moved := second != first; moved != move {
			t.Errorf("target_rebalance %v: %s, then %s", move, first, second)
		}
		r.pool.Sweep(wire.Now() + int64(4*time.Minute))
		if n := r.clients.Count(); n != 1 {
			t.Errorf("%d sessions before drain_timeout", n)
		}
		r.pool.Sweep(wire.Now() + int64(6*time.Minute))
		if n := r.clients.Count(); !move && n != 0 {
			t.Errorf("%d sessions after drain_timeout", n)
		}
	}
}

// TestDrained: new sessions go elsewhere, old ones stay until drain_timeout.
func TestDrained(t *testing.T) {
	b1, b2 := newOrigin(t, "", named("b1")), newOrigin(t, "", named("b2"))
	r := newRig(t, rigOptions{}, b1.addr, b2.addr)
	c := newClient(t, "", r.addr())
	first, _, _ := strings.Cut(c.ask("x"), " ")
	drain := config.Drain
	must(t, r.pool.Balancer.SetAdmin(first, balancer.Override{State: &drain}, time.Now()))
	now := wire.Now()
	r.pool.Sweep(now)
	if got, _, _ := strings.Cut(c.ask("x"), " "); got != first {
		t.Errorf("the session moved to %s", got)
	}
	for range 4 {
		if got, _, _ := strings.Cut(newClient(t, "", r.addr()).ask("x"), " "); got == first {
			t.Errorf("a new session went to %s", got)
		}
	}
	r.pool.Sweep(now + int64(6*time.Minute))
	if n := r.stats().Outcome(telemetry.OutcomeDrainTimeout); n != 1 {
		t.Errorf("%d sessions were cut", n)
	}
	if got, _, _ := strings.Cut(c.ask("x"), " "); got == first {
		t.Errorf("the session went on with %s", got)
	}
}

// TestRefusing: new sessions avoid a backend that is not there, ever longer, until it answers.
func TestRefusing(t *testing.T) {
	p := &peer{backend: &balancer.Backend{}}
	second := int64(time.Second)
	if p.refusing(second) {
		t.Error("before anything happened")
	}
	p.absent(10 * second)
	p.absent(10*second + 1) // within the same pause
	for _, tt := range []struct {
		at   int64
		want bool
	}{{10 * second, true}, {11*second - 1, true}, {11 * second, false}} {
		if got := p.refusing(tt.at); got != tt.want {
			t.Errorf("at %v: %v", time.Duration(tt.at), got)
		}
	}
	p.absent(11 * second)
	if !p.refusing(13*second-1) || p.refusing(13*second) {
		t.Error("the second pause is not twice as long")
	}
	for at := 13 * second; at < 500*second; at += 40 * second {
		p.absent(at)
	}
	if p.pause != lastPause {
		t.Errorf("a pause of %v", time.Duration(p.pause))
	}
	p.present()
	if p.refusing(500 * second) {
		t.Error("it has answered")
	}
	p.absent(600 * second)
	if p.pause != firstPause {
		t.Errorf("after an answer, a pause of %v", time.Duration(p.pause))
	}
}
