package exchange

import (
	"bytes"
	"net/netip"

	"weir/config"
	"weir/proxy/http1"
	"weir/proxy/message"
)

// told is what a trusted proxy says of a request that goes on in the fields that are written.
type told struct {
	client    netip.Addr  // of the request; not valid: it is the peer
	hop       message.Hop // in which Forwarded names the client, if that is the field that does
	chain     bool        // X-Forwarded-For is to be added to
	forwarded bool        // and so is Forwarded
}

// appendTrusted writes the head of a request from a trusted proxy: X-Forwarded-For and Forwarded follow
// the mode; what else it says of the client stays, and what it does not say is written.
func (c *client) appendTrusted(f *forwarding) {
	w := c.work
	req := &w.req
	keepForwarded(req)
	req.DropAll(message.ForwardedAlias)
	dropCertFields(req)
	t := c.hear(f)
	w.out = c.appendHead(w.out[:0])
	w.out = c.appendTold(w.out, f, f.fixed, &t)
	w.out = c.appendTold(w.out, f, f.free, &t)
}

// hear finds out what the peer says, and marks what is written afresh.
func (c *client) hear(f *forwarding) (t told) {
	req := &c.work.req
	hop, ok := f.readForwarded(req)
	if f.client == config.ForwardedElement && hop.For.Addr.IsValid() {
		t.hop = hop
	}
	if f.mode == config.ForwardedAppend {
		if a := c.work.x.client; a != c.src.Addr() {
			t.client = a
		}
		t.chain, t.forwarded = req.Has(message.XForwardedFor), ok
	}
	again := f.mode == config.ForwardedReplace || f.mode == config.ForwardedRemove
	if again || f.mode == config.ForwardedAppend && f.writes(ownFor) {
		req.DropAll(message.XForwardedFor)
	}
	if again || f.mode == config.ForwardedAppend && f.writes(ownForwarded) {
		req.DropAll(message.Forwarded)
	}
	return t
}

// appendTold writes those fields that neither the route claims nor the peer has sent.
func (c *client) appendTold(dst []byte, f *forwarding, fields []ownField, t *told) []byte {
	req, x := &c.work.req, &c.work.x
	for i, own := range fields {
		if x.claims(ownFields[own].lower) {
			continue
		}
		switch {
		case own == ownFor || own == ownForwarded:
			if f.mode == config.ForwardedAppend || f.mode == config.ForwardedReplace {
				dst = c.appendList(dst, f, own, t)
			}
		case req.Kept(ownFields[own].lower):
		case own == ownProto && t.hop.Proto != nil:
			dst = http1.AppendField(dst, "X-Forwarded-Proto", t.hop.Proto)
		case own == ownHost && len(t.hop.Host) > 0:
			dst = http1.AppendField(dst, "X-Forwarded-Host", t.hop.Host)
		case own == ownPort && (t.hop.Proto != nil || t.hop.Host != nil || req.Kept("x-forwarded-proto") || req.Kept("x-forwarded-host")):
			// The port that belongs to this protocol or host is not ours, and nobody says which it is.
		case own == ownForPort && x.client != c.src.Addr():
			if port := t.hop.For.Port; port != 0 {
				dst = appendPort(dst, "X-Forwarded-For-Port: ", port)
			}
		default:
			dst = c.appendFields(dst, f, fields[i:i+1])
		}
	}
	return dst
}

// appendList writes X-Forwarded-For or Forwarded: what the peer sent, else the client that it names in
// another field, then the peer.
func (c *client) appendList(dst []byte, f *forwarding, own ownField, t *told) []byte {
	req := &c.work.req
	name, inherits := message.XForwardedFor, t.chain
	dst = append(append(dst, ownFields[own].key...), ": "...)
	if own == ownForwarded {
		name, inherits = message.Forwarded, t.forwarded
	}
	switch {
	case inherits:
		for i := range req.Fields {
			field := &req.Fields[i]
			if field.Name != name {
				continue
			}
			if v := bytes.Trim(req.Value(field), ", \t"); len(v) > 0 { // empty elements end with us
				dst = append(append(dst, v...), ", "...)
			}
		}
	case !t.client.IsValid():
	case own == ownFor:
		dst = append(t.client.AppendTo(dst), ", "...)
	default:
		dst = append(c.appendNamed(dst, t), ", "...)
	}
	if own == ownFor {
		dst = c.src.Addr().AppendTo(dst)
	} else {
		dst = c.appendHop(dst, f)
	}
	return append(dst, "\r\n"...)
}

// appendNamed turns what other fields of the peer say of the client into an element of Forwarded (RFC
// 7239, section 7.4).
func (c *client) appendNamed(dst []byte, t *told) []byte {
	req := &c.work.req
	h := message.Hop{For: message.Node{Addr: t.client}}
	if host := req.Lookup("x-forwarded-host"); len(host) > 0 && message.ValidHost(host) {
		h.Host = host
	}
	if proto := req.Lookup("x-forwarded-proto"); message.ValidScheme(proto) {
		h.Proto = proto
	}
	return message.AppendHop(dst, &h)
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
