package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/lbtest"
)

func TestBackendCertificateIsVerified(t *testing.T) {
	cert, stranger := lbtest.NewCertificate(t, "127.0.0.1", "b1.test"), lbtest.NewCertificate(t, "127.0.0.1")
	name := lbtest.NewCertificate(t, "elsewhere.test")
	tests := []struct {
		name, tls string
		with      *lbtest.Certificate
		status    int
	}{
		{"own CA", fmt.Sprintf("ca: %q", cert.CertFile), cert, 200},
		{"own CA, server name", fmt.Sprintf("ca: %q, server_name: b1.test", cert.CertFile), cert, 200},
		{"unknown CA", fmt.Sprintf("ca: %q", stranger.CertFile), cert, 502},
		{"the system's CAs", "verify: true", cert, 502},
		{"another address", fmt.Sprintf("ca: %q", name.CertFile), name, 502},
		{"another name", fmt.Sprintf("ca: %q, server_name: b2.test", cert.CertFile), cert, 502},
		{"not verified", "verify: false", name, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := newTLSOrigin(t, serverTLS(tt.with), each(func(string, string) string { return ok200 }))
			r := start(t, site("", "protocol: https\ntls: { "+tt.tls+" }", o.Addr()))
			c := r.dial()
			c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			c.want("GET", tt.status, "")
			if tt.status == 200 {
				r.wantOutcomes("ok 1")
				return
			}
			r.wantOutcomes("backend_tls 1")
			if got := o.requests(); got != 0 {
				t.Errorf("the backend got %d requests", got)
			}
			if got := r.stats.Backend("app", "b1").Counts().ConnectErrors; got != 1 {
				t.Errorf("%d failed connects are counted, want 1", got)
			}
		})
	}
}

func TestBackendSeesServerNameAndClientCertificate(t *testing.T) {
	cert, mine := lbtest.NewCertificate(t, "127.0.0.1", "b1.test"), lbtest.NewCertificate(t, "weir.test")
	pem, err := os.ReadFile(mine.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	c := serverTLS(cert)
	c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	c.ClientCAs.AppendCertsFromPEM(pem)
	states := make(chan tls.ConnectionState, 1)
	o := newTLSOrigin(t, c, func(s *side) {
		if _, _, ok := s.request(); ok {
			states <- s.Conn.(*tls.Conn).ConnectionState()
			s.send(ok200)
		}
	})
	r := start(t, site("", fmt.Sprintf("protocol: https\ntls: { ca: %q, server_name: b1.test, client_cert: %q, client_key: %q }",
		cert.CertFile, mine.CertFile, mine.KeyFile), o.Addr()))
	r.dial().get("/", "ok")
	state := <-states
	if state.ServerName != "b1.test" || len(state.PeerCertificates) != 1 || state.NegotiatedProtocol == "h2" {
		t.Errorf("the backend saw name %q, %d certificates, protocol %q", state.ServerName, len(state.PeerCertificates), state.NegotiatedProtocol)
	}
	r = start(t, site("", fmt.Sprintf("protocol: https\ntls: { ca: %q }", cert.CertFile), o.Addr()))
	client := r.dial()
	client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	// In TLS 1.3 the refusal of a client comes after its handshake: it is a connection that is closed.
	client.want("GET", 502, "")
}

func TestTLSHandshakeTimeout(t *testing.T) {
	hang := lbtest.NewTCP(t, lbtest.Hang())
	r := start(t, site("", "protocol: https\ntimeouts: { backend_tls: 200ms }", hang.Addr()))
	c := r.dial()
	began := time.Now()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	c.want("GET", 504, "TLS")
	if d := time.Since(began); d < 200*time.Millisecond || d > patience/2 {
		t.Errorf("the answer came after %v", d)
	}
	lbtest.Eventually(t, patience, func() bool { return hang.Open() == 0 })
	r.wantOutcomes("backend_tls 1")
}

// A failed handshake is a failure to connect: the next backend gets the request.
func TestFailedHandshakeGoesToTheNextBackend(t *testing.T) {
	cert := lbtest.NewCertificate(t, "127.0.0.1")
	plain := lbtest.NewTCP(t, lbtest.Say("220 no TLS here\r\n"))
	o := newTLSOrigin(t, serverTLS(cert), each(func(string, string) string { return ok200 }))
	r := start(t, site("", fmt.Sprintf("protocol: https\ntls: { ca: %q }", cert.CertFile), plain.Addr(), o.Addr()))
	c := r.dial()
	for range 4 {
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
		c.want("POST", 200, "ok")
	}
	if plain.Accepted() == 0 {
		t.Error("the backend without TLS was not tried")
	}
}

// A body without framing is whole only if the backend says so by TLS (RFC 9112, section 9.8).
func TestCloseDelimitedOverTLSNeedsTheAlert(t *testing.T) {
	cert := lbtest.NewCertificate(t, "127.0.0.1")
	for _, alert := range []bool{true, false} {
		o := newTLSOrigin(t, serverTLS(cert), func(s *side) {
			if _, _, ok := s.request(); ok && s.send("HTTP/1.1 200 OK\r\n\r\nall of it") && !alert {
				s.tcp.CloseWrite()
				io.Copy(io.Discard, s.tcp)
			}
		})
		r := start(t, site("", fmt.Sprintf("protocol: https\ntls: { ca: %q }", cert.CertFile), o.Addr()))
		c := r.dial()
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		a := c.receive("GET")
		if a.body != "all of it" || (a.err == nil) != alert {
			t.Errorf("alert=%v: got %q %v", alert, a.body, a.err)
		}
	}
}

// A session with a backend outlives a reload that does not touch its settings, and no other.
func TestBackendSessionIsResumedAfterReload(t *testing.T) {
	cert, other := lbtest.NewCertificate(t, "127.0.0.1"), lbtest.NewCertificate(t, "127.0.0.1")
	resumed := make(chan bool, 1)
	o := newTLSOrigin(t, serverTLS(cert), func(s *side) {
		if _, _, ok := s.request(); !ok {
			return
		}
		resumed <- s.Conn.(*tls.Conn).ConnectionState().DidResume
		s.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
	})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	trust := func(certs ...*lbtest.Certificate) {
		t.Helper()
		var all []byte
		for _, c := range certs {
			pem, err := os.ReadFile(c.CertFile)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, pem...)
		}
		if err := os.WriteFile(ca, all, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trust(cert)
	pool := fmt.Sprintf("protocol: https\ntls: { ca: %q }", ca)
	r := start(t, site("", pool, o.Addr()))
	ask := func(want bool, when string) {
		t.Helper()
		r.dial().get("/", "ok")
		if got := <-resumed; got != want {
			t.Errorf("%s: resumed is %v, want %v", when, got, want)
		}
	}
	ask(false, "the first time")
	ask(true, "the second time")
	r.apply(load(t, site("", pool, o.Addr())))
	ask(true, "after a reload of the same")
	r.apply(load(t, site("", pool+"\ntimeouts: { backend_response: 7s }", o.Addr())))
	ask(true, "after a change of something else")
	trust(cert, other)
	r.apply(load(t, site("", pool, o.Addr())))
	ask(false, "after a change of the CA's file")
	r.apply(load(t, site("", "protocol: https\ntls: { verify: false }", o.Addr())))
	ask(false, "after a change of the settings")
}

// Backends that share a name keep a session each.
func TestBackendsResumeSessionsOfTheirOwn(t *testing.T) {
	cert := lbtest.NewCertificate(t, "shop.example")
	for _, protocol := range []string{"https", "tls"} {
		t.Run(protocol, func(t *testing.T) {
			resumed := make(chan bool, 1)
			var origins []fmt.Stringer
			for range 2 {
				o := newTLSOrigin(t, serverTLS(cert), func(s *side) {
					if _, _, ok := s.request(); !ok {
						return
					}
					resumed <- s.Conn.(*tls.Conn).ConnectionState().DidResume
					s.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
				})
				origins = append(origins, o.Addr())
			}
			text := site("", fmt.Sprintf("protocol: %s\ntls: { ca: %q, server_name: shop.example }", protocol, cert.CertFile), origins...)
			if protocol == "tls" {
				text = strings.Replace(text, "protocol: http\n", fmt.Sprintf("protocol: tls\n    tls: { certificates: [{ cert: %q, key: %q }] }\n", cert.CertFile, cert.KeyFile), 1)
			}
			r := start(t, text)
			for i := range 8 {
				if protocol == "tls" {
					c := r.dialTLS(trusting(t, cert))
					c.ask(getShop)
					c.want("GET", 200, "ok")
				} else {
					r.dial().get("/", "ok")
				}
				if got, want := <-resumed, i >= len(origins); got != want {
					t.Errorf("request %d, in turns: resumed is %v, want %v", i, got, want)
				}
			}
		})
	}
}

// Each setting that decides whom we believe, or as whom we come, ends the sessions made under another.
func TestSameTLS(t *testing.T) {
	mine, other := lbtest.NewCertificate(t, "a.example"), lbtest.NewCertificate(t, "b.example")
	base := func() *tls.Config {
		return &tls.Config{ServerName: "a.example", RootCAs: trusting(t, mine).RootCAs, NextProtos: []string{"http/1.1"}, Certificates: []tls.Certificate{mine.Pair}}
	}
	if !sameTLS(base(), base()) {
		t.Error("equal settings are not the same")
	}
	for name, edit := range map[string]func(*tls.Config){
		"server_name": func(c *tls.Config) { c.ServerName = "b.example" },
		"verify":      func(c *tls.Config) { c.InsecureSkipVerify = true },
		"ca":          func(c *tls.Config) { c.RootCAs = trusting(t, other).RootCAs },
		"no ca":       func(c *tls.Config) { c.RootCAs = nil },
		"alpn":        func(c *tls.Config) { c.NextProtos = nil },
		"client_cert": func(c *tls.Config) { c.Certificates = []tls.Certificate{other.Pair} },
		"no client":   func(c *tls.Config) { c.Certificates = nil },
	} {
		c := base()
		edit(c)
		if sameTLS(base(), c) || sameTLS(c, base()) {
			t.Errorf("%s makes no difference", name)
		}
	}
}
