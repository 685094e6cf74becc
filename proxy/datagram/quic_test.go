package datagram

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"weir/config"
	"weir/internal/sniff"
	"weir/telemetry"
)

// TestQUIC: connections go through, of both versions, with and without Retry, each to one server.
func TestQUIC(t *testing.T) {
	for _, version := range []quic.Version{quic.Version1, quic.Version2} {
		for _, retry := range []bool{false, true} {
			t.Run(fmt.Sprint(version, " retry ", retry), func(t *testing.T) {
				q := newQUICRig(t, 3, quicOptions{retry: retry, versions: []quic.Version{version}}, rigOptions{})
				conn := q.dial(t, transport(t), q.addr(), version)
				name := ask(t, conn, 300_000)
				for range 3 {
					if got := ask(t, conn, 1000); got != name {
						t.Errorf("%s, then %s", name, got)
					}
				}
				if n := q.stats().Counts().Dropped; n != 0 {
					t.Errorf("%d datagrams were dropped", n)
				}
			})
		}
	}
}

// TestVersionNegotiation: a version that no server knows is answered by one, and nothing is learnt from it.
func TestVersionNegotiation(t *testing.T) {
	q := newQUICRig(t, 2, quicOptions{versions: []quic.Version{quic.Version1}}, rigOptions{})
	// The client offers version 2 first, is told of version 1, and is served with that.
	conn := q.dial(t, transport(t), q.addr(), quic.Version2, quic.Version1)
	ask(t, conn, 1000)
	if v := conn.ConnectionState().Version; v != quic.Version1 {
		t.Errorf("version %v", v)
	}
}

// TestNATPort: a client whose port is changed on the way keeps its server, and its address towards it; the
// server notices nothing.
func TestNATPort(t *testing.T) {
	for _, ids := range []bool{false, true} {
		t.Run(fmt.Sprint("server IDs ", ids), func(t *testing.T) {
			q := newQUICRig(t, 3, quicOptions{ids: ids}, rigOptions{pool: func(p *config.Pool) {
				p.Persistence = nil // so that nothing but the ID can lead back
				p.Algorithm = config.FiveTupleHash
			}})
			n := newNAT(t, q.addr())
			conn := q.dial(t, transport(t), n.inside.LocalAddr().(*net.UDPAddr).AddrPort())
			name := ask(t, conn, 10_000)
			peers := q.server(name).peers()
			for range 8 {
				if got := ask(t, conn, 100_000, func() { n.rebind("127.0.0.1") }); got != name {
					t.Fatalf("%s, then %s", name, got)
				}
			}
			if got := q.server(name).peers(); !slices.Equal(got, peers) {
				t.Errorf("the server has seen %v, then %v", peers, got)
			}
			if got := q.clients.Count(); got != 1 {
				t.Errorf("%d sessions", got)
			}
		})
	}
}

// TestNATAddress: a client that comes back from another address keeps its server, which sees that and goes
// on.
func TestNATAddress(t *testing.T) {
	q := newQUICRig(t, 3, quicOptions{}, rigOptions{pool: func(p *config.Pool) {
		p.Persistence = nil
		p.Algorithm = config.FiveTupleHash
	}})
	n := newNAT(t, q.addr())
	conn := q.dial(t, transport(t), n.inside.LocalAddr().(*net.UDPAddr).AddrPort())
	name := ask(t, conn, 10_000)
	for i := range 4 {
		if got := ask(t, conn, 50_000, func() { n.rebind(fmt.Sprintf("127.0.0.%d", 20+i)) }); got != name {
			t.Fatalf("%s, then %s", name, got)
		}
	}
	for _, s := range q.servers {
		if want := map[bool]int{true: 1}[s.name == name]; s.accepted() != want {
			t.Errorf("%s has %d connections, want %d", s.name, s.accepted(), want)
		}
	}
}

// TestMigration: a client that goes over to another socket of its own accord uses an ID that nobody has
// seen; it comes to its server where that keeps a server ID in its IDs.
func TestMigration(t *testing.T) {
	q := newQUICRig(t, 4, quicOptions{ids: true}, rigOptions{pool: func(p *config.Pool) {
		p.Persistence = nil
		p.Algorithm = config.FiveTupleHash
	}})
	// Two connections to each server make its server ID known.
	for known := map[string]int{}; len(known) < 4 || slices.Min(values(known)) < 2; {
		conn := q.dial(t, transport(t), q.addr())
		known[ask(t, conn, 100)]++
	}
	for i := range 8 {
		conn := q.dial(t, transport(t), q.addr())
		name := ask(t, conn, 1000)
		path, err := conn.AddPath(transport(t))
		must(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		must(t, path.Probe(ctx))
		cancel()
		must(t, path.Switch())
		if got := ask(t, conn, 100_000); got != name {
			t.Errorf("migration %d: %s, then %s", i, name, got)
		}
	}
}

func values(m map[string]int) (list []int) {
	for _, v := range m {
		list = append(list, v)
	}
	return list
}

// TestSharedSocket: several connections of one client socket do not disturb each other.
func TestSharedSocket(t *testing.T) {
	q := newQUICRig(t, 3, quicOptions{}, rigOptions{})
	tr := transport(t)
	var conns []*quic.Conn
	for range 5 {
		conns = append(conns, q.dial(t, tr, q.addr()))
	}
	for round := range 3 {
		for i, c := range conns {
			ask(t, c, 20_000)
			if t.Failed() {
				t.Fatalf("round %d, connection %d", round, i)
			}
		}
	}
}

// TestQUICAlgorithm: quic_cid spreads connections by the slice of their first ID.
func TestQUICAlgorithm(t *testing.T) {
	q := newQUICRig(t, 3, quicOptions{}, rigOptions{pool: func(p *config.Pool) {
		p.Persistence = nil
		p.Algorithm = config.QUICCID
	}})
	got := map[string]int{}
	for range 30 {
		got[ask(t, q.dial(t, transport(t), q.addr()), 100)]++
	}
	if len(got) < 2 { // all 30 on one of three: 1 in 10^14
		t.Errorf("got %v", got)
	}
}

// TestNotQUIC: what is no packet of QUIC starts no session.
func TestNotQUIC(t *testing.T) {
	q := newQUICRig(t, 1, quicOptions{}, rigOptions{})
	c := newClient(t, "", q.addr())
	for _, p := range []string{"", "\xc0", "\xc0\x00\x00\x00\x01\x08abc"} {
		before := q.stats().Drops(telemetry.DropMalformed)
		c.send(p)
		eventually(t, "it is dropped", func() bool { return q.stats().Drops(telemetry.DropMalformed) == before+1 })
	}
	if n := q.clients.Count(); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

// TestQUICBackendDown: connections of a backend that is down are not kept by their IDs.
func TestQUICBackendDown(t *testing.T) {
	q := newQUICRig(t, 2, quicOptions{}, rigOptions{})
	name := ask(t, q.dial(t, transport(t), q.addr()), 100)
	q.pool.Balancer.Report(q.backend(name), false, time.Now())
	for range 4 {
		if got := ask(t, q.dial(t, transport(t), q.addr()), 100); got == name {
			t.Errorf("%s is down and serves", got)
		}
	}
}

// TestGarbage sends what looks like QUIC, more or less, to backends that send it back: nothing breaks, and
// nothing is left of it.
func TestGarbage(t *testing.T) {
	var addrs []netip.AddrPort
	for range 3 {
		addrs = append(addrs, newOrigin(t, "", echo).addr)
	}
	r := newRig(t, rigOptions{pool: func(p *config.Pool) {
		p.Protocol, p.Algorithm = config.QUIC, config.QUICCID
		p.Persistence = &config.Persistence{Type: config.PersistSourceIP, Timeout: time.Minute}
	}}, addrs...)
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	clients := []*client{newClient(t, "", r.addr()), newClient(t, "127.0.0.2:0", r.addr()), newClient(t, "", r.addr())}
	firsts := []byte{0x00, 0x40, 0x80, 0xc0, 0xd0, 0xe0, 0xf0}
	versions := []uint32{0, sniff.QUICv1, sniff.QUICv2, 0x1a2a3a4a}
	for range 5000 {
		b := []byte{firsts[random.IntN(len(firsts))] | byte(random.IntN(16))}
		if b[0]&0x80 != 0 {
			b = binary.BigEndian.AppendUint32(b, versions[random.IntN(len(versions))])
			for range 2 { // few IDs, so that they meet
				id := bytes.Repeat([]byte{byte(random.IntN(4))}, random.IntN(22))
				b = append(append(b, byte(len(id))), id...)
			}
			b = append(b, 0, 0x40, byte(random.IntN(64)))
		} else {
			b = append(b, bytes.Repeat([]byte{byte(random.IntN(4))}, random.IntN(22))...)
		}
		for range random.IntN(60) {
			b = append(b, byte(random.IntN(256)))
		}
		c := clients[random.IntN(len(clients))]
		c.send(string(b[:1+random.IntN(len(b))]))
	}
	eventually(t, "everything is looked at", func() bool {
		c := r.stats().Counts()
		return c.Received+c.Dropped >= 5000
	})
	if n := r.clients.Count(); n > 3 {
		t.Errorf("%d sessions of three clients", n)
	}
}
