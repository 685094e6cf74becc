package datagram

import (
	"bytes"
	"math/bits"
	"sync"
	"sync/atomic"

	"weir/balancer"
	"weir/internal/sniff"
)

// quicID is a connection ID.
type quicID struct {
	n uint8
	b [sniff.MaxQUICID]byte
}

func newID(b []byte) (id quicID) {
	id.n = uint8(copy(id.b[:], b))
	return id
}

// begins reports whether b begins with the ID.
func (id *quicID) begins(b []byte) bool { return bytes.HasPrefix(b, id.b[:id.n]) }

// idsPerSession is how many IDs of a connection are known at a time: those of the handshake, and the
// newest ones that its client has used. It bounds the book by the number of sessions.
const idsPerSession = 4

// quicState is what a session knows of its connection.
type quicState struct {
	last   atomic.Pointer[quicID] // that the client has used
	former atomic.Pointer[quicID] // the one before: several connections of a client may share a socket
	idLen  atomic.Int32           // of the IDs of the backend; 0: not known, or they are empty
	learnt quicID                 // from the backend, last; the loop's

	ids  [idsPerSession]quicID // in the book, whose mu guards them; n 0: none
	next int                   // that is replaced next
}

// idBook finds the session of a connection by its IDs.
type idBook struct {
	lengths atomic.Uint32 // that IDs have had, as bits: a short header does not say how long its ID is

	mu       sync.RWMutex
	sessions map[quicID]*session
}

// add makes id one of s. An ID that another session has moves if that has the same backend; if two
// backends claim it, nobody has it.
func (b *idBook) add(s *session, id quicID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.fate.Load() != nil {
		return // forget has been here, or is going to find nothing
	}
	if owner := b.sessions[id]; owner != nil {
		if owner == s {
			return
		}
		delete(b.sessions, id)
		if owner.peer != s.peer {
			return
		}
	}
	q := &s.quic
	if old := q.ids[q.next]; old.n != 0 && b.sessions[old] == s {
		delete(b.sessions, old)
	}
	q.ids[q.next] = id
	q.next = (q.next + 1) % idsPerSession
	if b.sessions == nil {
		b.sessions = map[quicID]*session{}
	}
	b.sessions[id] = s
	b.lengths.Store(b.lengths.Load() | 1<<id.n)
}

// forgetIDs takes the IDs of a session that has ended out of the book.
func (p *Pool) forgetIDs(s *session) {
	if !s.settings.quic {
		return
	}
	b := &p.ids
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range s.quic.ids {
		if id.n != 0 && b.sessions[id] == s {
			delete(b.sessions, id)
		}
	}
}

// find returns the session that a datagram belongs to by its ID, held; nil if that is not known. Of a short
// header the longest ID counts that is known: what begins like a short ID of somebody is more likely a
// long one.
func (b *idBook) find(datagram []byte, first *sniff.Packet) *session {
	if first.Type != sniff.Short {
		return b.get(first.DCID)
	}
	for lengths := b.lengths.Load(); lengths != 0; {
		n := bits.Len32(lengths) - 1
		lengths &^= 1 << n
		if n < len(datagram) {
			if s := b.get(datagram[1 : 1+n]); s != nil {
				return s
			}
		}
	}
	return nil
}

func (b *idBook) get(id []byte) *session {
	if len(id) == 0 || len(id) > sniff.MaxQUICID {
		return nil
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	s := b.sessions[newID(id)]
	if s == nil || s.fate.Load() != nil {
		return nil
	}
	s.hold() // it leaves the book before it lets go of its last hold
	return s
}

// serverBook finds the backend that issues connection IDs with a certain slice, its server ID. A slice
// is believed when two IDs of a backend have had it, and none of another one. Backends whose IDs are
// random fill the book up to its bound, and are not believed.
type serverBook struct {
	mu     sync.Mutex
	claims map[quicID]*claim
	rings  map[*balancer.Backend]*ring
}

// claim is what is known of one server ID.
type claim struct {
	backend   *balancer.Backend
	id        quicID // that it was seen in first
	proven    bool
	contested bool
}

// ring bounds the claims of a backend.
type ring struct {
	ids  [claimsPerBackend]quicID
	next int
}

const claimsPerBackend = 64

// learn notes that a backend has issued id, whose slice is server. One that was removed has no say: the
// backend in its place may have its server ID.
func (b *serverBook) learn(backend *balancer.Backend, server, id quicID) {
	if backend.Removed() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.claims[server]
	switch {
	case c == nil:
		b.add(server, &claim{backend: backend, id: id})
	case c.backend == backend:
		c.proven = c.proven || c.id != id
	case c.backend.Removed():
		b.add(server, &claim{backend: backend, id: id})
	default:
		c.contested = true
	}
}

// add enters a claim in the place of the oldest one of its backend that is not proven, or the next if all
// are.
func (b *serverBook) add(server quicID, c *claim) {
	if b.claims == nil {
		b.claims, b.rings = map[quicID]*claim{}, map[*balancer.Backend]*ring{}
	}
	r := b.rings[c.backend]
	if r == nil {
		r = &ring{}
		b.rings[c.backend] = r
	}
	for range r.ids {
		if old := b.claims[r.ids[r.next]]; old == nil || old.backend != c.backend || !old.proven || old.contested {
			break
		}
		r.next = (r.next + 1) % len(r.ids)
	}
	if old := b.claims[r.ids[r.next]]; old != nil && old.backend == c.backend {
		delete(b.claims, r.ids[r.next])
	}
	r.ids[r.next] = server
	r.next = (r.next + 1) % len(r.ids)
	b.claims[server] = c
}

// find returns the backend that issues IDs with a slice, nil if that is not known for sure.
func (b *serverBook) find(server quicID) *balancer.Backend {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.claims[server]
	if c == nil || !c.proven || c.contested || c.backend.Removed() {
		return nil
	}
	return c.backend
}

// forget drops what is known of backends that were removed.
func (b *serverBook) forget(removed []*balancer.Backend) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, backend := range removed {
		r := b.rings[backend]
		if r == nil {
			continue
		}
		for _, server := range r.ids {
			if c := b.claims[server]; c != nil && c.backend == backend {
				delete(b.claims, server)
			}
		}
		delete(b.rings, backend)
	}
}
