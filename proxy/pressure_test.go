package proxy

import (
	"io"
	"net"
	"strings"
	"testing"

	"weir/internal/lbtest"
)

// TestMemoryPressure turns away what is new, on every way in, keeps what runs, and lets all in again.
func TestMemoryPressure(t *testing.T) {
	o, echo := answering(t, ok200), lbtest.NewTCP(t, lbtest.Script(1, "x"))
	r := start(t, `
listeners:
  web: { protocol: http, address: "127.0.0.1:0", pool: app }
  raw: { protocol: tcp, address: "127.0.0.1:0", pool: raw }
  udp: { protocol: udp, address: "127.0.0.1:0", pool: udp }
pools:
  app: { health_check: none, backends: ["`+o.Addr().String()+`"] }
  raw: { protocol: tcp, health_check: none, backends: ["`+echo.Addr().String()+`"] }
  udp: { protocol: udp, health_check: none, backends: ["`+lbtest.Refusing(t).String()+`"] }
`)
	kept := r.dial()
	kept.get("/", "ok")
	stream, err := net.Dial("tcp", r.addr("raw"))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	lbtest.Eventually(t, patience, func() bool { return echo.Open() == 1 })

	r.s.SetMemoryBudget(1)
	lbtest.Eventually(t, patience, r.s.engine.Memory.Refusing)
	kept.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if a := kept.want("GET", 503, "memory is short"); a.Header.Get("Retry-After") == "" {
		t.Errorf("got %v, want Retry-After", a.Header)
	}
	kept.wantEnd()
	late := r.dial()
	late.want("GET", 503, "too many connections")
	late.wantEnd()
	if c, err := net.Dial("tcp", r.addr("raw")); err == nil {
		if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Error("a TCP connection is served")
		}
		_ = c.Close()
	}
	c, err := net.Dial("udp", r.addr("udp"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	lbtest.Eventually(t, patience, func() bool {
		return strings.Contains(r.metrics(), `weir_udp_datagrams_dropped_total{listener="udp",pool="udp",reason="memory"} 1`)
	})
	for _, listener := range []string{"web", "raw"} {
		if want := `weir_listener_connections_rejected_total{listener="` + listener + `",reason="memory"} 1`; !strings.Contains(r.metrics(), want) {
			t.Errorf("no %s", want)
		}
	}
	r.wantOutcomes("ok 1 overload 1")
	if _, err := stream.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stream, make([]byte, 1)); err != nil {
		t.Errorf("the connection that was there: %v", err)
	}

	r.s.SetMemoryBudget(1 << 40)
	lbtest.Eventually(t, patience, func() bool { return !r.s.engine.Memory.Refusing() })
	r.dial().get("/", "ok")
	for _, message := range []string{"memory is short", "memory suffices again"} {
		if n := r.logs.FilterMessageSnippet(message).Len(); n != 1 {
			t.Errorf("%q was logged %d times, want once", message, n)
		}
	}
}
