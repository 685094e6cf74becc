package healthcheck

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"weir/config"
	"weir/internal/lbtest"
)

// TestProbeOfANameAsksForIt wants the Host field and the certificate of a backend that is a name to be
// those of the name, unless the check says something else or the probe goes elsewhere.
func TestProbeOfANameAsksForIt(t *testing.T) {
	cert := lbtest.NewCertificate(t, "app.example", "other.example")
	b := lbtest.NewHTTPS(t, "b", cert)
	port := b.Addr().Port()
	named := fmt.Sprintf("app.example:%d", port)
	tests := []struct {
		name    string
		host    string
		backend string // IP that serves; the probe goes to 127.0.0.1
		edit    func(*config.HealthCheck)
		sni     string
		want    string // Host field
	}{
		{"name", "app.example", "127.0.0.1", func(*config.HealthCheck) {}, "app.example", named},
		{"absolute", "app.example.", "127.0.0.1", func(*config.HealthCheck) {}, "app.example", named},
		{"server_name", "app.example", "127.0.0.1", func(c *config.HealthCheck) { c.TLS.ServerName = "other.example" }, "other.example", named},
		{"host", "app.example", "127.0.0.1", func(c *config.HealthCheck) { c.Host = "shop.example" }, "app.example", "shop.example"},
		{"probed elsewhere", "app.example", "127.0.0.2", func(c *config.HealthCheck) { c.TLS.Verify = false }, "", b.Addr().String()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := httpCheck(func(c *config.HealthCheck) {
				c.Protocol, c.Timeout, c.TLS.CA, c.TLS.Verify = config.HTTPS, 10*time.Second, cert.CertFile, true
			}, tt.edit)
			backend := netip.AddrPortFrom(netip.MustParseAddr(tt.backend), port)
			target := Target{Addr: b.Addr(), Check: c, Backend: backend, Host: tt.host}
			p := compile(c).prober(target.Addr, target.host()).probe(t.Context(), opener{dial: dialTCP})
			if !p.OK {
				t.Fatal(p.Reason)
			}
			r := b.Last()
			if r.Host != tt.want || r.TLS.ServerName != tt.sni {
				t.Errorf("got Host %s and server name %q, want %s and %q", r.Host, r.TLS.ServerName, tt.want, tt.sni)
			}
		})
	}
	c := tcpCheck("", "")
	c.Protocol, c.Timeout, c.TLS.Verify, c.TLS.CA = config.TLS, 10*time.Second, true, cert.CertFile
	for host, ok := range map[string]bool{"app.example": true, "wrong.example": false, "": false} {
		if p := compile(c).prober(b.Addr(), host).probe(t.Context(), opener{dial: dialTCP}); p.OK != ok {
			t.Errorf("handshake with %q: got %v, want %v: %s", host, p.OK, ok, p.Reason)
		}
	}
}

// TestAnotherHostIsAnotherTarget wants nothing to be kept of a name when another one takes its place at
// the same address.
func TestAnotherHostIsAnotherTarget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		m, _ := newTestMonitor(t, v, 0)
		v.set(address(1), answer(200, "ok"))
		named := target(1, httpCheck())
		named.Host = "app.example"
		m.Apply([]Target{named})
		pass(spreadLimit)
		if s, _ := m.Status(named.Key); s.State != Up {
			t.Fatalf("got %+v, want up", s)
		}
		named.Host = "other.example"
		m.Apply([]Target{named})
		if s, _ := m.Status(named.Key); s.State != Checking || len(s.Probes) != 0 {
			t.Errorf("got %+v, want a new start", s)
		}
	})
}
