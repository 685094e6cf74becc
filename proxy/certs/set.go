package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Set chooses certificates by server name. It is immutable; choosing takes no lock, and allocates
// only for names in upper case and where several key types compete.
type Set struct {
	first     group
	exact     map[string]group     // by canonical name
	wildcards map[string]group     // by what follows "*."
	addresses map[netip.Addr]group // unmapped
	warnings  []string
}

// group is certificates that share a name, each of another key type, the cheapest to sign with
// first.
type group []*named

// named is a certificate in a Set.
type named struct {
	file string
	rank int
	pair *tls.Certificate
}

// newSet names certificates, of which there is at least one; pairs are their forms with a staple
// where there is one.
func newSet(certificates []*certificate, pairs []*tls.Certificate) *Set {
	s := &Set{exact: map[string]group{}, wildcards: map[string]group{}, addresses: map[netip.Addr]group{}}
	var first *named
	for i, c := range certificates {
		n := &named{file: c.file, rank: rank(c.chain[0]), pair: pairs[i]}
		if first == nil {
			first = n
		}
		s.add(n, c.chain[0])
	}
	s.first = s.siblings(first, certificates[0].chain[0])
	return s
}

// rank orders key types by what a signature costs the server.
func rank(c *x509.Certificate) int {
	order := []x509.PublicKeyAlgorithm{x509.ECDSA, x509.Ed25519, x509.RSA}
	if i := slices.Index(order, c.PublicKeyAlgorithm); i >= 0 {
		return i
	}
	return len(order)
}

func (s *Set) add(n *named, leaf *x509.Certificate) {
	for _, name := range leaf.DNSNames {
		key := canonical(name)
		rest, wildcard := strings.CutPrefix(key, "*.")
		switch {
		case key == "" || strings.Contains(rest, "*") || (wildcard && rest == ""):
			s.warn(n, "name %q is ignored: a wildcard stands for one whole label at the start", name)
		case wildcard:
			s.wildcards[rest] = s.join(s.wildcards[rest], n, name)
		default:
			s.exact[key] = s.join(s.exact[key], n, name)
		}
	}
	for _, ip := range leaf.IPAddresses {
		if addr, ok := netip.AddrFromSlice(ip); ok {
			addr = addr.Unmap()
			s.addresses[addr] = s.join(s.addresses[addr], n, addr.String())
		}
	}
}

// join adds a certificate to those of a name, unless one of its key type has it.
func (s *Set) join(g group, n *named, name string) group {
	for _, other := range g {
		if other == n {
			return g // the name stands twice in one certificate
		}
		if other.rank == n.rank {
			s.warn(n, "name %q is already that of certificate %s, which is used: remove one", name, other.file)
			return g
		}
	}
	at, _ := slices.BinarySearchFunc(g, n.rank, func(x *named, rank int) int { return x.rank - rank })
	return slices.Insert(g, at, n)
}

func (s *Set) warn(n *named, format string, args ...any) {
	s.warnings = append(s.warnings, "certificate "+n.file+": "+fmt.Sprintf(format, args...))
}

// siblings is the group of the first certificate, for clients that match none: with those of other
// key types for the same name, if it has that name.
func (s *Set) siblings(first *named, leaf *x509.Certificate) group {
	for _, name := range leaf.DNSNames {
		if g, ok := s.holders(canonical(name)); ok && slices.Contains(g, first) {
			return g
		}
	}
	return group{first}
}

// holders finds a canonical name as it may stand in a certificate.
func (s *Set) holders(name string) (group, bool) {
	if rest, ok := strings.CutPrefix(name, "*."); ok {
		g, ok := s.wildcards[rest]
		return g, ok
	}
	g, ok := s.exact[name]
	return g, ok
}

// Choose is the certificate for a client: that of the name it asks for or, if it asks for none, of
// the address it connected to; the first, if there is none. Of several key types it is the first
// that the client can verify. It is never nil.
func (s *Set) Choose(hello *tls.ClientHelloInfo) *tls.Certificate {
	var g group
	var ok bool
	if hello.ServerName == "" {
		g, ok = s.local(hello)
	} else {
		g, ok = s.match(hello.ServerName)
	}
	if !ok {
		g = s.first
	}
	if len(g) == 1 {
		return g[0].pair
	}
	// SupportsCertificate would refuse the first certificate for every name but its own.
	nameless := *hello
	nameless.ServerName = ""
	for _, n := range g {
		if nameless.SupportsCertificate(n.pair) == nil {
			return n.pair
		}
	}
	return g[0].pair
}

// Match is the certificate for a server name, regardless of what else a client can do, and whether
// it carries that name; if it does not, it is the first.
func (s *Set) Match(name string) (c *tls.Certificate, found bool) {
	g, found := s.match(name)
	if !found {
		g = s.first
	}
	return g[0].pair, found
}

// match finds the certificates that carry a server name.
func (s *Set) match(name string) (group, bool) {
	name = canonical(name)
	if g, ok := s.exact[name]; ok {
		return g, true
	}
	if len(s.addresses) > 0 && mayBeAddress(name) {
		if addr, err := netip.ParseAddr(name); err == nil {
			g, ok := s.addresses[addr.Unmap()]
			return g, ok
		}
	}
	if rest, ok := parent(name); ok {
		g, ok := s.wildcards[rest]
		return g, ok
	}
	return nil, false
}

// local finds the certificates of the address that a client connected to.
func (s *Set) local(hello *tls.ClientHelloInfo) (group, bool) {
	if len(s.addresses) == 0 || hello.Conn == nil {
		return nil, false
	}
	at, ok := hello.Conn.LocalAddr().(interface{ AddrPort() netip.AddrPort })
	if !ok {
		return nil, false
	}
	g, ok := s.addresses[at.AddrPort().Addr().Unmap()]
	return g, ok
}
