package certs

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"os"
	"testing"
)

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
