package certs

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
)

func BenchmarkChoose(b *testing.B) {
	s := setOf(leafOf("first.example"), leafOf("www.example.com", "*.example.com"), &x509.Certificate{IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}})
	hello := &tls.ClientHelloInfo{ServerName: "x.example.com"}
	b.ReportAllocs()
	for b.Loop() {
		s.Choose(hello)
	}
}

// BenchmarkHandshake compares an Identity with a configuration that holds one certificate and has
// nothing to look up. Both sides' work is in it.
func BenchmarkHandshake(b *testing.B) {
	a := newAuthority(b, "Authority")
	i := mustNew(b, Options{Certificates: []Pair{a.issue(b, "a", spec{names: []string{"a.example"}})}}, nil)
	pair, _ := i.Set().Match("a.example")
	plain := i.policy.server()
	plain.Certificates = []tls.Certificate{*pair}
	for _, c := range []struct {
		name   string
		config *tls.Config
	}{{"identity", i.Config()}, {"plain", plain}} {
		for _, resume := range []bool{false, true} {
			name := c.name + "/full"
			client := a.trusting("a.example")
			if resume {
				name = c.name + "/resumed"
				client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			}
			b.Run(name, func(b *testing.B) {
				s := serve(b, c.config)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := s.dial(client); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
