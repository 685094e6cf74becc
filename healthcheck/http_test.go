package healthcheck

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir/config"
	"weir/internal/lbtest"
)

// once runs one probe of addr.
func once(t *testing.T, c *config.HealthCheck, addr netip.AddrPort) Probe {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), c.Timeout)
	defer cancel()
	return compile(c).prober(addr, "").probe(ctx, opener{dial: dialTCP, dialUDP: dialUDP})
}

// want compares a probe with what was expected; in reason ADDR stands for the address, and ⋯ at its
// end for anything.
func want(t *testing.T, p Probe, addr netip.AddrPort, ok bool, phase string, status int, reason string) {
	t.Helper()
	reason, open := strings.CutSuffix(strings.ReplaceAll(reason, "ADDR", addr.String()), "⋯")
	if p.OK != ok || p.Phase != phase || p.Status != status ||
		!strings.HasPrefix(p.Reason, reason) || !open && p.Reason != reason {
		t.Errorf("got  %v %s %d: %s\nwant %v %s %d: %s", p.OK, p.Phase, p.Status, p.Reason, ok, phase, status, reason)
	}
}

func TestHTTPProbe(t *testing.T) {
	long := strings.Repeat("x", 1000)
	body := func(re string) func(*config.HealthCheck) {
		return func(c *config.HealthCheck) { c.Body = re }
	}
	bodyNot := func(re string) func(*config.HealthCheck) {
		return func(c *config.HealthCheck) { c.BodyNot = re }
	}
	limit := func(n int) func(*config.HealthCheck) {
		return func(c *config.HealthCheck) { c.MaxBody = n }
	}
	tests := []struct {
		name   string
		edits  []func(*config.HealthCheck)
		status int
		body   string
		ok     bool
		phase  string
		reason string // after the request
	}{
		{"good", nil, 200, "ok", true, PhaseBody, "200 in ⋯"},
		{"refused status", nil, 503, "db pool\nexhausted", false, PhaseStatus, `503 "db pool exhausted" (want 200)`},
		{"refused status, no body", nil, 404, "", false, PhaseStatus, "404 (want 200)"},
		{"redirects are not followed", nil, 302, "", false, PhaseStatus, "302 (want 200)"},
		{"no content", []func(*config.HealthCheck){func(c *config.HealthCheck) {
			c.Status.Ranges = []config.StatusRange{{First: 204, Last: 204}}
		}}, 204, "", true, PhaseBody, "204 in ⋯"},
		{"body matches", []func(*config.HealthCheck){body("^o")}, 200, "ok", true, PhaseBody, "200 in ⋯"},
		{"body does not match", []func(*config.HealthCheck){body("^o$")}, 200, "ok", false, PhaseBody,
			`200 "ok" (want a body that matches "^o$")`},
		{"a good body saves no bad status", []func(*config.HealthCheck){body("ok")}, 500, "ok", false, PhaseStatus,
			`500 "ok" (want 200)`},
		{"documented expression, good", []func(*config.HealthCheck){body(documented)}, 200, "db: true", true, PhaseBody, "200 in ⋯"},
		{"documented expression, bad", []func(*config.HealthCheck){body(documented)}, 200, "db: false", false, PhaseBody,
			`200 "db: false" (want a body that matches "^((?!false).|\\s)*$")`},
		{"body_not absent", []func(*config.HealthCheck){bodyNot("false")}, 200, "db: true", true, PhaseBody, "200 in ⋯"},
		{"body_not present", []func(*config.HealthCheck){bodyNot("false")}, 200, "db: false", false, PhaseBody,
			`200 "db: false" (want a body that does not match "false")`},
		{"both rules", []func(*config.HealthCheck){body("db"), bodyNot("false")}, 200, "db: false", false, PhaseBody,
			`200 "db: false" (want a body that does not match "false")`},
		{"catastrophe", []func(*config.HealthCheck){body(`^(?=x)(x+x+)+y$`)}, 200, long, false, PhaseBody,
			`200 "` + long[:128] + `" (body "^(?=x)(x+x+)+y$": expression took longer than 100ms)`},
		{"just fits", []func(*config.HealthCheck){limit(1000)}, 200, long, true, PhaseBody, "200 in ⋯"},
		{"cut, nothing wanted", []func(*config.HealthCheck){limit(999)}, 200, long, true, PhaseBody, "200 in ⋯"},
		{"cut, wanted beyond", []func(*config.HealthCheck){limit(1000), body("end")}, 200, long + "end", false, PhaseBody,
			`200 "` + long[:128] + `" (want a body that matches "end", read only the first 1000 bytes of the body)`},
		{"cut, wanted within", []func(*config.HealthCheck){limit(3), body("ok")}, 200, "ok, then more", true, PhaseBody, "200 in ⋯"},
	}
	b := lbtest.NewHTTP(t, "b1")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b.SetStatus(tt.status)
			b.SetBody(tt.body)
			p := once(t, httpCheck(tt.edits...), b.Addr())
			want(t, p, b.Addr(), tt.ok, tt.phase, tt.status, "GET http://ADDR/healthz → "+tt.reason)
			if strings.HasPrefix(tt.name, "cut, ") != strings.Contains(p.Reason, "read only the first") {
				t.Errorf("truncation told wrongly: %s", p.Reason)
			}
		})
	}
}

func TestHTTPProbeSendsWhatIsConfigured(t *testing.T) {
	b := lbtest.NewHTTP(t, "b1")
	send := func(edits ...func(*config.HealthCheck)) *http.Request {
		t.Helper()
		if p := once(t, httpCheck(edits...), b.Addr()); !p.OK {
			t.Fatalf("probe: %s", p.Reason)
		}
		return b.Last()
	}
	r := send()
	got := fmt.Sprint(r.Method, " ", r.RequestURI, " ", r.Host, " ", r.Header, r.Close, r.ContentLength)
	plain := fmt.Sprintf("GET /healthz %s map[Accept-Encoding:[identity] Connection:[close] User-Agent:[weir/health]] true 0", b.Addr())
	if got != plain {
		t.Errorf("got  %s\nwant %s", got, plain)
	}
	r = send(func(c *config.HealthCheck) {
		c.Method, c.Path, c.Host = "OPTIONS", "/a%2Fb?x=1&y=%20", "shop.example"
		c.Headers = []config.Header{
			{Name: "X-Token", Value: "one"}, {Name: "X-Token", Value: "two"},
			{Name: "Cookie", Value: "a=b"}, {Name: "user-agent", Value: "check/1"},
			{Name: "Connection", Value: "keep-alive"}, {Name: "Content-Length", Value: "5"},
		}
	})
	if r.Method != "OPTIONS" || r.RequestURI != "/a%2Fb?x=1&y=%20" || r.Host != "shop.example" {
		t.Errorf("got %s %s for %s", r.Method, r.RequestURI, r.Host)
	}
	if v := fmt.Sprint(r.Header["X-Token"], r.Header["Cookie"], r.Header["User-Agent"], r.Close, r.ContentLength); v != "[one two] [a=b] [check/1] true 0" {
		t.Errorf("fields: %s", v)
	}
	r = send(func(c *config.HealthCheck) { c.Headers = []config.Header{{Name: "Host", Value: "a.example"}} })
	if r.Host != "a.example" {
		t.Errorf("a configured Host field was not used: %s", r.Host)
	}
	if r = send(func(c *config.HealthCheck) { c.Method = "HEAD" }); r.Method != "HEAD" {
		t.Errorf("method %s, want HEAD", r.Method)
	}
}

func TestHTTPRequestBytes(t *testing.T) {
	c := httpCheck(func(c *config.HealthCheck) {
		c.Method = "POST"
		c.Headers = []config.Header{{Name: "x-api-KEY", Value: "k"}, {Name: "X-b", Value: "1"}}
	})
	got := string(requestBytes(c, address(1).String()))
	want := "POST /healthz HTTP/1.1\r\nUser-Agent: weir/health\r\nHost: 10.0.0.1:8080\r\nContent-Length: 0\r\n" +
		"x-api-KEY: k\r\nX-b: 1\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestHTTPProbeNamesTheHostThatItAsksFor(t *testing.T) {
	b := lbtest.NewHTTP(t, "b1")
	b.SetStatus(421)
	b.SetBody("")
	p := once(t, httpCheck(func(c *config.HealthCheck) { c.Host = "shop.example" }), b.Addr())
	want(t, p, b.Addr(), false, PhaseStatus, 421, "GET http://ADDR/healthz (host shop.example) → 421 (want 200)")
}

// What comes over the wire, byte for byte.
func TestHTTPProbeOfRawResponses(t *testing.T) {
	wantBody := func(re string) func(*config.HealthCheck) {
		return func(c *config.HealthCheck) { c.Body = re }
	}
	tests := []struct {
		name   string
		raw    string
		edit   func(*config.HealthCheck)
		ok     bool
		phase  string
		status int
		reason string
	}{
		{"HTTP/1.0, ended by closing", "HTTP/1.0 200 OK\r\n\r\nall ok", wantBody("ok$"), true, PhaseBody, 200, "200 in ⋯"},
		{"HTTP/1.1, ended by closing", "HTTP/1.1 200 OK\r\n\r\nall ok", wantBody("ok$"), true, PhaseBody, 200, "200 in ⋯"},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n3\r\n ok\r\n0\r\n\r\n",
			wantBody("^all ok$"), true, PhaseBody, 200, "200 in ⋯"},
		{"interim", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
			wantBody("^ok$"), true, PhaseBody, 200, "200 in ⋯"},
		{"cut body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nall ok", nil, false, PhaseBody, 200,
			`200 "all ok", connection closed within the body, after 6 bytes`},
		{"cut chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nall ok", nil, false, PhaseBody, 200,
			`200 "all ok", connection closed within the body, after 6 bytes`},
		{"bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", nil, false, PhaseBody, 200,
			"200, body not readable after 0 bytes: ⋯"},
		{"cut head", "HTTP/1.1 200 OK\r\nX-", nil, false, PhaseReceive, 0, `no valid HTTP response: "HTTP/1.1 200 OK X-"`},
		{"nothing", "", nil, false, PhaseReceive, 0, "connection closed without a response"},
		{"another protocol", "SSH-2.0-OpenSSH_9.2\r\n", nil, false, PhaseReceive, 0, `no valid HTTP response: "SSH-2.0-OpenSSH_9.2"`},
		{"endless head", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 70<<10), nil, false, PhaseReceive, 0,
			"response head larger than 64KiB"},
		{"large head", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 60<<10) + "\r\n\r\nok", wantBody("^ok$"), true, PhaseBody, 200, "200 in ⋯"},
		{"control characters", "HTTP/1.0 500 no\r\n\r\n\x1b[2J\x07boom\u202e", nil, false, PhaseStatus, 500,
			`500 "[2J boom` + "\ufffd" + `" (want 200)`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := lbtest.NewTCP(t, lbtest.Say(tt.raw))
			c := httpCheck(func(c *config.HealthCheck) { c.Timeout = 10 * time.Second })
			if tt.edit != nil {
				tt.edit(c)
			}
			want(t, once(t, c, b.Addr()), b.Addr(), tt.ok, tt.phase, tt.status, "GET http://ADDR/healthz → "+tt.reason)
		})
	}
}

func TestHTTPProbeOfPeersThatFail(t *testing.T) {
	c := httpCheck(func(c *config.HealthCheck) { c.Timeout = 10 * time.Second })
	addr := lbtest.Refusing(t)
	want(t, once(t, c, addr), addr, false, PhaseConnect, 0, "GET http://ADDR/healthz → connection refused")
	addr = lbtest.NewTCP(t, lbtest.Reset()).Addr()
	want(t, once(t, c, addr), addr, false, PhaseReceive, 0, "GET http://ADDR/healthz → connection reset by peer before a response")
	c.Timeout = 50 * time.Millisecond
	addr = lbtest.NewTCP(t, lbtest.Hang()).Addr()
	want(t, once(t, c, addr), addr, false, PhaseReceive, 0, "GET http://ADDR/healthz → no response within 50ms")
	c.Protocol = config.HTTPS
	want(t, once(t, c, addr), addr, false, PhaseTLS, 0, "GET https://ADDR/healthz → no TLS handshake within 50ms")
}

func TestHTTPSProbe(t *testing.T) {
	cert, other := lbtest.NewCertificate(t, "127.0.0.1", "b1.test"), lbtest.NewCertificate(t, "127.0.0.1")
	b := lbtest.NewHTTPS(t, "b1", cert)
	tests := []struct {
		name   string
		edit   func(*config.HealthCheck)
		ok     bool
		phase  string
		reason string
	}{
		{"trusted, by address", func(c *config.HealthCheck) {}, true, PhaseBody, "200 in ⋯"},
		{"trusted, by name", func(c *config.HealthCheck) { c.TLS.ServerName = "b1.test" }, true, PhaseBody, "200 in ⋯"},
		{"wrong name", func(c *config.HealthCheck) { c.TLS.ServerName = "b2.test" }, false, PhaseTLS,
			"TLS handshake: x509: certificate is valid for b1.test, not b2.test"},
		{"not trusted", func(c *config.HealthCheck) { c.TLS.CA = other.CertFile }, false, PhaseTLS,
			"TLS handshake: x509: certificate signed by unknown authority⋯"},
		{"not verified", func(c *config.HealthCheck) { c.TLS = config.BackendTLS{} }, true, PhaseBody, "200 in ⋯"},
		{"client certificate", func(c *config.HealthCheck) {
			c.TLS.ClientCert, c.TLS.ClientKey = other.CertFile, other.KeyFile
		}, true, PhaseBody, "200 in ⋯"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := httpCheck(func(c *config.HealthCheck) {
				c.Protocol, c.Timeout, c.TLS.CA = config.HTTPS, 10*time.Second, cert.CertFile
			}, tt.edit)
			p := once(t, c, b.Addr())
			status := 0
			if tt.ok {
				status = 200
			}
			want(t, p, b.Addr(), tt.ok, tt.phase, status, "GET https://ADDR/healthz → "+tt.reason)
		})
	}
	plain := lbtest.NewHTTP(t, "b2")
	c := httpCheck(func(c *config.HealthCheck) { c.Protocol, c.Plaintext = config.HTTPS, true })
	want(t, once(t, c, plain.Addr()), plain.Addr(), true, PhaseBody, 200, "GET http://ADDR/healthz → 200 in ⋯")
	c.Plaintext = false
	want(t, once(t, c, plain.Addr()), plain.Addr(), false, PhaseTLS, 0,
		"GET https://ADDR/healthz → TLS handshake: first record does not look like a TLS handshake")
}

func TestValidateReadsTLSFiles(t *testing.T) {
	cert := lbtest.NewCertificate(t, "127.0.0.1")
	c := httpCheck(func(c *config.HealthCheck) {
		c.Protocol, c.TLS.CA, c.TLS.ClientCert, c.TLS.ClientKey = config.HTTPS, "/does/not/exist", cert.CertFile, "/nor/this"
	})
	err := Validate(c)
	if err == nil || !strings.Contains(err.Error(), "tls.ca: open /does/not/exist") ||
		!strings.Contains(err.Error(), "tls.client_cert: open /nor/this") {
		t.Errorf("got %v, want both files named", err)
	}
	c.TLS.CA, c.TLS.ClientKey = cert.KeyFile, cert.KeyFile
	if err := Validate(c); err == nil || !strings.Contains(err.Error(), "no certificate in it") {
		t.Errorf("got %v, want that the CA file holds none", err)
	}
	c.TLS.CA = cert.CertFile
	if err := Validate(c); err != nil {
		t.Error(err)
	}
	c.Protocol = "icmp"
	if err := Validate(c); err == nil {
		t.Error("an icmp check is valid")
	}
}
