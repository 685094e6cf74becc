package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
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

// serialOf asks a server for a name and returns the serial number of what it shows.
func serialOf(t *testing.T, a *authority, s *server, name string) int64 {
	t.Helper()
	return s.mustDial(t, a.trusting(name)).PeerCertificates[0].SerialNumber.Int64()
}

// TestRefresh replaces files in every order and with every fault.
func TestRefresh(t *testing.T) {
	a := newAuthority(t, "Authority")
	x, y := spec{names: []string{"x.example"}, serial: 1}, spec{names: []string{"y.example"}, serial: 2}
	i := mustNew(t, Options{Certificates: []Pair{a.issue(t, "x", x), a.issue(t, "y", y)}}, nil)
	s := serve(t, i.Config())
	refresh := func(changed bool, wantX, wantY int64) error {
		t.Helper()
		got, err := i.Refresh()
		if got != changed {
			t.Errorf("changed %v, want %v (%v)", got, changed, err)
		}
		if gotX, gotY := serialOf(t, a, s, "x.example"), serialOf(t, a, s, "y.example"); gotX != wantX || gotY != wantY {
			t.Errorf("serials %d and %d, want %d and %d", gotX, gotY, wantX, wantY)
		}
		return err
	}
	if err := refresh(false, 1, 2); err != nil {
		t.Error(err)
	}
	x.serial = 11
	cert, key := a.make(t, x)
	a.write(t, "x.crt", cert) // half of the pair
	err := refresh(false, 1, 2)
	contains(t, err, "x.crt", "x.key", "install both")
	if !errors.Is(err, ErrMismatch) {
		t.Errorf("%v is not ErrMismatch", err)
	}
	y.serial = 12
	a.issue(t, "y", y) // is not held back by it
	if err := refresh(true, 1, 12); !errors.Is(err, ErrMismatch) {
		t.Errorf("%v is not ErrMismatch", err)
	}
	a.write(t, "x.key", key)
	if err := refresh(true, 11, 12); err != nil {
		t.Error(err)
	}
	a.write(t, "x.crt", []byte("garbage"))
	contains(t, refresh(false, 11, 12), "x.crt", "no certificate")
	a.write(t, "x.crt", cert[:len(cert)/3])
	contains(t, refresh(false, 11, 12), "x.crt", "no certificate")
	if err := os.Remove(a.dir + "/y.key"); err != nil {
		t.Fatal(err)
	}
	contains(t, refresh(false, 11, 12), "x.crt", "y.key", "create it")
	x.serial, y.serial = 21, 22
	a.issue(t, "x", x)
	a.issue(t, "y", y)
	if err := refresh(true, 21, 22); err != nil {
		t.Error(err)
	}
}

// TestRefreshDuringHandshakes swaps certificates while clients connect: all succeed, each sees a
// certificate that was in force, and in the end the last.
func TestRefreshDuringHandshakes(t *testing.T) {
	a := newAuthority(t, "Authority")
	const rounds = 30
	key := newKey(t, x509.ECDSA)
	make := func(serial int64) spec { return spec{names: []string{"x.example"}, serial: serial, key: key} }
	i := mustNew(t, Options{Certificates: []Pair{a.issue(t, "x", make(1))}}, nil)
	s := serve(t, i.Config())
	var done atomic.Bool
	var handshakes atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			last := int64(1)
			c := a.trusting("x.example")
			for !done.Load() {
				state, err := s.dial(c)
				if err != nil {
					t.Error(err)
					return
				}
				serial := state.PeerCertificates[0].SerialNumber.Int64()
				if serial < last || serial > rounds {
					t.Errorf("serial %d after %d", serial, last)
				}
				last = serial
				handshakes.Add(1)
			}
		})
	}
	for serial := int64(2); serial <= rounds; serial++ {
		before := handshakes.Load()
		a.issue(t, "x", make(serial))
		if changed, err := i.Refresh(); !changed || err != nil {
			t.Error(changed, err)
		}
		i.NotAfter()
		i.Warnings()
		for handshakes.Load() == before && !t.Failed() { // each certificate is met by some
			if _, err := s.dial(a.trusting("x.example")); err != nil {
				t.Error(err)
			}
		}
	}
	done.Store(true)
	wg.Wait()
	if got := serialOf(t, a, s, "x.example"); got != rounds {
		t.Errorf("serial %d in the end, want %d", got, rounds)
	}
}

// TestRefreshKeepsConnections reads from a connection made before the swap.
func TestRefreshKeepsConnections(t *testing.T) {
	a := newAuthority(t, "Authority")
	i := mustNew(t, Options{Certificates: []Pair{a.issue(t, "x", spec{names: []string{"x.example"}})}}, nil)
	client, served := net.Pipe()
	defer client.Close()
	defer served.Close()
	tc, ts := tls.Client(client, a.trusting("x.example")), tls.Server(served, i.Config())
	echoed := make(chan error, 1)
	go func() {
		buf := bytes.Repeat([]byte{0}, 4)
		for range 2 {
			if _, err := ts.Read(buf); err != nil {
				echoed <- err
				return
			}
			if _, err := ts.Write(buf); err != nil {
				echoed <- err
				return
			}
		}
		echoed <- nil
	}()
	for n := range 2 {
		if n == 1 {
			a.issue(t, "x", spec{names: []string{"x.example"}})
			if changed, err := i.Refresh(); !changed || err != nil {
				t.Fatal(changed, err)
			}
		}
		if _, err := tc.Write([]byte("ping")); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4)
		if _, err := tc.Read(buf); err != nil || string(buf) != "ping" {
			t.Fatalf("%q, %v", buf, err)
		}
	}
	if err := <-echoed; err != nil {
		t.Error(err)
	}
}

func TestMutualTLS(t *testing.T) {
	a, clients, strangers := newAuthority(t, "Authority"), newAuthority(t, "Clients"), newAuthority(t, "Strangers")
	pairs := []Pair{a.issue(t, "x", spec{names: []string{"x.example"}})}
	load := func(by *authority, s spec) []tls.Certificate {
		s.usage = x509.ExtKeyUsageClientAuth
		cert, key := by.make(t, s)
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{pair}
	}
	good := load(clients, spec{subject: pkix.Name{CommonName: "alice"}})
	tests := []struct {
		name, auth string
		show       []tls.Certificate
		in         bool
	}{
		{"require, good", "require", good, true},
		{"require by default, good", "", good, true},
		{"require, none", "require", nil, false},
		{"require by default, none", "", nil, false},
		{"require, stranger", "require", load(strangers, spec{}), false},
		{"require, expired", "require", load(clients, spec{until: clients.cert.NotBefore.Add(1)}), false},
		{"request, good", "Request", good, true},
		{"request, none", "request", nil, true},
		{"request, stranger", "request", load(strangers, spec{}), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, mustNew(t, Options{Certificates: pairs, ClientCA: clients.file, ClientAuth: tt.auth}, nil).Config())
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				c := a.trusting("x.example")
				c.MaxVersion = version
				// Certificates would be withheld from a server that trusts others.
				c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					if len(tt.show) == 0 {
						return &tls.Certificate{}, nil
					}
					return &tt.show[0], nil
				}
				if _, err := s.dial(c); (err == nil) != tt.in {
					t.Errorf("%s: %v, want let in %v", tls.VersionName(version), err, tt.in)
				}
				if !tt.in {
					continue
				}
				if state := <-s.states; (len(state.VerifiedChains) > 0) != (tt.show != nil) {
					t.Errorf("%d verified chains", len(state.VerifiedChains))
				}
			}
		})
	}
}

// TestRefreshOfAuthorities lets in a client, removes its authority and finds it refused, also when
// it resumes.
func TestRefreshOfAuthorities(t *testing.T) {
	a, clients, others := newAuthority(t, "Authority"), newAuthority(t, "Clients"), newAuthority(t, "Others")
	ca, err := os.ReadFile(clients.file)
	if err != nil {
		t.Fatal(err)
	}
	a.write(t, "clients.crt", ca)
	i := mustNew(t, Options{Certificates: []Pair{a.issue(t, "x", spec{names: []string{"x.example"}})}, ClientCA: a.dir + "/clients.crt"}, nil)
	s := serve(t, i.Config())
	cert, key := clients.make(t, spec{usage: x509.ExtKeyUsageClientAuth})
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	var resuming []*tls.Config
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c := a.trusting("x.example")
		c.MaxVersion, c.Certificates, c.ClientSessionCache = version, []tls.Certificate{pair}, tls.NewLRUClientSessionCache(1)
		for _, want := range []bool{false, true} {
			if got := s.mustDial(t, c).DidResume; got != want {
				t.Fatalf("%s: resumed %v, want %v", tls.VersionName(version), got, want)
			}
			if state := <-s.states; ClientCertificateOf(state) == nil || !ClientCertificateOf(state).Verified {
				t.Errorf("%s, resumed %v: the client certificate is not known", tls.VersionName(version), want)
			}
		}
		resuming = append(resuming, c)
	}
	a.write(t, "clients.crt", []byte("garbage"))
	if changed, err := i.Refresh(); changed || err == nil {
		t.Fatal(changed, err)
	}
	s.mustDial(t, resuming[0])
	if ca, err = os.ReadFile(others.file); err != nil {
		t.Fatal(err)
	}
	a.write(t, "clients.crt", ca)
	if changed, err := i.Refresh(); !changed || err != nil {
		t.Fatal(changed, err)
	}
	for _, c := range resuming {
		if _, err := s.dial(c); err == nil {
			t.Errorf("%s: a client of a removed authority was let in", tls.VersionName(c.MaxVersion))
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
