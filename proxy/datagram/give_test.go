package datagram

import (
	"net/netip"
	"slices"
	"strconv"
	"testing"

	"weir/telemetry"
)

// TestGive: the sessions of a socket that changes hands go with it, in their order of use, and those of others
// stay.
func TestGive(t *testing.T) {
	o := newOrigin(t, "", echo)
	r := newRig(t, rigOptions{}, o.addr)
	second, err := r.engine.Open("127.0.0.1:0", nil)
	must(t, err)
	second.Give(r.clients)
	second.Serve()
	a := newClient(t, "", r.addr())
	a.ask("a")
	var list []*client
	for range 5 {
		c := newClient(t, "", second.listener.Addr())
		c.ask("b")
		list = append(list, c)
	}
	slices.Reverse(list) // the first one is the one that was used last
	for _, c := range list {
		c.ask("b")
	}
	sources := o.sources()
	r.listen.UDP.MaxSessions = 4
	next := r.engine.NewClients(r.site(nil))
	second.Give(next)
	if got := [2]int{r.clients.Count(), next.Count()}; got != [2]int{1, 4} {
		t.Errorf("%v sessions, want one to stay, and four of five to have room", got)
	}
	for _, c := range append(list[1:], a) { // list[0] was the one to make room
		c.ask("again")
	}
	if got := o.sources(); !slices.Equal(got, sources) {
		t.Errorf("the backend has seen %v, and before %v", got, sources)
	}
	if n := r.stats().Outcome(telemetry.OutcomeEvicted); n != 1 {
		t.Errorf("%d sessions have made room", n)
	}
	second.Stop()
	next.Wait()
	if n := r.clients.Count(); n != 1 {
		t.Errorf("%d sessions are left to the other one", n)
	}
	a.ask("a")
}

// TestGiveUnderLoad gives a socket back and forth while its clients ask and come back from other ports.
func TestGiveUnderLoad(t *testing.T) {
	o := newOrigin(t, "", echo)
	r := newRig(t, rigOptions{}, o.addr)
	other := r.engine.NewClients(r.site(nil))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 200 {
			c := newClient(t, "", r.addr())
			for range 3 {
				if want := strconv.Itoa(i); c.ask(want) != want {
					t.Error("another answer")
				}
			}
		}
	}()
	for owner := other; ; {
		r.socket.Give(owner)
		if owner == other {
			owner = r.clients
		} else {
			owner = other
		}
		select {
		case <-done:
			r.socket.Give(r.clients)
			if got := [2]int{r.clients.Count(), other.Count()}; got != [2]int{200, 0} {
				t.Errorf("%v sessions", got)
			}
			if n := len(o.sources()); n != 200 {
				t.Errorf("%d sessions were opened for 200 clients", n)
			}
			return
		default:
		}
	}
}

// TestSucceed: a socket for one address takes the place of one for all addresses, and the other way round. The
// clients of that address keep their sessions, also those that only listen, and what has come is carried on.
func TestSucceed(t *testing.T) {
	for _, wildcard := range []string{"0.0.0.0", "[::]"} {
		o := newOrigin(t, "", echo)
		r := newRig(t, rigOptions{address: wildcard + ":0"}, o.addr)
		port := r.addr().Port()
		one := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
		asking, listening := newClient(t, "", one), newClient(t, "", one)
		lost := newClient(t, "", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), port))
		for _, c := range []*client{asking, listening, lost} {
			c.ask("first")
		}
		sources := o.sources()
		s := r.session(listening)
		first := r.socket
		for _, address := range []string{one.String(), wildcard + ":" + strconv.Itoa(int(port)), one.String()} {
			former := r.socket
			next, err := r.engine.Open(address, []*Socket{former})
			must(t, err)
			next.Give(r.clients)
			next.Serve()
			r.socket = next
			former.Stop(next)
			r.replies(o, s, 1)
			if got := listening.receive(); got != "reply" {
				t.Errorf("%s: got %q", address, got)
			}
			asking.ask("again")
		}
		if got := o.sources(); !slices.Equal(got, sources) {
			t.Errorf("the backend has seen %v, and before %v", got, sources)
		}
		if n := r.clients.Count(); n != 2 {
			t.Errorf("%d sessions, want those of the address that is left", n)
		}
		if first == r.socket {
			t.Fatal("no socket has followed")
		}
		r.stop()
	}
}

// TestSucceedDrains: what waits in a socket when another one follows it is carried on.
func TestSucceedDrains(t *testing.T) {
	o := newOrigin(t, "", echo)
	r := newRig(t, rigOptions{address: "0.0.0.0:0"}, o.addr)
	one := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), r.addr().Port())
	c := newClient(t, "", one)
	former := r.socket
	former.mu.Lock() // it is busy
	for i := range 50 {
		c.send(strconv.Itoa(i))
	}
	next, err := r.engine.Open(one.String(), []*Socket{former})
	must(t, err)
	next.Give(r.clients)
	next.Serve()
	r.socket = next
	former.mu.Unlock()
	former.Stop(next)
	got := map[string]bool{}
	for range 50 {
		got[c.receive()] = true
	}
	if len(got) != 50 || len(o.sources()) != 1 {
		t.Errorf("%d of 50 datagrams have come back, by %d sessions", len(got), len(o.sources()))
	}
}
