package exchange

import (
	"bytes"
	"net/netip"

	"weir/config"
	"weir/proxy/http1"
	"weir/proxy/message"
	"weir/proxy/route"
)

// buildRequest writes the head that the backend gets into work.out.
func (c *client) buildRequest() {
	w := c.work
	req, x := &w.req, &w.x
	if x.upload == nil || req.Minor == 0 {
		req.DropAll(message.Expect) // nothing is waited for: the body is here, or the client cannot wait
	}
	trusted := len(x.site.trust) > 0 && x.site.trusts(c.src.Addr())
	if trusted {
		c.appendTrusted()
	} else {
		req.DropForwarded()
		w.out = c.appendHead(w.out[:0])
		w.out = c.appendForwarded(w.out, x.site.mode)
	}
	w.out = append(w.out, c.certFields...)
	w.out = w.appendRequestID(w.out)
	if len(req.Authority) == 0 && !x.sets("host") {
		// An HTTP/1.0 client may leave Host out, but HTTP/1.1 needs it: what it connected to.
		w.out = append(w.out, "Host: "...)
		w.out = c.conn.Local().AppendTo(w.out)
		w.out = append(w.out, "\r\n"...)
	}
	w.out = append(w.out, "\r\n"...)
}

// appendHead writes what is forwarded of the head as it came.
func (c *client) appendHead(dst []byte) []byte {
	req := &c.work.req
	if a := c.work.x.action; a != nil {
		a.RequestHeaders.Drop(req) // first: what it removes must not come back in another form
	}
	cookies := c.work.cookies[:0]
	if c.work.x.member.cookie {
		cookies = c.work.x.settings.sticky.appendCookies(cookies, req)
		req.DropAll(message.Cookie)
		c.work.cookies = cookies
	}
	if a := c.work.x.action; a != nil {
		dst = c.appendChanged(dst, a)
	} else {
		dst = http1.AppendRequest(dst, req)
	}
	dst = append(dst, cookies...)
	if c.work.x.upgrade {
		dst = appendUpgrade(dst, req.Get(message.Upgrade))
	}
	return dst
}

// appendChanged writes the head with the changes of a route. The target in the request itself stays
// what the client asked for.
func (c *client) appendChanged(dst []byte, a *route.Action) []byte {
	w := c.work
	asked := w.req.Target
	if a.ChangesTarget() {
		w.target = a.Target(w.target[:0], &w.req)
		w.req.Target = w.target
	}
	dst = http1.AppendRequest(dst, &w.req)
	w.req.Target = asked
	return a.RequestHeaders.Append(dst)
}

// sets reports whether the route sets a field of the request, given in lower case: then we do not.
func (x *exchange) sets(lower string) bool {
	return x.action != nil && x.action.RequestHeaders.Sets(lower)
}

// appendForwarded writes the forwarding fields of a peer whose own are not believed.
func (c *client) appendForwarded(dst []byte, mode config.ForwardedMode) []byte {
	if mode != config.ForwardedRemove && !c.work.x.sets("x-forwarded-for") {
		if c.forwardedFor == nil {
			c.forwardedFor = append(c.src.Addr().AppendTo([]byte("X-Forwarded-For: ")), "\r\n"...)
		}
		dst = append(dst, c.forwardedFor...)
	}
	dst = c.appendForwardedProto(dst)
	return c.appendForwardedHost(dst)
}

func (c *client) appendForwardedProto(dst []byte) []byte {
	if c.work.x.sets("x-forwarded-proto") {
		return dst
	}
	if c.stream.tls != nil {
		return append(dst, "X-Forwarded-Proto: https\r\n"...)
	}
	return append(dst, "X-Forwarded-Proto: http\r\n"...)
}

func (c *client) appendForwardedHost(dst []byte) []byte {
	authority := c.work.req.Authority
	if len(authority) == 0 || c.work.x.sets("x-forwarded-host") {
		return dst
	}
	return http1.AppendField(dst, "X-Forwarded-Host", authority)
}

// appendTrusted writes the head of a request from a trusted proxy: what it says of the protocol and
// the host stays, and X-Forwarded-For follows the mode.
func (c *client) appendTrusted() {
	w := c.work
	req := &w.req
	mode := w.x.site.mode
	keepForwarded(req)
	dropCertFields(req)
	if mode != config.ForwardedPreserve {
		req.DropAll(message.XForwardedFor)
	}
	w.out = c.appendHead(w.out[:0])
	if (mode == config.ForwardedAppend || mode == config.ForwardedReplace) && !w.x.sets("x-forwarded-for") {
		w.out = append(w.out, "X-Forwarded-For: "...)
		if mode == config.ForwardedAppend {
			for i := range req.Fields {
				f := &req.Fields[i]
				if f.Name == message.XForwardedFor && f.ValueEnd > f.Value {
					w.out = append(w.out, req.Value(f)...)
					w.out = append(w.out, ", "...)
				}
			}
		}
		w.out = c.src.Addr().AppendTo(w.out)
		w.out = append(w.out, "\r\n"...)
	}
	if req.Lookup("x-forwarded-proto") == nil {
		w.out = c.appendForwardedProto(w.out)
	}
	if req.Lookup("x-forwarded-host") == nil {
		w.out = c.appendForwardedHost(w.out)
	}
}

// keepForwarded keeps the forwarding fields although Connection may name them: a client behind the
// proxy could have done that to hide.
func keepForwarded(req *message.Head) {
	if !req.Has(message.Connection) {
		return
	}
	for i := range req.Fields {
		switch f := &req.Fields[i]; f.Name {
		case message.XForwardedFor, message.XForwardedOther, message.Forwarded, message.XRealIP:
			f.Drop = false
		}
	}
}

func lastComma(b []byte) int { return bytes.LastIndexByte(b, ',') }

// parseForwardedAddr reads one entry of X-Forwarded-For: an address, or, as some proxies write it,
// one with a port.
func parseForwardedAddr(b []byte) (netip.Addr, bool) {
	s := string(bytes.Trim(b, " \t"))
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}

// clientOf is the client address that a trusted peer reports: the last entry of X-Forwarded-For
// that is not itself a trusted proxy.
func clientOf(h *message.Head, s *Site) (netip.Addr, bool) {
	for i := len(h.Fields) - 1; i >= 0; i-- {
		f := &h.Fields[i]
		if f.Name != message.XForwardedFor {
			continue
		}
		v := h.Value(f)
		for len(v) > 0 {
			entry := v
			if j := lastComma(v); j >= 0 {
				entry, v = v[j+1:], v[:j]
			} else {
				v = nil
			}
			a, ok := parseForwardedAddr(entry)
			if !ok {
				return netip.Addr{}, false
			}
			if !s.trusts(a) {
				return a, true
			}
		}
	}
	return netip.Addr{}, false
}
