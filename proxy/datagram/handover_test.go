package datagram

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/balancer"
	"weir/config"
	"weir/proxy/wire"
)

// successor makes a rig that has the listening socket of r, paused, as the next process has.
func (r *rig) successor(o rigOptions, backends ...netip.AddrPort) *rig {
	r.t.Helper()
	must(r.t, r.socket.Pause())
	r.engine.Pause()
	fd, err := r.socket.Duplicate()
	must(r.t, err)
	o.adopt = fd
	next := newRig(r.t, o, backends...)
	next.engine.Pause()
	return next
}

// handOver gives the sessions of r to next, and returns how many it has not taken.
func (r *rig) handOver(next *rig) (refused int) {
	r.t.Helper()
	next.engine.RememberPorts(r.engine.PortMemory())
	for _, h := range r.socket.Held(0) {
		next.socket.RememberHeld(h)
	}
	must(r.t, r.clients.HandOver(map[*Socket]int{r.socket: 0}, func(list []SessionMemory, files []int) error {
		if len(list) > handOverBatch || len(list) != len(files) {
			r.t.Errorf("a batch of %d sessions and %d descriptors", len(list), len(files))
		}
		for i, m := range list {
			fd, err := unix.FcntlInt(uintptr(files[i]), unix.F_DUPFD_CLOEXEC, 3) // as the other process gets it
			must(r.t, err)
			var b *balancer.Backend
			for _, member := range next.pool.Balancer.Snapshot().Members() {
				if member.Backend.Name() == m.Backend {
					b = member.Backend
				}
			}
			if next.clients.Remember(next.socket, &m, b, fd) != nil {
				refused++
			}
		}
		return nil
	}))
	return refused
}

// commit ends the hand-over.
func (r *rig) commit(next *rig) {
	r.t.Helper()
	r.clients.HandedOver()
	r.engine.Resume()
	r.socket.GiveUp()
	r.gone = true
	next.engine.Resume()
	next.socket.Serve()
}

// Sessions go on in another process: on their backends, from the ports that these know, with what was
// counted, and with what came meanwhile.
func TestHandOver(t *testing.T) {
	const clients = 600 // more than two batches
	var origins []*origin
	var addrs []netip.AddrPort
	for range 3 {
		o := newOrigin(t, "", echo)
		origins, addrs = append(origins, o), append(addrs, o.addr)
	}
	r := newRig(t, rigOptions{}, addrs...)
	var list []*client
	for i := range clients {
		c := newClient(t, "", r.addr())
		list = append(list, c)
		if got, want := c.ask(fmt.Sprint("before ", i)), fmt.Sprint("before ", i); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	next := r.successor(rigOptions{}, addrs...)
	list[0].send("meanwhile")
	if refused := r.handOver(next); refused != 0 {
		t.Fatalf("%d sessions were not taken", refused)
	}
	r.commit(next)
	if got := list[0].receive(); got != "meanwhile" {
		t.Errorf("what came meanwhile: got %q", got)
	}
	for i, c := range list {
		if got, want := c.ask(fmt.Sprint("after ", i)), fmt.Sprint("after ", i); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	sources := 0
	for _, o := range origins {
		sources += len(o.sources())
	}
	if sources != clients {
		t.Errorf("the backends have seen %d sockets for %d clients", sources, clients)
	}
	if r.clients.Count() != 0 || next.clients.Count() != clients {
		t.Errorf("sessions: got %d and %d, want 0 and %d", r.clients.Count(), next.clients.Count(), clients)
	}
	if lines := r.lines(); len(lines) != 0 {
		t.Errorf("the first process has logged the end of %d sessions, which have not ended", len(lines))
	}
	for _, l := range next.lines() {
		if l.DatagramsIn < 2 || l.DatagramsOut < 2 {
			t.Fatalf("a session was not counted as a whole: %+v", l)
		}
	}
}

// A hand-over that comes to nothing leaves the first process as it was.
func TestHandOverTakenBack(t *testing.T) {
	o := newOrigin(t, "", echo)
	r := newRig(t, rigOptions{}, o.addr)
	c := newClient(t, "", r.addr())
	c.ask("before")
	next := r.successor(rigOptions{}, o.addr)
	broken := errors.New("broken")
	if err := r.clients.HandOver(map[*Socket]int{r.socket: 0}, func([]SessionMemory, []int) error { return broken }); err != broken {
		t.Errorf("got %v, want what the receiver said", err)
	}
	c.send("meanwhile")
	next.engine.Resume()
	next.socket.Serve()
	next.stop() // it may have taken what came meanwhile, as a dead process would not
	r.clients.TakenBack()
	r.engine.Resume()
	r.socket.Resume()
	if got := c.ask("after"); got != "after" && got != "meanwhile" {
		t.Errorf("got %q", got)
	}
	if n := len(o.sources()); n > 2 {
		t.Errorf("the backend has seen %d clients", n)
	}
}

// What the next process has no use for is not taken, and nothing of it is left.
func TestHandOverToOtherBackends(t *testing.T) {
	old, other := newOrigin(t, "", echo), newOrigin(t, "", echo)
	r := newRig(t, rigOptions{}, old.addr)
	c := newClient(t, "", r.addr())
	c.ask("before")
	next := r.successor(rigOptions{}, other.addr) // b1 is another one
	if refused := r.handOver(next); refused != 1 {
		t.Errorf("%d sessions were not taken, want 1", refused)
	}
	r.commit(next)
	if got := c.ask("after"); got != "after" {
		t.Errorf("got %q", got)
	}
	if n := len(other.sources()); n != 1 {
		t.Errorf("the new backend has seen %d clients, want 1", n)
	}
}

// A port that was used lately is left alone by the next process too.
func TestHandOverOfPorts(t *testing.T) {
	o := newOrigin(t, "", echo)
	ports := portRange{first: 41000, last: 41001}
	r := newRig(t, rigOptions{ports: ports}, o.addr)
	first := newClient(t, "", r.addr())
	first.ask("first")
	r.expireAfter(61 * time.Second) // its port is not to be used for a minute
	second := newClient(t, "", r.addr())
	second.ask("second")
	next := r.successor(rigOptions{ports: ports}, o.addr)
	if refused := r.handOver(next); refused != 0 {
		t.Errorf("%d sessions were not taken", refused)
	}
	r.commit(next)
	second.ask("again")
	third := newClient(t, "", next.addr())
	third.send("third")
	eventually(t, "the third client is dropped for want of a port", func() bool {
		return next.stats().Counts().Dropped == 1
	})
}

// What waits for a first verdict waits on.
func TestHandOverOfWhatIsHeld(t *testing.T) {
	o := newOrigin(t, "", echo)
	checking := func(c *config.Pool) { c.Health = &config.HealthCheck{Initial: config.InitialChecking} }
	r := newRig(t, rigOptions{pool: checking}, o.addr)
	c := newClient(t, "", r.addr())
	c.send("early")
	eventually(t, "the datagram is held", func() bool {
		r.socket.mu.Lock()
		defer r.socket.mu.Unlock()
		return len(r.socket.waiting.list) == 1
	})
	next := r.successor(rigOptions{pool: checking}, o.addr)
	r.handOver(next)
	r.commit(next)
	next.pool.Balancer.Report(next.backend("b1"), true, time.Now())
	if got := c.receive(); got != "early" {
		t.Errorf("got %q", got)
	}
	if n := r.stats().Counts().Dropped; n != 0 {
		t.Errorf("%d datagrams were dropped", n)
	}
}

// A connection of QUIC is known by its IDs in the next process.
func TestHandOverOfIDs(t *testing.T) {
	o := newOrigin(t, "", echo)
	quic := func(c *config.Pool) { c.Protocol = config.QUIC }
	r := newRig(t, rigOptions{pool: quic}, o.addr)
	c := newClient(t, "", r.addr())
	c.ask("\x40 not known as yet")
	s := r.clients.table.all()[0]
	id, last := newID([]byte("12345678")), newID([]byte("abcdefgh"))
	r.pool.ids.add(s, id)
	r.pool.ids.add(s, last)
	s.quic.last.Store(&last)
	s.quic.idLen.Store(8)
	s.release()
	next := r.successor(rigOptions{pool: quic}, o.addr)
	if refused := r.handOver(next); refused != 0 {
		t.Fatalf("%d sessions were not taken", refused)
	}
	r.commit(next)
	got := next.clients.table.all()[0]
	defer got.release()
	for _, id := range []quicID{id, last} {
		found := next.pool.ids.get(id.bytes())
		if found != got {
			t.Fatalf("ID %q is not known", id.bytes())
		}
		found.release()
	}
	if !got.owns(append([]byte{0x40}, "abcdefgh and more"...)) || got.quic.idLen.Load() != 8 {
		t.Error("the ID that the client has used last is not known")
	}
	if wire.Now()-got.started <= 0 {
		t.Error("the session begins in the future")
	}
}
