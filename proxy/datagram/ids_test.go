package datagram

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"weir/balancer"
	"weir/config"
	"weir/internal/sniff"
)

// shortOf is the beginning of a short header with an ID.
func shortOf(id string) ([]byte, sniff.Packet) {
	b := append([]byte{0x40}, id+"payload"...)
	return b, sniff.Packet{Type: sniff.Short}
}

func TestIDBook(t *testing.T) {
	var book idBook
	p1, p2 := &peer{}, &peer{}
	newSession := func(p *peer) *session {
		s := &session{peer: p}
		s.refs.Store(1)
		return s
	}
	find := func(id string) *session {
		b, first := shortOf(id)
		s := book.find(b, &first)
		if s != nil {
			s.refs.Add(-1)
		}
		return s
	}
	a, b, c := newSession(p1), newSession(p1), newSession(p2)
	book.add(a, newID([]byte("12345678")))
	book.add(a, newID([]byte("abcd")))
	if find("12345678") != a || find("abcd") != a || find("12345670") != nil {
		t.Error("an ID is not found, or one that there is not")
	}
	book.add(b, newID([]byte("abcd")))
	if find("abcd") != b {
		t.Error("an ID has not moved to another session of its backend")
	}
	book.add(c, newID([]byte("abcd")))
	if s := find("abcd"); s != nil {
		t.Error("an ID that two backends claim is somebody's")
	}
	for i := range 20 {
		book.add(c, newID(fmt.Appendf(nil, "c%07d", i)))
	}
	if n := len(book.sessions); n != 1+idsPerSession {
		t.Errorf("%d IDs are known", n)
	}
	if find("c0000019") != c || find("c0000015") != nil {
		t.Error("not the newest IDs are known")
	}
	// One whose ID is short does not get what begins like it.
	book.add(a, newID([]byte("c")))
	if find("c0000019") != c || find("c0000000") != a {
		t.Error("not the longest ID counts")
	}
	c.fate.Store(endExpired)
	book.mu.Lock()
	delete(book.sessions, newID([]byte("c")))
	book.mu.Unlock()
	if find("c0000019") != nil {
		t.Error("a session that has ended is found")
	}
	book.add(c, newID([]byte("late1234")))
	if _, there := book.sessions[newID([]byte("late1234"))]; there {
		t.Error("a session that has ended gets an ID")
	}
}

// backends makes some of a pool.
func backends(n int) (pool *balancer.Pool, list []*balancer.Backend) {
	c := &config.Pool{Name: "p", Algorithm: config.WeightedRoundRobin}
	for i := range n {
		c.Backends = append(c.Backends, &config.Backend{Name: fmt.Sprint("b", i), Address: netip.MustParseAddrPort("127.0.0.1:1"), Weight: 1, State: config.Ready})
	}
	pool = balancer.NewPool(c, balancer.Options{}, time.Now())
	for _, m := range pool.Snapshot().Members() {
		list = append(list, m.Backend)
	}
	return pool, list
}

func TestServerBook(t *testing.T) {
	var book serverBook
	pool, b := backends(2)
	one, two, three := newID([]byte("one")), newID([]byte("two")), newID([]byte("three"))
	x, y := newID([]byte("X")), newID([]byte("Y"))
	book.learn(b[0], x, one)
	book.learn(b[0], x, one)
	if book.find(x) != nil {
		t.Error("one ID is enough")
	}
	book.learn(b[0], x, two)
	if book.find(x) != b[0] || book.find(y) != nil {
		t.Error("two IDs are not enough")
	}
	book.learn(b[1], x, three)
	if book.find(x) != nil {
		t.Error("a server ID that two backends have is somebody's")
	}
	// A backend with random IDs fills its part of the book, and drives nobody out.
	book.learn(b[1], y, one)
	book.learn(b[1], y, two)
	for i := range 1000 {
		id := newID(binary.BigEndian.AppendUint32(nil, uint32(i)))
		book.learn(b[0], id, id)
	}
	if n := len(book.claims); n > 2*claimsPerBackend {
		t.Errorf("%d server IDs are known", n)
	}
	if book.find(y) != b[1] {
		t.Error("a server ID was driven out")
	}
	for i := range 1000 { // nor what it has shown twice itself
		id := newID(binary.BigEndian.AppendUint32(nil, uint32(i)))
		book.learn(b[1], id, id)
	}
	if book.find(y) != b[1] {
		t.Error("a server ID was driven out by those of its backend")
	}
	// What takes the place of a removed backend may have its server ID, while that still speaks.
	z := newID([]byte("Z"))
	book.learn(b[0], z, one)
	book.learn(b[0], z, two)
	pool.Apply(&config.Pool{Name: "p", Algorithm: config.WeightedRoundRobin, Backends: []*config.Backend{
		{Name: "b1", Address: netip.MustParseAddrPort("127.0.0.1:1"), Weight: 1, State: config.Ready},
	}}, time.Now())
	book.learn(b[1], z, one)
	book.learn(b[0], z, three)
	book.learn(b[1], z, two)
	if book.find(z) != b[1] {
		t.Error("a removed backend keeps its server ID from others")
	}
	pool.Apply(&config.Pool{Name: "p", Algorithm: config.WeightedRoundRobin}, time.Now())
	if book.find(y) != nil {
		t.Error("the server ID of a removed backend is found")
	}
	book.forget(b)
	if len(book.claims) != 0 || len(book.rings) != 0 {
		t.Errorf("%d server IDs of %d backends are left", len(book.claims), len(book.rings))
	}
}

func TestKeyOf(t *testing.T) {
	if keyOf([]byte{1, 2, 3}) != 0x010203 || keyOf(nil) != 0 || keyOf([]byte("12345678")) != binary.BigEndian.Uint64([]byte("12345678")) {
		t.Error("a short slice is not itself")
	}
	if keyOf([]byte("123456789")) == keyOf([]byte("123456780")) {
		t.Error("long slices are cut")
	}
}
