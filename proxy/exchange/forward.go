package exchange

import (
	"net/netip"
	"strconv"

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
	if f := &x.site.forwarding; len(f.trust) > 0 && f.trusts(c.src.Addr()) {
		c.appendTrusted(f)
	} else {
		req.DropForwarded()
		w.out = c.appendHead(w.out[:0])
		w.out = c.appendForwarded(w.out, f)
	}
	w.out = append(w.out, c.certFields...)
	if len(w.requestID) != 0 && !x.claims("x-request-id") {
		w.out = w.appendRequestID(w.out)
	}
	w.out = x.appendForwards(w.out)
	if via := x.site.forwarding.via[req.Minor]; via != "" && !x.claims("via") {
		w.out = append(w.out, via...)
	}
	if len(req.Authority) == 0 && !x.claims("host") {
		// An HTTP/1.0 client may leave Host out, but HTTP/1.1 needs it: what it connected to.
		w.out = append(w.out, "Host: "...)
		w.out = c.local().AppendTo(w.out)
		w.out = append(w.out, "\r\n"...)
	}
	w.out = append(w.out, "\r\n"...)
}

// appendHead writes what is forwarded of the head as it came.
func (c *client) appendHead(dst []byte) []byte {
	req := &c.work.req
	if a := c.work.x.action; a != nil {
		a.RequestHeaders.Drop(req) // first: what it removes must not come back in another form
		for _, name := range a.ClaimedRequest() {
			req.DropResembling(name) // nor for a backend that does not tell X_User from X-User
		}
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

// claims reports whether the route has the say about a field of the request, given in lower case:
// then we write none.
func (x *exchange) claims(lower string) bool { return x.action.ClaimsRequest(lower) }

// appendForwarded writes the forwarding fields of a peer whose own are not believed.
func (c *client) appendForwarded(dst []byte, f *forwarding) []byte {
	if c.work.x.action != nil {
		dst = c.appendFields(dst, f, f.fixed)
		return c.appendFields(dst, f, f.free)
	}
	if c.forwardedBy != f {
		c.forwarded, c.forwardedBy = c.appendFields(c.forwarded[:0], f, f.fixed), f
	}
	dst = append(dst, c.forwarded...)
	if f.hostOnly {
		return c.appendForwardedHost(dst)
	}
	return c.appendFields(dst, f, f.free)
}

// appendFields writes those fields that the route does not claim.
func (c *client) appendFields(dst []byte, f *forwarding, fields []ownField) []byte {
	for _, own := range fields {
		if c.work.x.claims(ownFields[own].lower) {
			continue
		}
		switch own {
		case ownFor:
			dst = appendAddr(dst, "X-Forwarded-For: ", c.src.Addr())
		case ownProto:
			dst = c.appendProto(dst)
		case ownPort:
			dst = appendPort(dst, "X-Forwarded-Port: ", c.local().Port())
		case ownForPort:
			dst = appendPort(dst, "X-Forwarded-For-Port: ", c.src.Port())
		case ownELBIP:
			dst = appendAddr(dst, "X-Forwarded-ELB-IP: ", c.local().Addr())
		case ownRealIP:
			dst = appendAddr(dst, "X-Real-IP: ", c.work.x.client)
		case ownHost:
			dst = c.appendForwardedHost(dst)
		case ownForwarded:
			dst = append(dst, "Forwarded: "...)
			dst = append(c.appendHop(dst, f), "\r\n"...)
		}
	}
	return dst
}

func appendAddr(dst []byte, name string, a netip.Addr) []byte {
	return append(a.AppendTo(append(dst, name...)), "\r\n"...)
}

func appendPort(dst []byte, name string, port uint16) []byte {
	return append(strconv.AppendUint(append(dst, name...), uint64(port), 10), "\r\n"...)
}

// proto is what the client spoke to us.
func (c *client) proto() string {
	if c.stream.tls != nil {
		return "https"
	}
	return "http"
}

func (c *client) appendProto(dst []byte) []byte {
	dst = append(dst, "X-Forwarded-Proto: "...)
	return append(append(dst, c.proto()...), "\r\n"...)
}

func (c *client) appendForwardedHost(dst []byte) []byte {
	authority := c.work.req.Authority
	if len(authority) == 0 {
		return dst
	}
	return http1.AppendField(dst, "X-Forwarded-Host", authority)
}

var (
	protoHTTP  = []byte("http")
	protoHTTPS = []byte("https")
)

// appendHop writes what we know of the request ourselves, as an element of Forwarded.
func (c *client) appendHop(dst []byte, f *forwarding) []byte {
	h := message.Hop{For: message.Node{Addr: c.src.Addr()}, By: f.by, Proto: protoHTTP}
	if c.stream.tls != nil {
		h.Proto = protoHTTPS
	}
	if f.here {
		h.By.Addr = c.local().Addr()
	}
	if f.ports {
		h.For.Port = c.src.Port()
		if f.here {
			h.By.Port = c.local().Port()
		}
	}
	if a := c.work.req.Authority; len(a) > 0 && message.ValidHost(a) {
		h.Host = a
	}
	return message.AppendHop(dst, &h)
}
