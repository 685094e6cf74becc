package config

import (
	"fmt"
	"net"
	"net/netip"
)

// socket is one address that something listens on.
type socket struct {
	owner string // for messages
	v     *value
	ip    netip.Addr // invalid: all addresses of both families
	port  string
	udp   bool
}

// sockets checks that no two listeners want the same address.
func (c *checker) sockets() {
	byPort := map[string][]socket{}
	add := func(owner string, v *value, udp bool) {
		s, ok := socketOf(owner, v)
		if !ok {
			return
		}
		s.udp = udp
		for _, other := range byPort[s.port] {
			if s.udp == other.udp && overlap(s.ip, other.ip) {
				c.fail(v, fmt.Sprintf("%s and %s both bind %s", other.owner, s.owner, shared(s, other)),
					"give one of them another port, or both different addresses", other.v.at)
				break
			}
		}
		byPort[s.port] = append(byPort[s.port], s)
	}
	for _, l := range c.root.child("listeners").items {
		if l.fields == nil {
			continue
		}
		udp := l.child("protocol").raw == "udp"
		add(l.path, l.child("address"), udp)
		for _, item := range l.child("addresses").items {
			add(l.path, item, udp)
		}
	}
	add("admin.listen", c.root.child("admin").child("listen"), false)
}

// socketOf reads an address that has been accepted by its row.
func socketOf(owner string, v *value) (socket, bool) {
	text, _ := v.raw.(string)
	if !v.given || v.broken || text == "" {
		return socket{}, false
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil || port == "0" {
		return socket{}, false // port 0 takes a free one
	}
	s := socket{owner: owner, v: v, port: port}
	if ip, err := netip.ParseAddr(host); err == nil && ip != netip.IPv6Unspecified() {
		s.ip = ip.Unmap()
	}
	return s, true
}

// overlap reports whether two addresses cannot be bound with the same port.
func overlap(a, b netip.Addr) bool {
	switch {
	case !a.IsValid() || !b.IsValid() || a == b:
		return true
	case a.Is4() != b.Is4():
		return false
	}
	return a.IsUnspecified() || b.IsUnspecified()
}

// shared names what two sockets share.
func shared(a, b socket) string {
	if a.v.text == b.v.text {
		return a.v.text
	}
	return fmt.Sprintf("%s (one as %s)", a.v.text, b.v.text)
}
