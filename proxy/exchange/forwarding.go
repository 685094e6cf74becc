package exchange

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"

	"weir/config"
	"weir/proxy/message"
)

// forwarding is what a site tells backends of where a request comes from, and whose word it takes for
// it. It is immutable.
type forwarding struct {
	trust  []netip.Prefix
	mode   config.ForwardedMode
	client config.ForwardedField // of a trusted peer, that names the client
	by     message.Node          // weir in Forwarded; the zero value: not named, or by its address
	here   bool                  // weir is named by the address that the client connected to
	ports  bool                  // are written in Forwarded
	fixed  []ownField            // that are written, and the same for every request of a connection
	free   []ownField            // the others that are written

	hostOnly bool // of free, X-Forwarded-Host is written and nothing else, as usual

	via [2]string // field line about a message of HTTP/1.0 and of HTTP/1.1; empty: none
}

// ownField is a field that weir writes, in the order in which it does.
type ownField uint8

const (
	ownFor ownField = iota
	ownProto
	ownPort
	ownForPort
	ownELBIP
	ownRealIP
	ownHost // from here on a field is another one for each request
	ownForwarded
)

// ownFields names the fields.
var ownFields = [...]struct {
	key   config.ForwardedField
	lower string
}{
	ownFor:       {config.XForwardedFor, "x-forwarded-for"},
	ownProto:     {config.XForwardedProto, "x-forwarded-proto"},
	ownPort:      {config.XForwardedPort, "x-forwarded-port"},
	ownForPort:   {config.XForwardedForPort, "x-forwarded-for-port"},
	ownELBIP:     {config.XForwardedELBIP, "x-forwarded-elb-ip"},
	ownRealIP:    {config.XRealIP, "x-real-ip"},
	ownHost:      {config.XForwardedHost, "x-forwarded-host"},
	ownForwarded: {config.ForwardedElement, "forwarded"},
}

// newForwarding prepares what c says of forwarding fields.
func newForwarding(c *config.Listener) forwarding {
	f := forwarding{
		trust: c.Forwarded.Trust, mode: c.Forwarded.Mode, client: c.Forwarded.ClientFrom,
		here: c.Forwarded.By == config.ForwardedByAddress, ports: c.Forwarded.Ports,
	}
	if strings.HasPrefix(c.Forwarded.By, "_") {
		f.by.ID = []byte(c.Forwarded.By)
	}
	for i := range ownFields {
		switch own := ownField(i); {
		case !slices.Contains(c.Forwarded.Fields, ownFields[i].key):
		case own < ownHost:
			f.fixed = append(f.fixed, own)
		default:
			f.free = append(f.free, own)
		}
	}
	f.hostOnly = len(f.free) == 1 && f.free[0] == ownHost
	if c.Via != "" {
		f.via = [2]string{"Via: 1.0 " + c.Via + "\r\n", "Via: 1.1 " + c.Via + "\r\n"}
	}
	return f
}

// trusts reports whether the forwarding fields of a peer are believed.
func (f *forwarding) trusts(a netip.Addr) bool {
	a = a.WithZone("")
	for _, p := range f.trust {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// writes reports whether a field that differs from request to request, or X-Forwarded-For, is one
// of those that are written.
func (f *forwarding) writes(own ownField) bool {
	return slices.Contains(f.fixed, own) || slices.Contains(f.free, own)
}

// clientOf is the address of the client that a trusted peer reports: the last one that is not itself
// of a trusted proxy. Whoever stands behind something else than an address stays unknown.
func (f *forwarding) clientOf(h *message.Head) (netip.Addr, bool) {
	switch f.client {
	case config.ForwardedElement:
		hop, _ := f.readForwarded(h)
		return hop.For.Addr, hop.For.Addr.IsValid()
	case config.XRealIP:
		for i := len(h.Fields) - 1; i >= 0; i-- {
			if field := &h.Fields[i]; field.Name == message.XRealIP {
				return message.ParseClient(h.Value(field))
			}
		}
		return netip.Addr{}, false
	}
	return f.clientOfList(h)
}

// clientOfList reads X-Forwarded-For, from its end. Empty elements say nothing.
func (f *forwarding) clientOfList(h *message.Head) (netip.Addr, bool) {
	for i := len(h.Fields) - 1; i >= 0; i-- {
		field := &h.Fields[i]
		if field.Name != message.XForwardedFor {
			continue
		}
		for v := h.Value(field); len(v) > 0; {
			entry := v
			if j := bytes.LastIndexByte(v, ','); j >= 0 {
				entry, v = v[j+1:], v[:j]
			} else {
				v = nil
			}
			if entry = bytes.Trim(entry, " \t"); len(entry) == 0 {
				continue // RFC 9110, section 5.6.1.2
			}
			a, ok := message.ParseClient(entry)
			if !ok {
				return netip.Addr{}, false
			}
			if !f.trusts(a) {
				return a, true
			}
		}
	}
	return netip.Addr{}, false
}

// readForwarded reads all Forwarded fields: hop is the element in which a trusted proxy, and nobody
// before it, names the client; its For.Addr is not valid if there is none. ok reports whether there
// are elements, and all of them well-formed.
func (f *forwarding) readForwarded(h *message.Head) (hop message.Hop, ok bool) {
	if !h.Has(message.Forwarded) {
		return message.Hop{}, false
	}
	var next message.Hop
	for i := range h.Fields {
		field := &h.Fields[i]
		if field.Name != message.Forwarded {
			continue
		}
		for v := h.Value(field); ; ok = true {
			rest, found, err := message.NextHop(v, &next)
			if err != nil {
				return message.Hop{}, false
			}
			if !found {
				break
			}
			if v = rest; !f.trusts(next.For.Addr) { // also if it is not known
				hop = next
			}
		}
	}
	return hop, ok
}
