package certs

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
)

// TestHandshakes has real clients of every version ask for every kind of name.
func TestHandshakes(t *testing.T) {
	a := newAuthority(t, "Authority")
	i := mustNew(t, Options{
		MinVersion: "1.0",
		Certificates: []Pair{
			a.issue(t, "first", spec{names: []string{"first.example"}}),
			a.issue(t, "wild", spec{names: []string{"*.shop.example", "*.eu.shop.example"}}),
			a.issue(t, "exact", spec{names: []string{"www.shop.example"}, kind: x509.RSA}),
			a.issue(t, "ip", spec{ips: []net.IP{net.IPv4(127, 0, 0, 1)}}),
		},
	}, nil)
	s := serve(t, i.Config())
	names := []struct{ ask, want string }{
		{"first.example", "first.example"},
		{"www.shop.example", "www.shop.example"},
		{"WWW.Shop.Example", "www.shop.example"},
		{"x.shop.example", "*.shop.example"},
		{"x.eu.shop.example", "*.shop.example"},
		{"y.x.eu.shop.example", "first.example"},
		{"shop.example", "first.example"},
		{"unknown.example", "first.example"},
		{"127.0.0.1", ""}, // clients send no name for an address
	}
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
		for _, n := range names {
			t.Run(tls.VersionName(version)+" "+n.ask, func(t *testing.T) {
				state := s.mustDial(t, &tls.Config{ServerName: n.ask, MinVersion: version, MaxVersion: version, InsecureSkipVerify: true})
				leaf, got := state.PeerCertificates[0], ""
				if len(leaf.DNSNames) > 0 {
					got = leaf.DNSNames[0]
				}
				if got != n.want {
					t.Errorf("certificate of %q, want %q", got, n.want)
				}
				if state.Version != version {
					t.Errorf("version %x, want %x", state.Version, version)
				}
			})
		}
	}
	for _, name := range []string{"first.example", "www.shop.example", "a.eu.shop.example", "127.0.0.1"} {
		if _, err := s.dial(a.trusting(name)); err != nil {
			t.Errorf("a client that verifies %s: %v", name, err)
		}
	}
}

func TestVersionBounds(t *testing.T) {
	a := newAuthority(t, "Authority")
	pairs := []Pair{a.issue(t, "a", spec{names: []string{"a.example"}})}
	tests := []struct {
		name, least, most string
		want              map[uint16]bool
	}{
		{"default", "", "", map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true}},
		{"1.3 alone", "1.3", "", map[uint16]bool{tls.VersionTLS12: false, tls.VersionTLS13: true}},
		{"up to 1.2", "", "1.2", map[uint16]bool{tls.VersionTLS12: true, tls.VersionTLS13: false}},
		{"1.1 alone", "1.1", "1.1", map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: true, tls.VersionTLS12: false}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, mustNew(t, Options{Certificates: pairs, MinVersion: tt.least, MaxVersion: tt.most}, nil).Config())
			for version, want := range tt.want {
				c := a.trusting("a.example")
				c.MinVersion, c.MaxVersion = version, version
				if _, err := s.dial(c); (err == nil) != want {
					t.Errorf("%s: %v, want success %v", tls.VersionName(version), err, want)
				}
			}
		})
	}
}

func TestSuitesAndProtocols(t *testing.T) {
	a := newAuthority(t, "Authority")
	pairs := []Pair{a.issue(t, "a", spec{names: []string{"a.example"}})}
	s := serve(t, mustNew(t, Options{Certificates: pairs, CipherSuites: []string{"ECDHE-ECDSA-CHACHA20-POLY1305"}}, nil).Config())
	c := a.trusting("a.example")
	c.MaxVersion = tls.VersionTLS12
	if got := s.mustDial(t, c).CipherSuite; got != tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 {
		t.Errorf("suite %s", tls.CipherSuiteName(got))
	}
	c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	if _, err := s.dial(c); err == nil {
		t.Error("a suite that is not listed was used")
	}

	tests := []struct {
		name        string
		serve, want []string
		got         string
		refused     bool
	}{
		{"default", nil, []string{"h2", "http/1.1"}, "http/1.1", false},
		{"default, old", nil, []string{"http/1.0"}, "http/1.0", false},
		{"default, none asked for", nil, nil, "", false},
		{"default, nothing in common", nil, []string{"h2"}, "", true},
		{"server prefers", []string{"b", "a"}, []string{"a", "b"}, "b", false},
		{"none", []string{}, []string{"h2"}, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, mustNew(t, Options{Certificates: pairs, ALPN: tt.serve}, nil).Config())
			c := a.trusting("a.example")
			c.NextProtos = tt.want
			state, err := s.dial(c)
			if (err != nil) != tt.refused || state.NegotiatedProtocol != tt.got {
				t.Errorf("%q, %v; want %q, refused %v", state.NegotiatedProtocol, err, tt.got, tt.refused)
			}
		})
	}
}

// TestKeyTypes has clients that can verify only one of two certificates for a name.
func TestKeyTypes(t *testing.T) {
	a := newAuthority(t, "Authority")
	rsaPair, ecdsaPair := a.issue(t, "rsa", spec{names: []string{"a.example"}, kind: x509.RSA}), a.issue(t, "ecdsa", spec{names: []string{"a.example"}})
	i, warnings, err := New(Options{Certificates: []Pair{rsaPair, ecdsaPair}}, nil)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	s := serve(t, i.Config())
	for _, name := range []string{"a.example", "unknown.example"} {
		for _, tt := range []struct {
			suites []uint16
			want   x509.PublicKeyAlgorithm
		}{
			{nil, x509.ECDSA},
			{[]uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}, x509.RSA},
			{[]uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}, x509.ECDSA},
		} {
			c := &tls.Config{ServerName: name, InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: tt.suites}
			if got := s.mustDial(t, c).PeerCertificates[0].PublicKeyAlgorithm; got != tt.want {
				t.Errorf("%s with %v: %v, want %v", name, tt.suites, got, tt.want)
			}
		}
	}
}

func TestNotAfter(t *testing.T) {
	a := newAuthority(t, "Authority")
	x, y := a.issue(t, "x", spec{names: []string{"x.example"}}), a.issue(t, "y", spec{until: a.cert.NotBefore.Add(1)})
	i, warnings, err := New(Options{Certificates: []Pair{x, y, x}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := i.NotAfter()
	if len(got) != 2 || got[0].Name != x.Cert || got[1].Name != y.Cert {
		t.Fatalf("%v", got)
	}
	if want := i.current.Load().material.certificates[0].chain[0].NotAfter; !got[0].NotAfter.Equal(want) || !got[1].NotAfter.Before(want) {
		t.Errorf("%v, want the first at %v and the second before", got, want)
	}
	warned(t, warnings, y.Cert, "expired at", "renew")
}
