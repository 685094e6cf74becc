package datagram

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"weir/internal/sniff"
	"weir/telemetry"
)

// carryQUIC takes datagrams of a client to the sessions of their connections.
//
// The first packets of a connection go where the client's session is, or to a new one. From then on the
// connection is known by the IDs that its backend has given it (learn), and by those that its client
// uses (adopt), which the backend has given it where nobody can see. So a client whose port was changed
// on the way keeps its session. One that comes from another address gets a new session with the same
// backend, and so a new address towards it: only the two ends can tell whether that is their client
// (RFC 9000, section 9), and they do when they see it. An ID that nobody knows may still name its backend
// by its server ID.
func (k *Socket) carryQUIC(a *arrival, payload []byte) {
	if len(payload) == 0 {
		a.clients.drop(a.site, telemetry.DropMalformed, 1, k.now)
		return
	}
	size := a.from.Segment
	if size == 0 {
		size = len(payload)
	}
	begin := 0 // of what goes to the run together
	for at := 0; at < len(payload); at += size {
		datagram := payload[at:min(at+size, len(payload))]
		if k.run != nil && a.key == k.arrival.key && k.run.owns(datagram) {
			continue
		}
		if at > begin {
			k.add(payload[begin:at], a.from.Segment)
		}
		begin = at
		k.finishRun()
		a.payload = datagram
		s := k.connection(a, datagram)
		if s == nil {
			begin = at + size
			continue
		}
		k.begin(a, s)
	}
	if k.run != nil && begin < len(payload) {
		k.add(payload[begin:], a.from.Segment)
	}
}

// owns reports whether a datagram is of a connection that the session has carried lately, by its ID.
func (s *session) owns(datagram []byte) bool {
	if len(datagram) == 0 || datagram[0]&0x80 != 0 {
		return false
	}
	id := s.quic.last.Load()
	if id == nil {
		return false
	}
	if id.begins(datagram[1:]) {
		return true
	}
	id = s.quic.former.Load()
	return id != nil && id.begins(datagram[1:])
}

// connection returns the session of a datagram, held, or makes one; nil if there is none, which is
// counted then.
func (k *Socket) connection(a *arrival, datagram []byte) *session {
	t := a.clients.table
	a.hash = t.hash(&a.key)
	s := t.find(&a.key, a.hash, k.now)
	if s != nil && s.owns(datagram) {
		return s
	}
	first, err := sniff.ParseQUIC(datagram, 0)
	if err != nil {
		if s == nil {
			a.clients.drop(a.site, telemetry.DropMalformed, 1, k.now)
		}
		return s // it may be of a version that is not known here
	}
	p := a.site.target.pool
	known := p.ids.find(datagram, &first)
	switch {
	case known == nil && s != nil:
		s.adopt(datagram, &first)
		return s
	case known != nil && known == s:
		s.release()
		known.adopt(datagram, &first)
		return known
	case known != nil:
		return k.returned(a, s, known, datagram, &first)
	}
	p.identify(a, datagram, &first)
	return k.open(a, 1)
}

// returned is for a client of a known session that comes back from another address, where other, if it
// is not nil, is the session of. Both are held; the result is.
func (k *Socket) returned(a *arrival, other, known *session, datagram []byte, first *sniff.Packet) *session {
	defer known.release()
	if known.clients.Load() == a.clients && known.source() == a.from.Client().Addr() {
		if other != nil { // its place is taken over
			other.end(endReplaced)
			other.release()
		}
		if a.clients.table.move(known, a, k.now) {
			known.reply.Store(&way{k, k.listener.Peer(&a.from)})
			known.adopt(datagram, first)
			known.hold()
			return known
		}
	} else if other != nil {
		other.end(endReplaced)
		other.release()
	}
	a.want = known.lease.Backend()
	s := k.open(a, 1)
	if s != nil && s.peer == known.peer {
		s.quic.idLen.Store(known.quic.idLen.Load())
		s.adopt(datagram, first)
	}
	return s
}

// adopt notes the ID by which a client speaks of its connection.
func (s *session) adopt(datagram []byte, first *sniff.Packet) {
	n := int(s.quic.idLen.Load())
	if first.Type != sniff.Short || n == 0 || len(datagram) <= n {
		return
	}
	id := newID(datagram[1 : 1+n])
	s.quic.former.Store(s.quic.last.Swap(&id))
	s.pool.ids.add(s, id)
}

// identify finds what the connection ID of a datagram that starts a session says about its backend.
func (p *Pool) identify(a *arrival, datagram []byte, first *sniff.Packet) {
	set := p.settings.Load()
	id := first.DCID
	if first.Type == sniff.Short { // as long as it may be: the slice is at the beginning
		id = datagram[1:min(1+sniff.MaxQUICID, len(datagram))]
	}
	slice, ok := sniff.ServerID(id, set.cidOffset, set.cidLength)
	if !ok {
		slice = id
	}
	a.cid = keyOf(slice)
	if ok && first.Type != sniff.Initial && first.Type != sniff.ZeroRTT { // whose IDs clients have made up
		a.want = p.servers.find(newID(slice))
	}
}

// keyOf is what is hashed of a slice: itself as far as it fits.
func keyOf(slice []byte) uint64 {
	if len(slice) > 8 {
		return xxhash.Sum64(slice)
	}
	var b [8]byte
	copy(b[8-len(slice):], slice)
	return binary.BigEndian.Uint64(b[:])
}

// learn reads the IDs that a backend gives its connections in long headers. Version Negotiation has none
// of the backend's: it turns round what the client has sent.
func (s *session) learn(payload []byte, segment int) {
	if segment == 0 {
		segment = max(len(payload), 1)
	}
	for at := 0; at < len(payload); at += segment {
		if payload[at]&0x80 != 0 {
			s.learnFrom(payload[at:min(at+segment, len(payload))])
		}
	}
}

func (s *session) learnFrom(rest []byte) {
	for len(rest) > 0 {
		p, err := sniff.ParseQUIC(rest, 0)
		if err != nil {
			return
		}
		rest = rest[p.Size:]
		switch p.Type {
		case sniff.Initial, sniff.Handshake, sniff.Retry:
		default:
			continue
		}
		if len(p.SCID) == 0 || len(p.SCID) == int(s.quic.learnt.n) && s.quic.learnt.begins(p.SCID) {
			continue
		}
		id := newID(p.SCID)
		s.quic.learnt = id
		s.quic.idLen.Store(int32(id.n))
		s.pool.ids.add(s, id)
		if slice, ok := sniff.ServerID(p.SCID, s.settings.cidOffset, s.settings.cidLength); ok {
			s.pool.servers.learn(s.lease.Backend(), newID(slice), id)
		}
	}
}
