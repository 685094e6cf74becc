package datagram

import (
	"fmt"
	"net/netip"

	"weir/balancer"
	"weir/config"
	"weir/internal/sniff"
	"weir/proxy/wire"
)

// ConnectionKey is what a pool hashes of a connection ID, where it looks at that.
func ConnectionKey(h config.Hash, id []byte) uint64 {
	if len(id) == 0 {
		return 0
	}
	slice, ok := sniff.ServerID(id, h.CIDOffset, h.CIDLength)
	if !ok {
		slice = id
	}
	return keyOf(slice)
}

// Session is the backend that a datagram of a client belongs to, nil if there is none, and why: by the ID
// of its connection, if that is given, or because the client had it. That is no use of a session.
func (p *Pool) Session(client netip.Addr, id []byte) (b *balancer.Backend, why string) {
	set := p.settings.Load()
	if set.quic && len(id) > 0 {
		if s := p.ids.get(id); s != nil {
			b = s.lease.Backend()
			s.release()
			return b, "the connection with that ID is on " + b.Name()
		}
		if slice, ok := sniff.ServerID(id, set.cidOffset, set.cidLength); ok {
			if b = p.servers.find(newID(slice)); b != nil {
				return b, fmt.Sprintf("connection IDs with %x in that place are given by %s", slice, b.Name())
			}
		}
	}
	if set.sticky == nil {
		return nil, "the pool has no persistence"
	}
	return set.sticky.Table().Explain(client, wire.Now())
}
