package proxy

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"weir/internal/lbtest"
)

func TestConnectFailureGoesToTheNextBackend(t *testing.T) {
	for _, method := range []string{"GET", "POST", "BREW"} {
		t.Run(method, func(t *testing.T) {
			o := answering(t, ok200)
			r := start(t, site("", "", lbtest.Refusing(t), o.Addr(), lbtest.Refusing(t)))
			c := r.dial()
			for range 6 {
				c.send(method + " / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
				c.want(method, 200, "ok")
			}
			c.send(method + " / HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 20000))
			c.want(method, 200, "ok")
			if got := o.requests(); got != 7 {
				t.Errorf("the backend got %d requests, want each once", got)
			}
			if got := r.stats.Pool("app").Counts().Retries; got == 0 {
				t.Error("no retry was counted")
			}
		})
	}
}

func TestConnectFailureOfAll(t *testing.T) {
	r := start(t, site("", "", lbtest.Refusing(t), lbtest.Refusing(t), lbtest.Refusing(t)))
	c := r.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if a := c.want("GET", 503, ""); a.Header.Get("Retry-After") == "" || a.Close {
		t.Errorf("got %v, want Retry-After and the connection kept", a.Header)
	}
	r.wantOutcomes("backend_connect 1")
	for _, b := range []string{"b1", "b2", "b3"} {
		if got := r.stats.Backend("app", b).Counts().ConnectErrors; got != 1 {
			t.Errorf("%s was tried %d times, want once", b, got)
		}
	}
}

// TestRetriesAreTries: what is counted is that another backend was tried, not that one was wanted.
func TestRetriesAreTries(t *testing.T) {
	for n := range uint64(3) {
		var addrs []fmt.Stringer
		for range n + 1 {
			addrs = append(addrs, lbtest.Refusing(t))
		}
		r := start(t, site("", "", addrs...))
		c := r.dial()
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		c.want("GET", 503, "")
		if got := r.stats.Pool("app").Counts().Retries; got != n {
			t.Errorf("%d retries were counted with %d backends, want %d", got, n+1, n)
		}
	}
}

func TestConnectFailureWithoutRetries(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("", "retries: { on: [] }", lbtest.Refusing(t), o.Addr()))
	c := r.dial()
	var failed int
	for range 4 {
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if a := c.receive("GET"); a.StatusCode == 503 {
			failed++
		}
	}
	if failed != 2 {
		t.Errorf("%d of 4 failed, want the half that met the dead backend", failed)
	}
}

func TestNoBackend(t *testing.T) {
	o := answering(t, ok200)
	tests := []struct{ name, state, outcome string }{
		{"maintenance", "state: maintenance", "no_backend_up 1"},
		{"weight 0", "weight: 0", "no_capacity 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(site("", "", o.Addr()), "\" }", "\", "+tt.state+" }", 1)
			r := start(t, text)
			c := r.dial()
			c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			if a := c.want("GET", 503, ""); a.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			r.wantOutcomes(tt.outcome)
		})
	}
}

func TestNoRoute(t *testing.T) {
	o := answering(t, ok200)
	text := strings.Replace(site("routes: [{ host: shop.example, pool: app }]", "", o.Addr()), "    pool: app\n", "", 1)
	r := start(t, text)
	c := r.dial()
	c.send("GET / HTTP/1.1\r\nHost: other.example\r\n\r\n")
	c.want("GET", 421, "no route")
	c.get("/", "ok")
	r.wantOutcomes("no_route 1 ok 1")
}

// resetting takes a request whole and resets the connection instead of an answer.
func resetting(t *testing.T) *origin {
	return newOrigin(t, func(s *side) {
		if _, _, ok := s.request(); ok {
			s.reset()
		}
	})
}

func TestResetBeforeTheFirstByte(t *testing.T) {
	tests := []struct {
		name, request string
		replayed      bool
	}{
		{"GET", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", true},
		{"PUT with its body at hand", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", true},
		{"POST", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", false},
		{"POST without body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", false},
		{"PATCH", "PATCH / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", false},
		{"unknown method", "BREW / HTTP/1.1\r\nHost: h\r\n\r\n", false},
		{"POST streamed", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 20000), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bad, good := resetting(t), answering(t, ok200)
			// Weight 0.4 %: nearly every pick is the bad one, whatever the start of the rotation.
			text := site("", "", bad.Addr(), good.Addr())
			text = strings.Replace(text, "b1: { ", "b1: { weight: 256, ", 1)
			r := start(t, text)
			c := r.dial()
			var sent int
			for bad.requests() == 0 {
				c.send(tt.request)
				sent++
				a := c.receive("POST")
				switch {
				case bad.requests() == 0 || tt.replayed:
					if a.StatusCode != 200 {
						t.Fatalf("got %d %q, want 200", a.StatusCode, a.body)
					}
				case a.StatusCode != 502:
					t.Fatalf("got %d %q, want 502", a.StatusCode, a.body)
				}
			}
			got := bad.requests() + good.requests()
			want := sent
			if tt.replayed {
				want++
			}
			if got != want {
				t.Errorf("%d requests arrived for %d sent, want %d", got, sent, want)
			}
		})
	}
}

func TestResetOfAll(t *testing.T) {
	a, b := resetting(t), resetting(t)
	r := start(t, site("", "", a.Addr(), b.Addr()))
	c := r.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	c.want("GET", 502, "closed the connection")
	r.wantOutcomes("backend_reset 1")
	if a.requests() != 1 || b.requests() != 1 {
		t.Errorf("%d and %d requests arrived, want one each", a.requests(), b.requests())
	}
}

func TestRetryAttemptsAreBounded(t *testing.T) {
	origins := make([]*origin, 5)
	var addrs []fmt.Stringer
	for i := range origins {
		origins[i] = resetting(t)
		addrs = append(addrs, origins[i].Addr())
	}
	r := start(t, site("", "retries: { attempts: 2 }", addrs...))
	c := r.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	c.want("GET", 502, "")
	n := 0
	for _, o := range origins {
		n += o.requests()
	}
	if n != 3 {
		t.Errorf("%d tries, want the first and 2 more", n)
	}
	if got := r.stats.Pool("app").Counts().Retries; got != 2 {
		t.Errorf("%d retries were counted, want 2", got)
	}
}

// Retries after a reset are a share of the requests; beyond it a failure stays one.
func TestRetryBudget(t *testing.T) {
	a, b := resetting(t), resetting(t)
	r := start(t, site("", "retries: { attempts: 1, budget: 10% }", a.Addr(), b.Addr()))
	c := r.dial()
	const sent = 200
	for range sent {
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		c.want("GET", 502, "")
	}
	retries := a.requests() + b.requests() - sent
	if retries < 3 || retries > sent*15/100 {
		t.Errorf("%d retries of %d requests, want about 10 %%", retries, sent)
	}
}

// One backend of two dies under load: what was not in flight on it does not fail.
func TestKillOfABackendUnderLoad(t *testing.T) {
	dying, healthy := lbtest.NewHTTP(t, "dying"), lbtest.NewHTTP(t, "healthy")
	r := start(t, site("", "", dying.Addr(), healthy.Addr()))
	var failed, done atomic.Int64
	stop := make(chan struct{})
	finished := make(chan struct{})
	const clients = 16
	for range clients {
		c := r.dial()
		go func() {
			defer func() { finished <- struct{}{} }()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"); err != nil {
					t.Error(err)
					return
				}
				if a := c.receive("POST"); a.StatusCode != 200 {
					failed.Add(1)
				}
				done.Add(1)
			}
		}()
	}
	lbtest.Eventually(t, patience, func() bool { return done.Load() > 500 })
	before := failed.Load()
	dying.Stop()
	at := done.Load()
	lbtest.Eventually(t, patience, func() bool { return done.Load() > at+1000 })
	close(stop)
	for range clients {
		<-finished
	}
	if before != 0 || failed.Load() > clients {
		t.Errorf("%d requests failed before and %d after the kill, want 0 and at most %d", before, failed.Load(), clients)
	}
}

// A request that has met a dead connection goes out again only where the pool wants that.
func TestStaleConnectionsFollowTheRetries(t *testing.T) {
	for retries, want := range map[string]int{
		"retries: { attempts: 0 }":           502,
		"retries: { on: connect_failure }":   502,
		"retries: { on: reset, budget: 0% }": 200,
	} {
		o := newOrigin(t, func(s *side) {
			if _, ok := s.head(); !ok || !s.send(ok200) {
				return
			}
			s.head() // the second one is read, and gets no answer
		})
		r := start(t, site("", retries, o.Addr()))
		r.dial().get("/1", "ok")
		r.wantOutcomes("ok 1") // and its connection is there to be used again
		c := r.dial()
		c.send("GET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
		c.want("GET", want, "")
	}
}
