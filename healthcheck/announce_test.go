package healthcheck

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"weir/config"
	"weir/internal/lbtest"
)

// pour sends head and then filler without end.
func pour(head, filler string) lbtest.Serve {
	block := []byte(strings.Repeat(filler, 16<<10/len(filler)))
	return func(ctx context.Context, c *net.TCPConn) {
		_, err := io.WriteString(c, head)
		for err == nil && ctx.Err() == nil {
			_, err = c.Write(block)
		}
	}
}

// saySecurely is lbtest.Say over TLS.
func saySecurely(cert *lbtest.Certificate, text string) lbtest.Serve {
	return func(ctx context.Context, c *net.TCPConn) {
		s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert.Pair}, MinVersion: tls.VersionTLS12})
		if s.HandshakeContext(ctx) != nil {
			return
		}
		if _, err := io.WriteString(s, text); err != nil || s.CloseWrite() != nil {
			return
		}
		_, _ = io.Copy(io.Discard, s) // until the probe leaves
	}
}

// What a backend announces, or sends, costs no more than MaxBody and the head.
func TestAnnouncedLengthsCostNoMemory(t *testing.T) {
	const (
		huge     = "Content-Length: 18446744073709551615\r\n\r\n"
		tebibyte = "Content-Length: 1099511627776\r\n\r\n"
		http11   = "HTTP/1.1 200 OK\r\n"
	)
	notANumber := `no valid HTTP response: "HTTP/1.1 200 OK Content-Length: 18446744073709551615⋯`
	cut := "read only the first 4KiB of the body"
	tests := []struct {
		name   string
		method string
		serve  lbtest.Serve
		ok     bool
		phase  string
		status int
		reason string // how it begins
		note   string // and what is in it
	}{
		{"2^64-1, short", "GET", lbtest.Say(http11 + huge + "ok"), false, PhaseReceive, 0, notANumber, ""},
		{"2^64-1, endless", "GET", pour(http11+huge, "ok"), false, PhaseReceive, 0, notANumber, ""},
		{"2^64-1, HEAD", "HEAD", lbtest.Say(http11 + huge), false, PhaseReceive, 0, notANumber, ""},
		{"2^63-1, endless", "GET", pour(http11+"Content-Length: 9223372036854775807\r\n\r\n", "ok"), true, PhaseBody, 200, "200 in ⋯", cut},
		{"1 TiB, short", "GET", lbtest.Say(http11 + tebibyte + "ok"), false, PhaseBody, 200,
			`200 "ok", connection closed within the body, after 2 bytes`, ""},
		{"1 TiB, endless", "GET", pour(http11+tebibyte, "ok"), true, PhaseBody, 200, "200 in ⋯", cut},
		{"1 TiB, nothing", "GET", lbtest.Say(http11 + tebibyte), false, PhaseBody, 200,
			"200, connection closed within the body, after 0 bytes", ""},
		{"1 TiB, refused status", "GET", pour("HTTP/1.1 503 Busy\r\n"+tebibyte, "ok"), false, PhaseStatus, 503, `503 "ok⋯`, "want 200"},
		{"1 TiB, HEAD", "HEAD", lbtest.Say(http11 + tebibyte), true, PhaseBody, 200, "200 in ⋯", ""},
		{"1 TiB chunk", "GET", pour(http11+"Transfer-Encoding: chunked\r\n\r\n10000000000\r\n", "ok"), true, PhaseBody, 200, "200 in ⋯", cut},
		{"2^64-1 chunk", "GET", pour(http11+"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "ok"), false, PhaseBody, 200,
			"200, body not readable after 0 bytes: ⋯", ""},
		{"small chunks without end", "GET", pour(http11+"Transfer-Encoding: chunked\r\n\r\n", "2\r\nok\r\n"), true, PhaseBody, 200, "200 in ⋯", cut},
		{"endless trailer", "GET", pour(http11+"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: ", "x"), false, PhaseBody, 200,
			`200 "ok", body not readable after 2 bytes: ⋯`, ""},
		{"HTTP/1.0, endless", "GET", pour("HTTP/1.0 200 OK\r\n\r\n", "ok"), true, PhaseBody, 200, "200 in ⋯", cut},
		{"HTTP/1.0, 1 TiB, endless", "GET", pour("HTTP/1.0 200 OK\r\n"+tebibyte, "ok"), true, PhaseBody, 200, "200 in ⋯", cut},
		{"interim responses without end", "GET", pour("", "HTTP/1.1 100 Continue\r\n\r\n"), false, PhaseReceive, 0, "no valid HTTP response⋯", ""},
		{"endless head", "GET", pour(http11+"X: ", "x"), false, PhaseReceive, 0, "response head larger than 64KiB", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := lbtest.NewTCP(t, tt.serve).Addr()
			c := httpCheck(func(c *config.HealthCheck) {
				c.Method, c.Timeout, c.MaxBody = tt.method, 10*time.Second, 4<<10
			})
			var p Probe
			if got := allocated(func() { p = once(t, c, addr) }); got > 1<<20 {
				t.Errorf("%d bytes allocated", got)
			}
			want(t, p, addr, tt.ok, tt.phase, tt.status, tt.method+" http://ADDR/healthz → "+tt.reason)
			if !strings.Contains(p.Reason, tt.note) {
				t.Errorf("got %s, want %q in it", p.Reason, tt.note)
			}
		})
	}
}

// allocated is how many bytes the process allocated while f ran.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A response to HEAD has no body, whatever it announces, and the rules see an empty one.
func TestHeadHasAnEmptyBody(t *testing.T) {
	b := lbtest.NewTCP(t, lbtest.Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"))
	tests := []struct {
		name, body, bodyNot string
		ok                  bool
		reason              string
	}{
		{"body", "ok", "", false, `200 (want a body that matches "ok")`},
		{"body that may be empty", "^$", "", true, "200 in ⋯"},
		{"body_not", "", "ok", true, "200 in ⋯"},
		{"body_not that is empty", "", "^$", false, `200 (want a body that does not match "^$")`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := httpCheck(func(c *config.HealthCheck) {
				c.Method, c.Timeout, c.Body, c.BodyNot = "HEAD", 10*time.Second, tt.body, tt.bodyNot
			})
			want(t, once(t, c, b.Addr()), b.Addr(), tt.ok, PhaseBody, 200, "HEAD http://ADDR/healthz → "+tt.reason)
		})
	}
}

// Body rules over TLS, for a body that only the end of the connection ends.
func TestHTTPSBodyRules(t *testing.T) {
	cert := lbtest.NewCertificate(t, "127.0.0.1")
	tests := []struct {
		name, raw, body string
		ok              bool
		reason          string
	}{
		{"sized", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nall ok", "ok$", true, "200 in ⋯"},
		{"HTTP/1.0, ended by closing", "HTTP/1.0 200 OK\r\n\r\nall ok", "ok$", true, "200 in ⋯"},
		{"HTTP/1.0, another body", "HTTP/1.0 200 OK\r\n\r\nno", "ok$", false, `200 "no" (want a body that matches "ok$")`},
		{"1 TiB announced", "HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\nok", "ok$", false,
			`200 "ok", connection closed within the body, after 2 bytes`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := lbtest.NewTCP(t, saySecurely(cert, tt.raw))
			c := httpCheck(func(c *config.HealthCheck) {
				c.Protocol, c.Timeout, c.Body, c.TLS.CA = config.HTTPS, 10*time.Second, tt.body, cert.CertFile
			})
			var p Probe
			if got := allocated(func() { p = once(t, c, b.Addr()) }); got > 2<<20 {
				t.Errorf("%d bytes allocated", got)
			}
			want(t, p, b.Addr(), tt.ok, PhaseBody, 200, "GET https://ADDR/healthz → "+tt.reason)
		})
	}
}

// The reply to a tcp probe is bounded as well.
func TestTCPReplyCostsNoMoreThanMaxBody(t *testing.T) {
	b := lbtest.NewTCP(t, pour("", "x"))
	c := &config.HealthCheck{
		Protocol: config.TCP, Interval: 5 * time.Second, Timeout: 10 * time.Second, MaxBody: 4 << 10,
		Expect: config.Expect{Literal: []byte("PONG")},
	}
	var p Probe
	if got := allocated(func() { p = once(t, c, b.Addr()) }); got > 256<<10 {
		t.Errorf("%d bytes allocated", got)
	}
	if p.OK || !strings.Contains(p.Reason, `in the first 4KiB (want "PONG")`) {
		t.Errorf("got %+v, want a reply that is too long", p)
	}
}
