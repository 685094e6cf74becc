package test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/lbtest"
)

// TestTCPReload changes everything about a listener and its pool under connections that go on.
func TestTCPReload(t *testing.T) {
	t.Parallel()
	b := echoes(t, 3)
	const pool = "health_check: none, "
	s := startTCP(t, "", pool+inFlow(b[:2]))
	c := s.greeted()
	address := s.address("db")
	for i, text := range []string{
		s.config("timeouts: { tcp_idle: 100s }, limits: { max_connections: 9 },", pool+inFlow(b[:2])),
		s.config("deny: [127.0.0.1],", pool+inFlow(b[1:])), // which is about new connections
		s.config("", pool+inFlow(b[2:])),
		strings.ReplaceAll(s.config("", pool+inFlow(b)), "sql", "other"), // the pool is gone
		strings.Replace(s.config("", pool+inFlow(b)), "db:", "base:", 1), // and the name of the listener
	} {
		s.reload(text)
		says(t, c, fmt.Sprint("still here ", i))
	}
	if got := s.address("base"); got != address {
		t.Errorf("the listener is at %s, was at %s", got, address)
	}
	// Without an address of the old ones the listener is another one; its connections go on.
	s.reload(strings.NewReplacer("db:", "base:", "127.0.0.1:0", "127.0.0.2:0").Replace(s.config("", pool+inFlow(b))))
	says(t, c, "still here")
	if _, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the address that was removed: %v", err)
	}
	// A reload that fails changes nothing.
	before := s.status().Generation
	s.expect("address already in use")
	s.write(strings.Replace(s.config("", pool+inFlow(b)), "127.0.0.1:0", b[0].Addr().String(), 1))
	if code, _, stderr := s.cli("reload"); code == 0 {
		t.Errorf("a reload that cannot bind is fine: %s", stderr)
	}
	says(t, c, "still here")
	if got := s.status().Generation; got != before {
		t.Errorf("generation %d, want %d", got, before)
	}
}

// TestTCPProtocol makes an http listener a tcp one and back, under traffic of both kinds.
func TestTCPProtocol(t *testing.T) {
	t.Parallel()
	web, echo := lbtest.NewHTTP(t, "web"), echoes(t, 1)[0]
	config := func(protocol string, to fmt.Stringer) string {
		return fmt.Sprintf(`
listeners: { door: { protocol: %s, address: "127.0.0.1:0", pool: behind } }
pools: { behind: { protocol: %s, health_check: none, backends: { b1: { address: %q } } } }
`, protocol, protocol, to)
	}
	d := start(t, config("tcp", echo.Addr()))
	address := d.address("door")
	old := dialFrom(t, "", address)
	exactly(t, old, 2)
	for range 3 {
		d.reload(config("http", web.Addr()))
		if got := fetch(t, "GET", "http://"+address+"/", nil); got.status != http.StatusOK {
			t.Fatalf("status %d", got.status)
		}
		d.reload(config("tcp", echo.Addr()))
		c := dialFrom(t, "", address)
		if got := exactly(t, c, 2); got != "b1" {
			t.Fatalf("got %q", got)
		}
		says(t, c, "new")
		says(t, old, "old")
		_ = c.Close()
	}
	if n := d.address("door"); n != address {
		t.Errorf("the listener has moved from %s to %s", address, n)
	}
}

// TestTCPDrain lets connections be on a backend that drains, and cuts them when its time is over; one
// that is ready again before keeps them.
func TestTCPDrain(t *testing.T) {
	t.Parallel()
	b := echoes(t, 2)
	pool := func(timeout string, keys ...string) string {
		return fmt.Sprintf("health_check: none, drain_timeout: %s, ", timeout) + inFlow(b, keys...)
	}
	s := startTCP(t, "", pool("2s", "", "weight: 0"))
	first, second := s.greeted(), s.greeted()
	s.reload(s.config("", pool("2s", "state: drain")))
	if got := s.picked(3, nil); got["b2"] != 3 {
		t.Errorf("new connections came to %v, want b2", got)
	}
	s.reload(s.config("", pool("2s")))
	began := time.Now()
	within(t, patience, "more than drain_timeout has passed", func() bool { return time.Since(began) > 3*time.Second })
	says(t, first, "kept")
	s.reload(s.config("", pool("1s", "state: drain")))
	wantReset(t, first)
	wantReset(t, second)
	if l := s.last(5, "drain_timeout", "drain"); l.Backend != "b1" || l.In+l.Out == 0 {
		t.Errorf("logged as %+v", l)
	}
	// A backend that is removed drains as well.
	third := s.greeted()
	s.reload(s.config("", "health_check: none, drain_timeout: 1s, "+inFlow(b[:1])))
	says(t, third, "a while")
	wantReset(t, third)
	s.last(6, "drain_timeout", "drain")
	// And so do those of a pool that is.
	fourth := s.greeted()
	s.reload(strings.ReplaceAll(s.config("", "health_check: none, "+inFlow(b)), "sql", "other"))
	says(t, fourth, "a while")
	wantReset(t, fourth)
	if l := s.logged(7)[6]; l.Outcome != "drain_timeout" || l.EndedBy != "drain" || l.Pool != "sql" {
		t.Errorf("logged as %+v", l)
	}
}

// TestTCPRemovedListener removes a listener: its connections go on for drain_timeout, and whoever looks sees
// them, as those of a pool that was removed.
func TestTCPRemovedListener(t *testing.T) {
	t.Parallel()
	b := echoes(t, 1)
	pool := func(timeout string) string { return "health_check: none, drain_timeout: " + timeout + ", " + inFlow(b) }
	s := startTCP(t, "", pool("5m"))
	c := s.greeted()
	others := func(timeout, name string) string {
		text := strings.ReplaceAll(s.config("", pool(timeout)), "sql", name)
		return strings.NewReplacer("db:", "other:", "127.0.0.1:0", "127.0.0.2:0").Replace(text)
	}
	shown := func(t *testing.T) {
		t.Helper()
		says(t, c, "still here")
		if l := s.status().Leaving; len(l) != 1 || l[0].Name != "db" || l[0].ConnectionsActive != 1 || l[0].ConnectionsTotal != 1 || l[0].Pool != "sql" {
			t.Errorf("leaving are %+v, want db with a connection", l)
		}
		if n := s.metric("weir_listener_connections_active", "listener", "db"); n != 1 {
			t.Errorf("%v connections are shown, want 1", n)
		}
		if n := s.metric("weir_backend_connections_open", "pool", "sql", "backend", "b1"); n != 1 {
			t.Errorf("%v connections to the backend are shown, want 1", n)
		}
		if code, out, _ := s.cli("status"); code != 0 || !strings.Contains(out, "removed") {
			t.Errorf("weir status says\n%s", out)
		}
	}
	s.reload(others("5m", "sql"))
	shown(t)
	s.reload(others("5m", "two")) // the pool as well
	shown(t)
	s.reload(others("5m", "sql")) // which is another one from then on
	shown(t)
	s.reload(s.config("", pool("1s"))) // and so is the listener
	if l := s.status().Leaving; len(l) != 1 {
		t.Errorf("leaving are %+v, want the former db", l)
	}
	says(t, c, "still here")

	d := s.greeted()
	s.reload(others("1s", "sql"))
	wantReset(t, d)
	if l := s.logged(1)[0]; l.Outcome != "drain_timeout" || l.EndedBy != "drain" || !strings.Contains(l.Reason, "its listener was removed") {
		t.Errorf("logged as %+v", l)
	}
	if n := s.metric("weir_tcp_connections_total", "listener", "db", "pool", "sql", "outcome", "drain_timeout"); n != 1 {
		t.Errorf("%v connections are counted as cut, want 1", n)
	}
	_ = c.Close()
	eventually(t, "nobody is leaving", func() bool { return len(s.status().Leaving) == 0 })
}

// TestTCPRebalance moves the connections of a backend that goes down or is removed, at the rate that is
// set, and leaves them alone if that is not wanted.
func TestTCPRebalance(t *testing.T) {
	t.Parallel()
	down := newPort(t)
	check := "health_check: { interval: 20ms, timeout: 1s, rise: 1, fall: 1 }, "
	b := echoes(t, 1)
	both := fmt.Sprintf("backends: { b1: { address: %q, weight: 0 }, b2: { address: %q } }", b[0].Addr(), down.address)
	s := startTCP(t, "", "target_rebalance: true, rebalance_rate: 20, "+check+both)
	s.awaitHealth("sql", "b2", "up")
	const n = 30
	var held []*net.TCPConn
	for range n {
		held = append(held, s.greeted())
	}
	began := time.Now()
	down.close()
	s.awaitHealth("sql", "b2", "down")
	for _, c := range held {
		wantReset(t, c)
	}
	// Those that may go at once, and then 20 a second.
	if took := time.Since(began); took < time.Second {
		t.Errorf("%d connections were moved in %v, with 20 a second", n, took)
	}
	if l := s.last(n, "rebalanced", "weir"); l.Backend != "b2" {
		t.Errorf("logged as %+v", l)
	}
	if got := s.metric("weir_rebalanced_flows_total", "pool", "sql"); got != n {
		t.Errorf("%v flows are counted, want %d", got, n)
	}

	s.reload(s.config("", "target_rebalance: true, health_check: none, "+inFlow(b)))
	c := s.greeted()
	s.reload(s.config("", "target_rebalance: true, health_check: none, "+inFlow(echoes(t, 1))))
	wantReset(t, c)
	s.last(n+1, "rebalanced", "weir")

	s.reload(s.config("", "health_check: none, "+inFlow(b)))
	c = s.greeted()
	s.reload(s.config("", "health_check: none, "+inFlow(echoes(t, 1))))
	s.picked(1, nil)
	says(t, c, "left alone")
}

// TestTCPStop ends weir: connections have until the end of grace.
func TestTCPStop(t *testing.T) {
	t.Parallel()
	grace := func(s *streams, d string) string {
		return strings.Replace(s.config("", "health_check: none, "+inFlow(echoes(t, 1))), "\nlog:", "\ndefaults: { timeouts: { grace: "+d+" } }\nlog:", 1)
	}
	t.Run("enough", func(t *testing.T) {
		s := startTCP(t, "", "health_check: none, "+inFlow(echoes(t, 1)))
		s.reload(grace(s, "20s"))
		c, address := s.greeted(), s.address("db")
		s.signal(syscall.SIGTERM)
		eventually(t, "connections are refused", func() bool {
			c, err := net.Dial("tcp", address)
			if err == nil {
				_ = c.Close()
			}
			return errors.Is(err, syscall.ECONNREFUSED)
		})
		says(t, c, "one more word")
		_ = c.Close()
		s.stop()
		text, err := os.ReadFile(s.lines) // also of those that were too late to be refused
		if err != nil || !strings.Contains(string(text), `"bytes_in":13,`) || strings.Contains(string(text), `"draining"`) {
			t.Errorf("logged: %s, %v", text, err)
		}
	})
	t.Run("too little", func(t *testing.T) {
		s := startTCP(t, "", "health_check: none, "+inFlow(echoes(t, 1)))
		s.reload(grace(s, "300ms"))
		c := s.greeted()
		s.signal(syscall.SIGTERM)
		wantReset(t, c)
		s.stop()
		if l := s.logged(1)[0]; l.Outcome != "draining" || l.EndedBy != "weir" {
			t.Errorf("logged as %+v", l)
		}
	})
}

// port is a backend that can stop listening while its connections go on.
type port struct {
	address string
	l       net.Listener
}

// newPort says b2 to everybody and echoes.
func newPort(t *testing.T) *port {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &port{l.Addr().String(), l}
	t.Cleanup(p.close)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := io.WriteString(c, "b2"); err != nil {
					return
				}
				_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
			}()
		}
	}()
	return p
}

// close may be called more than once.
func (p *port) close() { _ = p.l.Close() }

// TestTCPProtocolOfPool makes a pool of the same backend one of http and of tcp: each is another pool, whose
// backend is up once it has been checked.
func TestTCPProtocolOfPool(t *testing.T) {
	t.Parallel()
	web := lbtest.NewHTTP(t, "web")
	config := func(protocol string) string {
		return fmt.Sprintf(`
listeners: { door: { protocol: %s, address: "127.0.0.1:0", pool: behind } }
pools: { behind: { protocol: %s, health_check: { protocol: http }, backends: { b1: { address: %q } } } }
`, protocol, protocol, web.Addr())
	}
	d := start(t, config("http"))
	for _, protocol := range []string{"tcp", "http", "tcp", "http"} {
		d.reload(config(protocol))
		d.awaitHealth("behind", "b1", "up")
		if got := fetch(t, "GET", d.url("door"), nil); got.status != http.StatusOK {
			t.Fatalf("%s: status %d", protocol, got.status)
		}
	}
}
