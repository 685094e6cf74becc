package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"weir/balancer"
	"weir/internal/lbtest"
)

// breaking accepts and resets, as a server does whose process is there and cannot work.
func breaking(t *testing.T) *lbtest.TCP {
	return lbtest.NewTCP(t, func(_ context.Context, c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 1)) // whatever it is
		_ = c.SetLinger(0)
	})
}

// ejected is the present ejection of b1 of the pool app.
func (r *rig) ejected() *balancer.Ejection {
	return r.pool().Snapshot().Members()[0].Backend.Ejection()
}

func (r *rig) wantEjections(want string) {
	r.t.Helper()
	want = `weir_ejections_total{backend="b1",pool="app",reason="` + want
	if text := r.metrics(); !strings.Contains(text, want) {
		r.t.Errorf("no %s in\n%s", want, text)
	}
}

func TestOutlierOfHTTP(t *testing.T) {
	const outlier = "outlier: { consecutive_errors: 3, eject: 200ms }"
	bad, o := resetting(t), answering(t, ok200)
	r := start(t, site("", outlier, bad.Addr(), o.Addr()))
	c := r.dial()
	for range 40 { // retried, so that no client notices
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		c.want("GET", 200, "ok")
	}
	if got := bad.requests(); got != 3 {
		t.Errorf("the bad one got %d requests, want 3", got)
	}
	if e := r.ejected(); e == nil || e.Why != balancer.FaultReset {
		t.Errorf("the ejection is %+v", e)
	}
	r.wantEjections(`reset"} 1`)
	lbtest.Eventually(t, patience, func() bool { return r.ejected() == nil })
	for r.ejected() == nil {
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		c.want("GET", 200, "ok")
	}
	if e := r.ejected(); e.Times != 2 || e.Until.Sub(e.Since) != 400*time.Millisecond {
		t.Errorf("the second ejection is %+v", e)
	}
	for message, want := range map[string]int{"backend ejected: live traffic failed on it": 2, "backend back from its ejection": 1} {
		if got := r.logs.FilterMessage(message).Len(); got != want {
			t.Errorf("%q was logged %d times, want %d", message, got, want)
		}
	}
}

// TestFaultsOfHTTP each eject, but none that is a client's doing or a mere status.
func TestFaultsOfHTTP(t *testing.T) {
	const outlier = "outlier: { consecutive_errors: 1, eject: 1h }\nretries: { attempts: 0 }\ntimeouts: { backend_response: 100ms, backend_idle: 100ms }\nalgorithm: least_connections"
	tests := map[string]struct {
		backend fmt.Stringer
		fault   string
	}{
		"refusing": {lbtest.Refusing(t), "connect_failure"},
		"reset":    {resetting(t).Addr(), "reset"},
		"silent":   {lbtest.NewTCP(t, lbtest.Hang()).Addr(), "timeout"},
		"garbage":  {lbtest.NewTCP(t, lbtest.Script(1, "SSH-2.0-x\r\n\r\n")).Addr(), "bad_response"},
		"stalled":  {newOrigin(t, each(func(string, string) string { return "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx" })).Addr(), "timeout"},
		"status":   {lbtest.NewTCP(t, lbtest.Script(1, "HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")).Addr(), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := answering(t, ok200)
			r := start(t, site("", outlier, tt.backend, o.Addr()))
			for range 2 { // one of them meets it
				c := r.dial()
				c.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
				_, _ = io.Copy(io.Discard, c) // until its end, whatever that is
				_ = c.Close()
			}
			lbtest.Eventually(t, patience, func() bool { return r.connections() == 0 })
			if tt.fault == "" {
				if e := r.ejected(); e != nil {
					t.Errorf("ejected: %+v", e)
				}
				return
			}
			r.wantEjections(tt.fault + `"} 1`)
		})
	}
}

func TestOutlierOfTCP(t *testing.T) {
	text := strings.ReplaceAll(site("", "protocol: tcp\noutlier: { consecutive_errors: 2, eject: 1h }", breaking(t).Addr(), lbtest.NewTCP(t, lbtest.Script(1, "hello")).Addr()),
		"protocol: http\n", "protocol: tcp\n")
	r := start(t, text)
	broken := 0
	for range 20 {
		c, err := net.Dial("tcp", r.addr())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		_ = c.(*net.TCPConn).CloseWrite() // it may be reset by now
		if got, _ := io.ReadAll(c); string(got) != "hello" {
			broken++
		}
		_ = c.Close()
	}
	if broken != 2 {
		t.Errorf("%d connections were broken, want 2", broken)
	}
	r.wantEjections(`reset"} 1`)
}

func TestOutlierOfUDP(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	r := start(t, fmt.Sprintf(`
listeners:
  web: { protocol: udp, address: "127.0.0.1:0", pool: app, timeouts: { udp_idle: 1s } }
pools:
  app:
    protocol: udp
    health_check: none
    outlier: { consecutive_errors: 1, eject: 1h }
    backends: { b1: { address: "%s" }, b2: { address: "%s" } }
`, lbtest.Refusing(t), server.LocalAddr()))
	lbtest.Eventually(t, patience, func() bool {
		c, err := net.Dial("udp", r.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for range 3 {
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		return r.ejected() != nil
	})
	r.wantEjections(`connect_failure"} 1`)
}

// TestPoolInNeed is told of, and that it is over.
func TestPoolInNeed(t *testing.T) {
	r := start(t, site("", "min_healthy: 2", answering(t, ok200).Addr(), answering(t, ok200).Addr()))
	told := func(message string) {
		t.Helper()
		lbtest.Eventually(t, patience, func() bool { return r.logs.FilterMessageSnippet(message).Len() == 1 })
	}
	members := r.pool().Snapshot().Members()
	r.pool().Report(members[0].Backend, false, time.Now())
	told("pool fails open")
	r.pool().Report(members[0].Backend, true, time.Now())
	told("pool is served by its primary backends")
}
