package datagram

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"weir/config"
)

// oneLoop is a rig whose replies are awaited by one goroutine.
func oneLoop(t *testing.T, o rigOptions, backend netip.AddrPort) *rig {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	return newRig(t, o, backend)
}

// still ends that goroutine, so that the test does its work.
func (r *rig) still() *loop {
	r.t.Helper()
	l := r.engine.loops[0]
	must(r.t, r.engine.Close())
	return l
}

// session is that of a client.
func (r *rig) session(c *client) *session {
	r.t.Helper()
	var found *session
	for _, s := range r.clients.table.all() {
		if s.client.String() == c.conn.LocalAddr().String() {
			found = s
		}
		s.release() // the table has it
	}
	if found == nil {
		r.t.Fatal("the client has no session")
	}
	return found
}

// token is how the kernel speaks of a session.
func (l *loop) token(s *session) uint64 { return uint64(l.slots[s.slot].reuse)<<32 | uint64(s.slot) }

// replies sends n datagrams to the session of a client from its backend, which are there when it returns.
func (r *rig) replies(o *origin, s *session, n int) {
	r.t.Helper()
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.port)
	for range n {
		_, err := o.conn.WriteToUDPAddrPort([]byte("reply"), to)
		must(r.t, err)
	}
}

// TestTurns: a backend that sends more to one client than can be forwarded does not keep the replies to
// others, each session has its turn, and those that have something meanwhile are asked for in between.
func TestTurns(t *testing.T) {
	o := newOrigin(t, "", echo)
	r := oneLoop(t, rigOptions{}, o.addr)
	flooded, other := newClient(t, "", r.addr()), newClient(t, "", r.addr())
	flooded.ask("first")
	other.ask("first")
	a, b := r.session(flooded), r.session(other)
	l := r.still()
	const turn = patientReads * readSlots
	r.replies(o, a, 3*turn)
	r.replies(o, b, 1)
	if !l.ready([]uint64{l.token(a)}) {
		t.Fatal("the loop says that nothing is left")
	}
	// It had one at a time until then, and has them together from then on.
	if got := a.out.datagrams.Load(); got != 2 || !a.bulk {
		t.Errorf("%d replies have had their turn, want one; together: %v", got-1, a.bulk)
	}
	// An edge while a session waits for its turn gives it no other one.
	if !l.ready([]uint64{l.token(b), l.token(a), l.token(a)}) {
		t.Error("the loop says that nothing is left")
	}
	if got := [2]int64{a.out.datagrams.Load(), b.out.datagrams.Load()}; got != [2]int64{2 + turn, 2} || b.bulk {
		t.Errorf("%d replies to both", got)
	}
	if other.receive() != "reply" {
		t.Error("another reply has come")
	}
	for l.ready(nil) {
	}
	if got := a.out.datagrams.Load(); got != 1+3*turn || len(l.held) != 0 {
		t.Errorf("%d replies in the end, %d sessions are held", got-1, len(l.held))
	}
	for range 3 * turn {
		flooded.receive()
	}
}

// TestTurnsOfErrors: what the kernel has heard of the backend is told in place of a datagram, which is not
// forgotten then.
func TestTurnsOfErrors(t *testing.T) {
	o := newOrigin(t, "", echo)
	r := oneLoop(t, rigOptions{}, o.addr)
	c := newClient(t, "", r.addr())
	c.ask("first")
	s := r.session(c)
	l := r.still()
	r.replies(o, s, 1)
	o.close()
	c.send("to nobody") // port unreachable comes back
	eventually(t, "the failure is there, or was told", func() bool {
		l.ready([]uint64{l.token(s)})
		return r.failed.Load() > 0
	})
	for l.ready(nil) {
	}
	if got := c.receive(); got != "reply" {
		t.Errorf("got %q", got)
	}
}

// TestOrderOfReplies: a session that its backend sends to all the time is not the one that makes room,
// however short the pauses are, and however long its client has been silent.
func TestOrderOfReplies(t *testing.T) {
	for _, pause := range []time.Duration{100 * time.Millisecond, 700 * time.Millisecond} {
		t.Run(pause.String(), func(t *testing.T) {
			o := newOrigin(t, "", echo)
			r := oneLoop(t, rigOptions{listen: func(l *config.Listener) { l.UDP.MaxSessions = 2 }}, o.addr)
			streaming, silent := newClient(t, "", r.addr()), newClient(t, "", r.addr())
			streaming.ask("a")
			silent.ask("b")
			s := r.session(streaming)
			l := r.still()
			for range 20 {
				r.replies(o, s, 1)
				l.now = max(l.now, s.used.Load()) + int64(pause)
				l.receiveOne(s)
				l.flush()
				streaming.receive()
			}
			if evicted := r.clients.table.shards[0].oldest; evicted == s {
				t.Error("a session with replies is the first to make room")
			}
			if s.seen < l.now-touchPause-int64(pause) {
				t.Errorf("seen %v before its last reply", time.Duration(l.now-s.seen))
			}
		})
	}
}
