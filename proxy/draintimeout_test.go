package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir/balancer"
	"weir/config"
	"weir/internal/lbtest"
)

// drainTimeout sets that of the pool app.
func drainTimeout(d time.Duration) func(*config.Config) {
	return func(c *config.Config) { c.Pools["app"].DrainTimeout = d }
}

// soon is a drain_timeout that passes within a test.
const soon = 200 * time.Millisecond

// setState is the operator's word about a backend of the pool app.
func (r *rig) setState(name string, state config.State) {
	r.t.Helper()
	if err := r.pool().SetAdmin(name, balancer.Override{State: &state}, time.Now()); err != nil {
		r.t.Fatal(err)
	}
}

// beginWithout sends a request while the other backend takes none.
func (r *rig) beginWithout(other, text string) *client {
	r.t.Helper()
	zero := 0
	if err := r.pool().SetAdmin(other, balancer.Override{Weight: &zero}, time.Now()); err != nil {
		r.t.Fatal(err)
	}
	c := r.begin(text)
	lbtest.Eventually(r.t, patience, func() bool { return r.leases() > 0 })
	if err := r.pool().SetAdmin(other, balancer.Override{}, time.Now()); err != nil {
		r.t.Fatal(err)
	}
	return c
}

// unfinished begins a response and leaves the rest to the test.
func unfinished(t *testing.T, head string) *origin {
	return newOrigin(t, func(s *side) {
		if _, ok := s.head(); ok && s.send(head) {
			_, _ = io.Copy(io.Discard, s) // until the other side ends
		}
	})
}

// TestDrainTimeoutCuts every kind of work that is left on the backend.
func TestDrainTimeoutCuts(t *testing.T) {
	const get, post = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n", "POST / HTTP/1.1\r\nHost: shop.example\r\n"
	tests := []struct {
		name, request, begins string // of the response, for ever
		status                int    // 0: the response that began is cut off
		framed                bool   // so that a cut shows by itself
	}{
		{"without an answer", post + "Content-Length: 2\r\n\r\nhi", "", 503, true},
		{"of known length", get, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart", 0, true},
		{"in chunks", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n", 0, true},
		{"to the end of the connection", get, "HTTP/1.1 200 OK\r\n\r\npart", 0, false},
		{"upload", post + "Content-Length: 100\r\n\r\npart", "", 503, true},
		{"tunnel", "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
			"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\npart", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := unfinished(t, tt.begins)
			spare := named(t, "b2", "")
			r := start(t, site("", "", o.Addr(), spare.Addr()), drainTimeout(soon))
			c := r.beginWithout("b2", tt.request)
			lbtest.Eventually(t, patience, func() bool { return o.requests() == 1 })
			began := time.Now()
			r.setState("b1", config.Drain)
			if tt.status != 0 {
				if a := c.want("POST", tt.status, "out of service"); a.Header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			} else {
				b, err := io.ReadAll(c)
				if !strings.HasSuffix(string(b), "part") && !strings.HasSuffix(string(b), "part\r\n") {
					t.Errorf("got %q, want what had come before", b)
				}
				if !tt.framed && err == nil {
					t.Error("a response that was cut off looks whole")
				}
			}
			if d := time.Since(began); d < soon {
				t.Errorf("cut after %v, drain_timeout is %v", d, soon)
			}
			lbtest.Eventually(t, patience, func() bool { return o.Open() == 0 && r.leases() == 0 })
			r.metric(`weir_http_outcomes_total{listener="web",outcome="drain_timeout",pool="app"} 1`)
		})
	}
}

// TestDrainTimeoutRetries sends what may be sent again to another backend, and keeps the client.
func TestDrainTimeoutRetries(t *testing.T) {
	o, spare := unfinished(t, ""), named(t, "b2", "")
	r := start(t, site("", "retries: { budget: 100% }", o.Addr(), spare.Addr()), drainTimeout(soon))
	c := r.beginWithout("b2", getBusy)
	lbtest.Eventually(t, patience, func() bool { return o.requests() == 1 })
	r.setState("b1", config.Drain)
	c.want("GET", 200, "b2")
	c.get("/", "b2")
	r.wantOutcomes("retried_ok 1 ok 1")
}

// TestDrainTimeoutOfSessions: until then they stay, afterwards the fallback says where they go.
func TestDrainTimeoutOfSessions(t *testing.T) {
	for _, fallback := range []string{"rebalance", "fail"} {
		t.Run(fallback, func(t *testing.T) {
			_, addrs := three(t, "")
			r := start(t, site("", strings.Replace(httpCookie, "type:", "fallback: "+fallback+", type:", 1), addrs...), drainTimeout(time.Hour))
			first := r.dial().askWith("")
			cookie := issued(first)
			r.setState(first.body, config.Drain)
			if a := r.dial().askWith(cookie); a.body != first.body {
				t.Fatalf("the session went to %s at once", a.body)
			}
			next := load(t, site("", strings.Replace(httpCookie, "type:", "fallback: "+fallback+", type:", 1), addrs...), drainTimeout(time.Nanosecond))
			next.Listeners["web"].Addresses = r.s.Listeners()[0].Config.Addresses
			r.apply(next) // which shortens it
			lbtest.Eventually(t, patience, func() bool {
				c := r.dial()
				c.send("GET / HTTP/1.1\r\nHost: shop.example\r\nCookie: " + cookie + "\r\n\r\n")
				a := c.receive("GET")
				if fallback == "fail" {
					return a.StatusCode == 503
				}
				return a.StatusCode == 200 && a.body != first.body && issued(a) != ""
			})
			r.setState(first.body, config.Ready)
			lbtest.Eventually(t, patience, func() bool { return r.dial().askWith(cookie).body == first.body })
		})
	}
}

// TestDrainStops: a backend that is ready again keeps what is on it.
func TestDrainStops(t *testing.T) {
	g := newGated(t, "b1")
	r := start(t, site("", "", g.Addr()), drainTimeout(soon))
	c := r.begin(getBusy)
	<-g.arrived
	r.setState("b1", config.Drain)
	r.setState("b1", config.Ready)
	r.s.steward.drain(time.Now().Add(time.Hour))
	g.let <- struct{}{}
	c.want("GET", 200, "b1")
}

// TestDrainTimeoutOfTheRemoved: of a backend, and of a whole pool.
func TestDrainTimeoutOfTheRemoved(t *testing.T) {
	for _, gone := range []string{"backend", "pool"} {
		t.Run(gone, func(t *testing.T) {
			o, spare := unfinished(t, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart"), named(t, "b2", "")
			r := start(t, site("", "", o.Addr()), drainTimeout(soon))
			c := r.begin(getBusy)
			lbtest.Eventually(t, patience, func() bool { return o.requests() == 1 })
			text := site("", "", spare.Addr())
			if gone == "pool" {
				text = strings.ReplaceAll(text, "app", "next")
			}
			next := load(t, text)
			next.Listeners["web"].Addresses = r.s.Listeners()[0].Config.Addresses
			if gone == "backend" {
				drainTimeout(soon)(next)
			}
			r.apply(next)
			r.dial().get("/", "b2")
			if b, err := io.ReadAll(c); !strings.HasSuffix(string(b), "part") || err != nil {
				t.Errorf("got %q %v, want what had come before", b, err)
			}
			lbtest.Eventually(t, patience, func() bool { return o.Open() == 0 && r.leases() == 0 })
		})
	}
}

// TestDrainOfAllGoesOn: where every backend drains, they serve, and nothing is cut.
func TestDrainOfAllGoesOn(t *testing.T) {
	g := newGated(t, "b1")
	r := start(t, site("", "", g.Addr()), drainTimeout(soon))
	r.setState("b1", config.Drain)
	c := r.begin(getBusy)
	<-g.arrived
	r.s.steward.drain(time.Now().Add(time.Hour))
	r.dial().get("/free", "b1")
	g.let <- struct{}{}
	c.want("GET", 200, "b1")
}

// TestDrainCutsTLS cuts a response over TLS on both sides without an alert that would make it whole.
func TestDrainCutsTLS(t *testing.T) {
	cert := lbtest.NewCertificate(t, "b1.example")
	o := newTLSOrigin(t, serverTLS(cert), func(s *side) {
		if _, ok := s.head(); ok && s.send("HTTP/1.1 200 OK\r\n\r\npart") {
			_, _ = io.Copy(io.Discard, s)
		}
	})
	spare := newTLSOrigin(t, serverTLS(cert), each(func(string, string) string { return ok200 }))
	pool := fmt.Sprintf("protocol: https\ntls: { ca: %q, server_name: b1.example }", cert.CertFile)
	r := start(t, site("", pool, o.Addr(), spare.Addr()), drainTimeout(soon))
	res, err := http.ReadResponse(r.beginWithout("b2", getBusy).r, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.setState("b1", config.Drain)
	if b, err := io.ReadAll(res.Body); string(b) != "part" || err == nil {
		t.Errorf("got %q %v, want a part and an error", b, err)
	}
	res.Body.Close()
}
