package exchange

import (
	"fmt"
	"net/netip"
	"time"

	"weir/balancer"
	"weir/config"
	"weir/proxy/message"
	"weir/proxy/wire"
)

// ClientOf is who counts as the client of a request that a peer of the listener sends, and whether that is
// the word of the peer, which is trusted then.
func ClientOf(l *config.Listener, peer netip.Addr, req *message.Head) (client netip.Addr, told bool) {
	f := newForwarding(l)
	if f.trusts(peer) {
		if a, ok := f.clientOf(req); ok {
			return a, true
		}
	}
	return peer, false
}

// Session is the backend of the session that a request belongs to, nil if there is none, and why. That is
// no use of the session. lost: there is none, because its backend has left the pool.
func (p *Pool) Session(req *message.Head, client netip.Addr) (b *balancer.Backend, lost bool, why string) {
	s := p.settings.Load().sticky
	if s == nil {
		return nil, false, "the pool has no persistence"
	}
	lines := cookies(req, nil)
	switch s.config.Type {
	case config.PersistSourceIP:
		b, why = s.table.Explain(client, wire.Now())
		return b, false, why
	case config.PersistAppCookie:
		if b = s.learner.Peek(wire.Now(), lines...); b != nil {
			return b, false, "a cookie of the request was set by " + b.Name()
		}
		return nil, false, "no backend has set a cookie that the request has"
	}
	tag, verdict, found := s.codec.Find(s.config.Cookie.Name, time.Now().Unix(), s.config.Timeout, lines...)
	switch {
	case !found:
		return nil, false, "the request has no cookie " + s.config.Cookie.Name
	case !verdict.OK():
		return nil, false, fmt.Sprintf("the cookie %s of the request is %s", s.config.Cookie.Name, verdict)
	}
	if b = s.index.Load().Backend(tag); b == nil {
		return nil, true, "the cookie of the request names a backend that has left the pool"
	}
	return b, false, "the cookie of the request names " + b.Name()
}
