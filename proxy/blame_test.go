package proxy

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/lbtest"
)

// The time-out for a response begins when the upload ends, also for a head that comes in parts.
func TestSlowUploadLeavesTimeForTheHead(t *testing.T) {
	o := newOrigin(t, func(s *side) {
		if _, ok := s.head(); !ok {
			return
		}
		if _, err := io.ReadFull(s.r, make([]byte, 6)); err != nil {
			return
		}
		s.send("HTTP/1.1 200 OK\r\n")
		<-time.After(50 * time.Millisecond)
		s.send("Content-Length: 2\r\n\r\nok")
	})
	r := start(t, site("", "timeouts: { backend_response: 400ms }", o.Addr()))
	c := r.dial()
	c.send("POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 6\r\n\r\n")
	for range 6 {
		<-time.After(100 * time.Millisecond)
		c.send("x")
	}
	c.want("POST", 200, "ok")
}

// A Cookie that a route removes does not come back with what is left beside our own.
func TestRouteRemovesCookieBesideOurs(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("routes:\n  - { path_prefix: /, pool: app, request_headers: { remove: [Cookie] } }", httpCookie, o.Addr()))
	for _, cookie := range []string{"secret=1", "WEIR=x; secret=1"} {
		r.dial().askWith(cookie)
		if got := o.last(); strings.Contains(got, "secret") || strings.Contains(got, "Cookie") {
			t.Errorf("%s: the backend got %q", cookie, got)
		}
	}
}

// A response that sets our cookie is private, and keeps what else the backend said of caches.
func TestOwnCookieKeepsResponsesOutOfCaches(t *testing.T) {
	tests := []struct {
		lines string
		want  []string
	}{
		{"Cache-Control: no-cache, must-revalidate\r\n", []string{"no-cache, must-revalidate", "private"}},
		{"Cache-Control: max-age=0\r\nCache-Control: no-store\r\n", []string{"max-age=0", "no-store", "private"}},
		{"Cache-Control: public\r\nCache-Control: S-MaxAge=60\r\n", []string{"private"}},
	}
	for _, tt := range tests {
		r := start(t, site("", httpCookie, named(t, "b1", tt.lines).Addr()))
		if got := r.dial().askWith("").Header.Values("Cache-Control"); !slices.Equal(got, tt.want) {
			t.Errorf("%q became %q, want %q", tt.lines, got, tt.want)
		}
	}
}

// A peer whose word is trusted is denied as anybody is when it speaks for itself.
func TestDeniedProxyWithoutAClient(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("deny: [127.0.0.1]\nforwarded: { trust: [127.0.0.0/8] }", "", o.Addr()))
	c := r.dial()
	for _, line := range []string{"", "X-Forwarded-For: garbage\r\n"} {
		c.send("GET / HTTP/1.1\r\nHost: shop.example\r\n" + line + "\r\n")
		c.want("GET", 403, "may not")
	}
	c.send("GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
	c.want("GET", 200, "ok")
}

// A client that stalls its body while the response streams ends the exchange; the backend is not to
// blame.
func TestStalledUploadIsTheClientsFault(t *testing.T) {
	o := newOrigin(t, func(s *side) {
		if _, ok := s.head(); ok {
			s.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
			_, _ = io.Copy(io.Discard, s)
		}
	})
	r := start(t, site("timeouts: { client_body_idle: 150ms }", "", o.Addr()))
	c := r.dial()
	c.send("POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 10\r\n\r\nx")
	r.wantOutcomes("client_timeout 1")
}

// So does one that takes nothing of a tunnel.
func TestTunnelClientThatTakesNothing(t *testing.T) {
	o := newOrigin(t, func(s *side) {
		if _, ok := s.head(); !ok || !s.send(switching) {
			return
		}
		b := make([]byte, 1<<20)
		for {
			if _, err := s.Write(b); err != nil {
				return
			}
		}
	})
	r := start(t, site("timeouts: { client_write_idle: 150ms }", "", o.Addr()))
	c := r.dial()
	c.send(upgradeRequest)
	c.switched()
	r.wantOutcomes("client_timeout 1")
}

// A connection that was made in the clear ends once the listener asks for TLS.
func TestConnectionsEndWhenTLSIsAskedFor(t *testing.T) {
	cert := lbtest.NewCertificate(t, "shop.example")
	o := answering(t, ok200)
	text := site("", "", o.Addr())
	r := start(t, text)
	c := r.dial()
	c.get("/", "ok")
	secure := secureSite(cert, "", "", o.Addr())
	r.apply(load(t, secure))
	c.send(getShop)
	if a := c.want("GET", 200, "ok"); !a.Close {
		t.Error("the connection in the clear goes on")
	}
	c.wantEnd()
	s := r.dialTLS(trusting(t, cert))
	s.ask(getShop)
	s.want("GET", 200, "ok")
}
