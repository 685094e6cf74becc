package stream

import (
	"net/netip"

	"weir/balancer"
	"weir/proxy/wire"
)

// Session is the backend that a client had, nil if there is none, and why. That is no use of its session.
func (p *Pool) Session(client netip.Addr) (b *balancer.Backend, why string) {
	s := p.settings.Load().sticky
	if s == nil {
		return nil, "the pool has no persistence"
	}
	return s.Table().Explain(client, wire.Now())
}
