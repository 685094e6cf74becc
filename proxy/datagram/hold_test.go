package datagram

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"weir/config"
	"weir/telemetry"
)

// uncheckedFor makes every backend begin without a verdict.
func uncheckedFor(queue time.Duration) func(*config.Pool) {
	return func(p *config.Pool) {
		p.Health.Initial, p.Timeouts.Queue = config.InitialChecking, queue
	}
}

// holds is how many payloads a socket holds.
func (k *Socket) holds() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.waiting.list)
}

// TestHold: datagrams that come before the first verdict are carried on with it, in their order, as those of one
// session each.
func TestHold(t *testing.T) {
	for _, queue := range []time.Duration{time.Hour, 0} { // 0: without bound
		r := newRig(t, rigOptions{pool: uncheckedFor(queue)}, trio(t)...)
		clients := []*client{newClient(t, "", r.addr()), newClient(t, "", r.addr())}
		for _, word := range []string{"one", "two", "three"} {
			for _, c := range clients {
				c.send(word)
			}
		}
		eventually(t, "all are held", func() bool { return r.socket.holds() == 6 })
		r.pool.Balancer.Report(r.backend("b2"), true, time.Now())
		for _, c := range clients {
			var got []string
			for range 3 {
				got = append(got, c.receive())
			}
			if want := []string{"b2 one", "b2 two", "b2 three"}; !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		if n := r.clients.Count(); n != 2 || r.socket.holds() != 0 || r.stats().Counts().Dropped != 0 {
			t.Errorf("%d sessions, %d are held, %+v", n, r.socket.holds(), r.stats().Counts())
		}
		r.stop()
	}
}

// TestHoldExpires: without a verdict they are dropped in the end, and when all backends turn out to be down, at once.
func TestHoldExpires(t *testing.T) {
	r := newRig(t, rigOptions{pool: uncheckedFor(50 * time.Millisecond)}, trio(t)...)
	newClient(t, "", r.addr()).send("x")
	eventually(t, "it is dropped", func() bool { return r.stats().Drops(telemetry.DropNoBackendUp) == 1 })

	r = newRig(t, rigOptions{pool: uncheckedFor(time.Hour)}, trio(t)[0])
	newClient(t, "", r.addr()).send("x")
	eventually(t, "it is held", func() bool { return r.socket.holds() == 1 })
	r.pool.Balancer.Report(r.backend("b1"), false, time.Now())
	eventually(t, "it is dropped", func() bool { return r.stats().Drops(telemetry.DropNoBackendUp) == 1 })
}

// TestHoldBounds: so many, so large, and no more; what is held when the socket stops is dropped, and counted.
func TestHoldBounds(t *testing.T) {
	for _, size := range []int{1, 40_000} {
		r := newRig(t, rigOptions{pool: uncheckedFor(time.Hour)}, trio(t)...)
		var clients []*client
		for i := range 8 {
			clients = append(clients, newClient(t, fmt.Sprintf("127.0.0.%d:0", i+1), r.addr()))
		}
		want := min(heldMost, heldBytes/size)
		for i := range want + 10 {
			c := clients[i%len(clients)]
			c.send(fmt.Sprintf("%*d", size, i%10))
			eventually(t, "it has come", func() bool {
				return r.socket.holds()+int(r.stats().Drops(telemetry.DropNoBackendUp)) == i+1
			})
		}
		if n := r.socket.holds(); n != want {
			t.Errorf("%d of %d bytes are held, want %d", n, size, want)
		}
		r.stop()
		if n := r.stats().Drops(telemetry.DropDraining); n != uint64(want) {
			t.Errorf("%d are dropped at the end, want %d", n, want)
		}
	}
}

// TestHoldShare: one client cannot take the places of all.
func TestHoldShare(t *testing.T) {
	for _, size := range []int{1, 40_000} {
		r := newRig(t, rigOptions{pool: uncheckedFor(time.Hour)}, trio(t)...)
		want := min(heldMost, heldBytes/size) / heldShare
		for i := range want + 10 {
			c := newClient(t, "127.0.0.7:0", r.addr()) // from another port each time
			c.send(fmt.Sprintf("%*d", size, i%10))
			c.conn.Close()
			eventually(t, "it has come", func() bool {
				return r.socket.holds()+int(r.stats().Drops(telemetry.DropNoBackendUp)) == i+1
			})
		}
		if n := r.socket.holds(); n != want {
			t.Errorf("%d of %d bytes are held for one client, want %d", n, size, want)
		}
		newClient(t, "", r.addr()).send("x")
		eventually(t, "that of another one is held", func() bool { return r.socket.holds() == want+1 })
		r.stop()
	}
}

func TestSubscriber(t *testing.T) {
	for text, want := range map[string]string{"192.0.2.7": "192.0.2.7", "2001:db8:1:2:3::4": "2001:db8:1:2::"} {
		if got := subscriber(netip.MustParseAddr(text)).String(); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// TestHoldDenied: nothing is held for a client that the lists keep out.
func TestHoldDenied(t *testing.T) {
	r := newRig(t, rigOptions{
		pool: uncheckedFor(time.Hour), listen: func(l *config.Listener) { l.Access.Deny = []netip.Prefix{netip.MustParsePrefix("127.0.0.7/32")} },
	}, trio(t)...)
	newClient(t, "127.0.0.7:0", r.addr()).send("x")
	newClient(t, "", r.addr()).send("x")
	eventually(t, "the other one is held", func() bool { return r.socket.holds() > 0 })
	if n := r.stats().Drops(telemetry.DropDenied); n != 1 || r.socket.holds() != 1 {
		t.Errorf("%d are held, %d denied", r.socket.holds(), n)
	}
}

// TestHoldQUIC: a connection is made while the backends are being checked.
func TestHoldQUIC(t *testing.T) {
	q := newQUICRig(t, 2, quicOptions{}, rigOptions{pool: uncheckedFor(time.Hour)})
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for limit := time.Now().Add(patience); q.socket.holds() == 0 && time.Now().Before(limit); {
			<-tick.C
		}
		q.pool.Balancer.Report(q.backend("b1"), true, time.Now())
	}()
	if got := ask(t, q.dial(t, transport(t), q.addr()), 1000); got != "b1" {
		t.Errorf("served by %q", got)
	}
	<-done
}
