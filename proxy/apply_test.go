package proxy

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/balancer"
	"weir/internal/lbtest"
)

// traffic sends GETs over n connections until the test stops it, and counts failures.
type traffic struct {
	done, failed atomic.Int64
	stop         chan struct{}
	ended        chan struct{}
	n            int
}

func (r *rig) traffic(n int) *traffic {
	f := &traffic{stop: make(chan struct{}), ended: make(chan struct{}, n), n: n}
	for range n {
		c := r.dial()
		go func() {
			defer func() { f.ended <- struct{}{} }()
			for {
				select {
				case <-f.stop:
					return
				default:
				}
				c.SetDeadline(time.Now().Add(patience))
				c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
				if a := c.receive("GET"); a.StatusCode != 200 || a.err != nil || a.Close {
					f.failed.Add(1)
				}
				f.done.Add(1)
			}
		}()
	}
	return f
}

func (f *traffic) end(t *testing.T) {
	t.Helper()
	close(f.stop)
	for range f.n {
		<-f.ended
	}
	if f.failed.Load() != 0 || f.done.Load() == 0 {
		t.Errorf("%d of %d requests failed", f.failed.Load(), f.done.Load())
	}
}

// Everything that can change without a listener moving changes under traffic, and no request fails.
func TestApplyUnderTraffic(t *testing.T) {
	a, b, c := lbtest.NewHTTP(t, "a"), lbtest.NewHTTP(t, "b"), lbtest.NewHTTP(t, "c")
	texts := []string{
		site("", "", a.Addr(), b.Addr()),
		site("", "", a.Addr(), b.Addr(), c.Addr()),
		site("", "", c.Addr(), b.Addr()), // b1 moves
		site("", "algorithm: least_connections", b.Addr()),
		site("routes: [{ path_prefix: /, pool: other }]", "", a.Addr()) +
			fmt.Sprintf("  other:\n    health_check: none\n    backends: [\"%s\"]\n", c.Addr()),
		site("timeouts: { client_idle: 10s }", "algorithm: source_ip\nretries: { attempts: 0 }", b.Addr(), c.Addr()),
	}
	r := start(t, texts[0])
	f := r.traffic(8)
	for range 10 {
		for _, text := range texts {
			at := f.done.Load()
			r.apply(load(t, text))
			lbtest.Eventually(t, patience, func() bool { return f.done.Load() > at+50 })
		}
	}
	f.end(t)
	for _, o := range []*lbtest.HTTP{a, b, c} {
		if o.Requests() == 0 {
			t.Errorf("%s got no request", o.Name())
		}
	}
}

// What is the same in the new configuration stays the same in the data plane.
func TestApplyKeepsIdentity(t *testing.T) {
	cert := lbtest.NewCertificate(t, "127.0.0.1")
	for _, tls := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", tls), func(t *testing.T) {
			reply := each(func(string, string) string { return ok200 })
			o, other := newOrigin(t, reply), newOrigin(t, reply)
			pool := ""
			if tls {
				o, other = newTLSOrigin(t, serverTLS(cert), reply), newTLSOrigin(t, serverTLS(cert), reply)
				pool = fmt.Sprintf("protocol: https\ntls: { ca: %q }", cert.CertFile)
			}
			r := start(t, site("", pool, o.Addr()))
			c := r.dial()
			c.get("/", "ok")
			lbtest.Eventually(t, patience, func() bool { return r.leases() == 0 })
			before, addr := r.backend("app", "b1"), r.addr()
			for _, text := range []string{
				site("", pool, o.Addr()),
				strings.Replace(site("", pool, o.Addr()), "b1: {", "b1: { weight: 7,", 1),
				site("", pool+"\ntimeouts: { backend_response: 10s }", o.Addr(), other.Addr()),
				site("", pool, o.Addr()),
			} {
				r.apply(load(t, text))
				if r.backend("app", "b1") != before || r.addr() != addr {
					t.Fatal("the backend or the listener is another one")
				}
			}
			c.get("/", "ok")
			if got := o.Accepted(); got != 1 {
				t.Errorf("%d connections to the backend, want 1", got)
			}
			r.wantOutcomes("ok 2") // which the backend's count precedes
			if got := r.stats.Backend("app", "b1").Counts().Requests; got != 2 {
				t.Errorf("%d requests are counted, want 2", got)
			}
		})
	}
}

func TestApplyKeepsHealth(t *testing.T) {
	o := newOrigin(t, func(s *side) {
		if first, err := s.r.Peek(1); err == nil && first[0] == 'x' {
			<-s.o.step // only the first probe is answered in time
			s.send("y")
			return
		}
		each(func(string, string) string { return ok200 })(s)
	})
	close(o.step)
	r := start(t, checkedSite("", o.Addr()))
	r.dial().get("/", "ok")
	b := r.backend("app", "b1")
	since := b.Since()
	change := r.apply(load(t, checkedSite("timeouts: { queue: 1s }", o.Addr())))
	if got, want := change.String(), "1 pool changed"; got != want {
		t.Errorf("changed: %s, want %s", got, want)
	}
	if change := r.apply(load(t, "# the same, one line lower\n"+checkedSite("timeouts: { queue: 1s }", o.Addr()))); change != (Change{}) {
		t.Errorf("changed: %v, want nothing", change)
	}
	if got := r.backend("app", "b1"); got != b || got.Health() != balancer.Up || got.Since() != since {
		t.Error("the health began anew")
	}
}

func TestRemovedBackendLosesItsIdleConnections(t *testing.T) {
	gone, stays := answering(t, ok200), answering(t, ok200)
	r := start(t, site("", "", stays.Addr(), gone.Addr()))
	c := r.dial()
	for range 4 {
		c.get("/", "ok")
	}
	if gone.Open() != 1 || stays.Open() != 1 {
		t.Fatalf("%d and %d connections are open, want one each", gone.Open(), stays.Open())
	}
	change := r.apply(load(t, site("", "", stays.Addr())))
	if got := change.String(); got != "1 backend removed" {
		t.Errorf("Change is %q", got)
	}
	lbtest.Eventually(t, patience, func() bool { return gone.Open() == 0 })
	c.get("/", "ok")
	if stays.Accepted() != 1 {
		t.Error("the connections of the backend that stays were closed too")
	}
}

// A request on a backend that is removed under it comes to its end, and its connection is closed.
func TestRemovedBackendFinishesWhatItDoes(t *testing.T) {
	slow := newOrigin(t, func(s *side) {
		for {
			if _, _, ok := s.request(); !ok {
				return
			}
			<-s.o.step
			s.send(ok200)
		}
	})
	fast := answering(t, ok200)
	r := start(t, site("", "", slow.Addr()))
	c := r.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	lbtest.Eventually(t, patience, func() bool { return slow.requests() == 1 })
	text := strings.Replace(site("", "", fast.Addr()), "b1", "b2", 1)
	r.apply(load(t, text))
	close(slow.step)
	c.want("GET", 200, "ok")
	lbtest.Eventually(t, patience, func() bool { return slow.Open() == 0 })
	c.get("/", "ok")
	if fast.requests() != 1 {
		t.Error("the connection goes on with the old backend")
	}
}

func TestListenersComeAndGo(t *testing.T) {
	o := answering(t, ok200)
	one := site("", "", o.Addr())
	two := strings.Replace(one, "pools:", "  extra: { protocol: http, address: \"127.0.0.1:0\", pool: app }\npools:", 1)
	r := start(t, one)
	keep := r.dial()
	keep.get("/", "ok")
	if got := r.apply(load(t, two)).String(); got != "1 listener added" {
		t.Errorf("Change is %q", got)
	}
	addr := r.addr("extra")
	idle := dial(t, addr)
	idle.get("/", "ok")
	if got := r.apply(load(t, one)).String(); got != "1 listener removed" {
		t.Errorf("Change is %q", got)
	}
	idle.getLast("/", "ok")
	if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
		conn.Close()
		t.Error("a removed listener accepts")
	}
	keep.get("/", "ok")

	moved := strings.Replace(one, "127.0.0.1:0", "127.0.0.2:0", 1)
	if got := r.apply(load(t, moved)).String(); got != "1 listener moved" {
		t.Errorf("Change is %q", got)
	}
	keep.getLast("/", "ok")
	if !strings.HasPrefix(r.addr(), "127.0.0.2:") {
		t.Errorf("the listener is at %s", r.addr())
	}
	r.dial().get("/", "ok")
}

// A request in flight on a listener that is removed comes to its end, and Shutdown waits for it.
func TestRemovedListenerFinishesWhatItDoes(t *testing.T) {
	o := newOrigin(t, func(s *side) {
		if _, _, ok := s.request(); ok {
			<-s.o.step
			s.send(ok200)
		}
	})
	one := site("", "", o.Addr())
	two := strings.Replace(one, "pools:", "  extra: { protocol: http, address: \"127.0.0.1:0\", pool: app }\npools:", 1)
	r := start(t, two)
	c := dial(t, r.addr("extra"))
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	lbtest.Eventually(t, patience, func() bool { return o.requests() == 1 })
	r.apply(load(t, one))
	close(o.step)
	if a := c.want("GET", 200, "ok"); !a.Close {
		t.Error("the response does not say that the connection ends")
	}
	c.wantEnd()
}

func TestFailedApplyChangesNothing(t *testing.T) {
	o := answering(t, ok200)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(notPEM, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	one := site("", "", o.Addr())
	other := lbtest.Refusing(t)
	tests := []struct{ name, text, says string }{
		{"port taken", strings.Replace(site("", "", other), "pools:",
			fmt.Sprintf("  a: { protocol: http, address: \"127.0.0.1:0\", pool: app }\n  extra: { protocol: http, address: %q, pool: app }\npools:", taken.Addr()), 1), "listeners.extra"},
		{"no such CA", site("", fmt.Sprintf("protocol: https\ntls: { ca: %q }", notPEM+".none"), other), "pools.app.tls.ca"},
		{"bad CA", site("", fmt.Sprintf("protocol: https\ntls: { ca: %q }", notPEM), other), "no certificate"},
	}
	r := start(t, one)
	c := r.dial()
	c.get("/", "ok")
	lbtest.Eventually(t, patience, func() bool { return r.leases() == 0 })
	before := r.backend("app", "b1")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sockets0 := sockets()
			_, err := r.s.Apply(load(t, tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("got %v, want an error about %s", err, tt.says)
			}
			if sockets1 := sockets(); sockets1 != sockets0 {
				t.Errorf("%d sockets are open, want %d", sockets1, sockets0)
			}
			if r.backend("app", "b1") != before || len(r.s.Listeners()) != 1 {
				t.Error("something has changed")
			}
			c.get("/", "ok")
			if o.Accepted() != 1 {
				t.Error("the idle connection was given up")
			}
		})
	}
}

func TestFailedStartLeavesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	before := sockets()
	text := strings.Replace(site("", "", lbtest.Refusing(t)), "127.0.0.1:0", taken.Addr().String(), 1)
	s, err := New(Options{Config: load(t, text), Log: quietLog, Telemetry: newStats()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "listeners.web") {
		t.Fatalf("Start: %v, want an error about the address", err)
	}
	if after := sockets(); after != before+1 { // of lbtest.Refusing
		t.Errorf("%d sockets are open, want %d", after, before+1)
	}
}

// A pool that changes its protocol or whom it trusts must not go on with connections of before.
func TestChangedTransportGivesUpIdleConnections(t *testing.T) {
	good, bad := lbtest.NewCertificate(t, "127.0.0.1"), lbtest.NewCertificate(t, "127.0.0.1")
	o := newTLSOrigin(t, serverTLS(good), each(func(string, string) string { return ok200 }))
	https := func(tls string) string { return site("", "protocol: https\ntls: { "+tls+" }", o.Addr()) }
	r := start(t, https("verify: false"))
	c := r.dial()
	c.get("/", "ok")
	lbtest.Eventually(t, patience, func() bool { return r.leases() == 0 })
	r.apply(load(t, https(fmt.Sprintf("ca: %q", bad.CertFile))))
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	c.want("GET", 502, "TLS")
	r.apply(load(t, https(fmt.Sprintf("ca: %q", good.CertFile))))
	c.get("/", "ok")

	plain := newOrigin(t, func(s *side) {
		if first, err := s.r.Peek(1); err == nil && first[0] < ' ' {
			s.send("HTTP/1.1 400 Bad Request\r\n\r\n") // no HTTP
			return
		}
		each(func(string, string) string { return ok200 })(s)
	})
	r = start(t, site("", "", plain.Addr()))
	c = r.dial()
	c.get("/", "ok")
	lbtest.Eventually(t, patience, func() bool { return r.leases() == 0 })
	r.apply(load(t, site("", "protocol: https", plain.Addr())))
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	c.want("GET", 502, "TLS")
}

// Readers always find the configuration of a pool that they see.
func TestReadersDuringApply(t *testing.T) {
	o := answering(t, ok200)
	one := load(t, site("", "", o.Addr()))
	two := load(t, site("", "", o.Addr())+fmt.Sprintf("  other:\n    health_check: none\n    backends: [\"%s\"]\n", o.Addr()))
	r := start(t, site("", "", o.Addr()))
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, p := range r.s.Pools() {
				if p.Config == nil || p.Config.Name != p.Balancer.Name() {
					t.Errorf("pool %s comes with the configuration %+v", p.Balancer.Name(), p.Config)
					return
				}
			}
			r.s.Listeners()
		}
	}()
	for range 500 {
		for _, c := range []int{2, 1} {
			next := one
			if c == 2 {
				next = two
			}
			if _, err := r.s.Apply(next); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(stop)
	<-ended
}

func TestChangeString(t *testing.T) {
	c := Change{ListenersAdded: 1, PoolsRemoved: 2, BackendsChanged: 3}
	if got, want := c.String(), "1 listener added, 2 pools removed, 3 backends changed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (Change{}).String(); got != "no listener, pool or backend changed" {
		t.Errorf("got %q", got)
	}
}
