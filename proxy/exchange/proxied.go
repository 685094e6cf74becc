package exchange

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"weir/config"
	"weir/internal/sniff"
	"weir/proxy/wire"
	"weir/telemetry"
)

// proxied reports whether a connection of a peer begins with a PROXY header.
func (s *Site) proxied(peer netip.Addr) bool {
	peer = peer.WithZone("")
	for _, p := range s.proxies {
		if p.Contains(peer) {
			return true
		}
	}
	return false
}

// introduce takes the PROXY header off the connection: from then on the client that it names is the
// one whose connection this is, and is admitted as such. It returns false if the connection is over.
func (c *client) introduce(site *Site) bool {
	within := site.timeouts.Header
	if site.tls != nil {
		within = site.timeouts.TLS
	}
	src, dst, err := c.conn.ReadProxy(wire.After(c.idleSince, within))
	if err != nil {
		if _, bad := errors.AsType[*sniff.Error](err); bad || err == wire.ErrTimeout {
			c.set.noteRejected(site, telemetry.RejectProxyHeader)
			c.ending = endAbort
		}
		return false
	}
	if src.IsValid() {
		c.src, c.dst = src, dst
	}
	counted, why, ok := site.admit(c.src.Addr())
	if !ok {
		c.set.noteRejected(site, why)
		if why != telemetry.RejectDenied && site.tls == nil {
			_ = c.conn.Write(tooMany, time.Millisecond)
			c.ending = endLinger // a request may have come with the header
		}
		return false
	}
	c.counted = counted
	return true
}

// local is what the client connected to.
func (c *client) local() netip.AddrPort {
	if c.dst.IsValid() {
		return c.dst
	}
	return c.conn.Local()
}

// appendProxy writes the header with which a connection to a backend begins, if it does: it names the
// client of the connection, not that of the request, of which there may be others on it.
func (c *client) appendProxy(dst []byte, v config.ProxyVersion) []byte {
	switch v {
	case config.ProxyV1:
		return sniff.AppendProxyV1(dst, c.src, c.local())
	case config.ProxyV2:
		return sniff.AppendProxyV2(dst, c.src, c.local(), sniff.ProxyOptions{})
	}
	return dst
}

// maxKept is how many connections of its own a client keeps, to as many backends.
const maxKept = 8

// keep holds a connection that names this client, and that is therefore for it alone, until its next
// request or until the peer gives it up.
func (c *client) keep(b *backendConn, now int64) {
	p := b.peer
	if !p.keep(c, b, now) {
		return
	}
	if i := slices.Index(c.keptBy, p); i >= 0 {
		c.keptBy = slices.Delete(c.keptBy, i, i+1)
	} else if len(c.keptBy) == maxKept {
		c.keptBy[0].letGo(c)
		c.keptBy = slices.Delete(c.keptBy, 0, 1)
	}
	c.keptBy = append(c.keptBy, p) // the one used last is last
}

// letGo closes what the client has kept.
func (c *client) letGo() {
	for _, p := range c.keptBy {
		p.letGo(c)
	}
	c.keptBy = nil
}

// keep is put for a connection of one client. It reports whether there is something to let go.
func (p *peer) keep(c *client, b *backendConn, now int64) bool {
	b.usedAt = now
	p.mu.Lock()
	kept := !p.retired
	if kept {
		if p.kept == nil {
			p.kept = map[*client]*backendConn{}
		}
		p.kept[c] = b
	}
	p.mu.Unlock()
	if !kept {
		b.close()
	}
	return kept
}

// takeKept is take for a client that keeps its own connections.
func (p *peer) takeKept(c *client, t *transport) *backendConn {
	b := p.withdraw(c)
	if b == nil || b.transport == t && b.alive() {
		return b
	}
	b.close()
	return nil
}

// letGo closes the connection that is kept for c, if there is one.
func (p *peer) letGo(c *client) {
	if b := p.withdraw(c); b != nil {
		b.close()
	}
}

// withdraw takes the connection that is kept for c. Whoever does so owns it.
func (p *peer) withdraw(c *client) *backendConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.kept[c]
	delete(p.kept, c)
	return b
}

// withdrawOld takes the connections that are kept and that old says are to be closed. mu must be held.
func (p *peer) withdrawOld(old func(*backendConn) bool) (list []*backendConn) {
	for c, b := range p.kept {
		if old(b) {
			delete(p.kept, c)
			list = append(list, b)
		}
	}
	return list
}
