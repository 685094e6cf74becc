package proxy

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/config"
	"weir/internal/lbtest"
	"weir/telemetry"
)

// line is what the tests look at in a line of the access log.
type line struct {
	Method, Path, Host, Pool, Backend, Outcome, Reason string
	Status, Attempts                                   int
}

func TestAccessLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	log, err := telemetry.OpenAccessLog(config.AccessLog{Output: path, Format: "json", Sample: 1}, func(uint64) {})
	if err != nil {
		t.Fatal(err)
	}
	o := answering(t, ok200)
	c := load(t, site("timeouts: { client_header: 600ms }", "", o.Addr(), lbtest.Refusing(t)))
	r := startWith(t, c, log)
	client := r.dial()
	for range 2 {
		client.get("/path?q", "ok")
	}
	// A head that outgrows its first buffer and is never finished.
	client.send("POST /unfinished HTTP/1.1\r\nHost: h\r\nA: " + strings.Repeat("x", 20<<10))
	client.want("POST", 408, "")
	client.Close()
	r.stop(patience)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines []line
	for s := bufio.NewScanner(f); s.Scan(); {
		var l line
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatalf("%s: %v", s.Bytes(), err)
		}
		lines = append(lines, l)
	}
	if len(lines) != 3 {
		t.Fatalf("%d lines, want 3: %+v", len(lines), lines)
	}
	retried := 0
	for _, l := range lines[:2] {
		if l.Method != "GET" || l.Path != "/path?q" || l.Host != "shop.example" || l.Pool != "app" || l.Backend != "b1" || l.Status != 200 {
			t.Errorf("got %+v", l)
		}
		if l.Attempts == 2 && l.Outcome == "retried_ok" {
			retried++
		} else if l.Attempts != 1 || l.Outcome != "ok" {
			t.Errorf("got %+v", l)
		}
	}
	if retried == 0 {
		t.Error("no request met the dead backend first")
	}
	if l := lines[2]; l.Status != 408 || l.Outcome != "client_timeout" || l.Reason == "" || l.Backend != "" || strings.Contains(l.Method, "x") {
		t.Errorf("got %+v", l)
	}
}

func TestMaxConnections(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("limits: { max_connections: 2 }", "", o.Addr()))
	a, b := r.dial(), r.dial()
	a.get("/", "ok")
	b.get("/", "ok")
	over := r.dial()
	if _, err := io.ReadAll(over); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("a connection too many: %v, want its end", err)
	}
	a.get("/", "ok")
	b.Close()
	lbtest.Eventually(t, patience, func() bool { return r.connections() == 1 })
	r.dial().get("/", "ok")
}

func TestRoutesLeadToPools(t *testing.T) {
	a, b := lbtest.NewHTTP(t, "a"), lbtest.NewHTTP(t, "b")
	text := site("routes: [{ host: \"*.b.example\", path_prefix: /x, method: [GET, PUT], pool: other }]", "", a.Addr()) +
		fmt.Sprintf("  other:\n    health_check: none\n    backends: [\"%s\"]\n", b.Addr())
	r := start(t, text)
	c := r.dial()
	tests := []struct{ method, host, target, want string }{
		{"GET", "www.B.example:80", "/x/1", "b"},
		{"PUT", "www.b.example", "/%78", "b"},
		{"GET", "www.b.example", "/xy", "a"},
		{"GET", "www.b.example", "/x/../y", "a"},
		{"GET", "b.example", "/x", "a"},
		{"DELETE", "www.b.example", "/x", "a"},
	}
	for _, tt := range tests {
		c.send(tt.method + " " + tt.target + " HTTP/1.1\r\nHost: " + tt.host + "\r\n\r\n")
		c.want(tt.method, 200, tt.want)
	}
	if got := r.stats.Pool("other").Counts().Requests; got != 2 {
		t.Errorf("%d requests are counted for the route's pool, want 2", got)
	}
}

// A body in hand goes out in one piece with its head, whatever the client's segments were.
func TestRequestInManySegments(t *testing.T) {
	o := newOrigin(t, each(func(head, body string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}))
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	for _, request := range []string{
		"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
		"POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
		"\r\nGET /c HTTP/1.1\r\nHost: h\r\n\r\n",
	} {
		for i := range request {
			c.send(request[i : i+1])
		}
		want := "hello"
		if strings.Contains(request, "GET") {
			want = ""
		}
		if a := c.want("POST", 200, want); a.body != want {
			t.Errorf("%q: the backend got %q", request, a.body)
		}
	}
}

// Clients that come in the moment of a stop are served or refused, and none is forgotten.
func TestShutdownDuringAccepts(t *testing.T) {
	o := answering(t, ok200)
	for range 10 {
		r := start(t, site("", "", o.Addr()))
		addr := r.addr()
		quit, ended := make(chan struct{}), make(chan struct{})
		for range 4 {
			go func() {
				defer func() { ended <- struct{}{} }()
				for {
					select {
					case <-quit:
						return
					default:
					}
					conn, err := net.DialTimeout("tcp", addr, time.Second)
					if err != nil {
						continue
					}
					_ = conn.SetDeadline(time.Now().Add(patience))
					if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err == nil {
						_, _ = conn.Read(make([]byte, 512))
					}
					conn.Close()
				}
			}()
		}
		lbtest.Eventually(t, patience, func() bool { return r.outcomes()["ok"] > 20 })
		r.stop(patience)
		close(quit)
		for range 4 {
			<-ended
		}
	}
}
