package certs

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"strings"
	"testing"
)

// setOf makes a set whose certificates are names alone; the file of each is its first name.
func setOf(leaves ...*x509.Certificate) *Set {
	var all []*certificate
	var pairs []*tls.Certificate
	for _, l := range leaves {
		file := "nameless"
		if len(l.DNSNames) > 0 {
			file = l.DNSNames[0]
		}
		all = append(all, &certificate{file: file, chain: []*x509.Certificate{l}})
		pairs = append(pairs, &tls.Certificate{Leaf: l})
	}
	return newSet(all, pairs)
}

func leafOf(names ...string) *x509.Certificate {
	return &x509.Certificate{DNSNames: names, PublicKeyAlgorithm: x509.ECDSA}
}

func TestMatch(t *testing.T) {
	first, ip := leafOf("first.example"), &x509.Certificate{DNSNames: []string{"ip.example"}, IPAddresses: []net.IP{net.ParseIP("192.0.2.1"), net.ParseIP("2001:db8::1")}}
	wild, deep, exact := leafOf("*.Example.COM"), leafOf("*.a.example.com"), leafOf("www.example.com.", "a.example.com")
	odd := leafOf("odd.example", "f*.odd.example", "*", "*.", "", "*.*.odd.example", "10.9.8.7")
	s := setOf(first, wild, deep, exact, ip, odd)
	tests := []struct {
		name string
		want *x509.Certificate // nil: none has it
	}{
		{"first.example", first},
		{"www.example.com", exact},
		{"WWW.EXAMPLE.com", exact},
		{"www.example.com.", exact},
		{"www.example.com..", nil},
		{"a.example.com", exact},
		{"b.example.com", wild},
		{"B.eXample.com.", wild},
		{"*.example.com", wild},
		{"x.a.example.com", deep},
		{"x.b.example.com", nil},
		{"x.y.a.example.com", nil},
		{"example.com", nil},
		{".example.com", nil},
		{".", nil},
		{"", nil},
		{"com", nil},
		{"\u212a.example.com", wild}, // a label of whatever kind
		{"www.exampl\u0451.com", nil},
		{"odd.example", odd},
		{"foo.odd.example", nil},
		{"f*.odd.example", nil},
		{"*", nil},
		{"192.0.2.1", ip},
		{"::ffff:192.0.2.1", ip},
		{"2001:db8::1", ip},
		{"2001:DB8:0:0::1", ip},
		{"192.0.2.2", nil},
		{"10.9.8.7", odd}, // an address written as a name, as some authorities do
		{"2001:db8::2", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, found := s.Match(tt.name)
			want := tt.want
			if want == nil {
				want = first
			}
			if got.Leaf != want || found != (tt.want != nil) {
				t.Errorf("got %v, %v, want %v, %v", got.Leaf.DNSNames, found, want.DNSNames, tt.want != nil)
			}
		})
	}
	for _, name := range []string{`"f*.odd.example"`, `"*.*.odd.example"`, `"*."`, `""`} {
		warned(t, s.warnings, "odd.example", name, "whole label")
	}
}

func TestDuplicateNames(t *testing.T) {
	rsa := leafOf("rsa.example", "a.example", "*.a.example")
	rsa.PublicKeyAlgorithm = x509.RSA
	first, second := leafOf("a.example", "A.example"), leafOf("second.example", "A.example.", "*.a.example")
	third := &x509.Certificate{DNSNames: []string{"third.example", "*.A.example"}, IPAddresses: []net.IP{net.ParseIP("192.0.2.1")}, PublicKeyAlgorithm: x509.ECDSA}
	fourth := &x509.Certificate{DNSNames: []string{"fourth.example"}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}, PublicKeyAlgorithm: x509.ECDSA}
	s := setOf(rsa, first, second, third, fourth)
	leaves := func(g group, ok bool) (all []*x509.Certificate) {
		for _, n := range g {
			all = append(all, n.pair.Leaf)
		}
		return all
	}
	for name, want := range map[string][]*x509.Certificate{
		"a.example": {first, rsa}, "x.a.example": {second, rsa}, "192.0.2.1": {third}, "rsa.example": {rsa},
	} {
		if got := leaves(s.match(name)); !slices.Equal(got, want) {
			t.Errorf("%s: %d certificates, want %d of the first", name, len(got), len(want))
		}
	}
	warned(t, s.warnings, "certificate second.example", "A.example.", "certificate a.example")
	warned(t, s.warnings, "certificate third.example", "*.A.example", "certificate second.example")
	warned(t, s.warnings, "certificate fourth.example", "192.0.2.1", "certificate third.example")
	if len(s.warnings) != 3 {
		t.Errorf("%d warnings, want 3: %q", len(s.warnings), s.warnings)
	}
	if got := leaves(s.first, true); !slices.Equal(got, []*x509.Certificate{rsa}) {
		t.Errorf("clients that match none get one of %d, want the first alone: no other has its first name", len(got))
	}
}

func TestChooseAllocs(t *testing.T) {
	s := setOf(leafOf("first.example"), leafOf("www.example.com", "*.example.com"), &x509.Certificate{IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}})
	for _, name := range []string{"www.example.com", "x.example.com", "unknown.example", "", "192.0.2.1"} {
		hello := &tls.ClientHelloInfo{ServerName: name}
		if n := testing.AllocsPerRun(100, func() { s.Choose(hello) }); n != 0 {
			t.Errorf("%q: %v allocations, want 0", name, n)
		}
	}
}

// FuzzMatch compares with what a client would accept: if some certificate verifies for the name,
// the chosen one does, and one that is chosen by name has that name, label by label.
func FuzzMatch(f *testing.F) {
	f.Add("a.example\n*.example", "a.example")
	f.Add("*.example.com\nwww.example.com", "WWW.example.com.")
	f.Add("*.com\n*.example.com\nx", "a.b.example.com")
	f.Add("K.example\nk.example", "\u212a.example")
	f.Add("*.\n*\n.\n\n..", "*.")
	f.Add("a.b\n*.a.b\n192.0.2.1\n::1", "192.0.2.1")
	f.Fuzz(func(t *testing.T, names, ask string) {
		leaves := []*x509.Certificate{leafOf()}
		for name := range strings.SplitSeq(names, "\n") {
			leaves = append(leaves, leafOf(name))
		}
		got, found := setOf(leaves...).Match(ask)
		if found && !covers(got.Leaf.DNSNames[0], ask) {
			t.Fatalf("%q got the certificate of %q", ask, got.Leaf.DNSNames)
		}
		for _, l := range leaves[1:] {
			if strings.Contains(strings.TrimPrefix(canonical(l.DNSNames[0]), "*."), "*") {
				continue // ignored, and warned about
			}
			if net.ParseIP(ask) == nil && l.VerifyHostname(ask) == nil && got.Leaf.VerifyHostname(ask) != nil {
				t.Fatalf("%q got %q, though %q verifies", ask, got.Leaf.DNSNames, l.DNSNames)
			}
		}
	})
}

// covers is the rule of names, plainly.
func covers(pattern, name string) bool {
	ascii := func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}
	// Map would replace bytes that are not UTF-8, so compare bytes as runes.
	runes := func(s string) string {
		s = strings.TrimSuffix(s, ".")
		r := make([]rune, len(s))
		for i := range len(s) {
			r[i] = rune(s[i])
		}
		return strings.Map(ascii, string(r))
	}
	p, n := strings.Split(runes(pattern), "."), strings.Split(runes(name), ".")
	if p[0] == "*" && len(p) > 1 && n[0] != "" {
		p[0] = n[0]
	}
	return slices.Equal(p, n)
}
