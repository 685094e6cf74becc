package proxy

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"weir/internal/lbtest"
)

// modelOrigin is a backend that trusts nothing: it reads what a proxy sends as the model does, and
// keeps all of it.
type modelOrigin struct {
	*lbtest.TCP
	mu       sync.Mutex
	arrivals []*arrival
	faults   []string // what a proxy must never send
}

// arrival is a request that came, wholly or in part.
type arrival struct {
	*modelRequest
	tunnel string // what came after the protocol was changed
}

func newModelOrigin(t testing.TB) *modelOrigin {
	t.Helper()
	o := &modelOrigin{}
	o.TCP = lbtest.NewTCP(t, func(_ context.Context, c *net.TCPConn) { o.serve(c) })
	return o
}

// forget empties the books.
func (o *modelOrigin) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.arrivals, o.faults = nil, nil
}

// books are the requests that have come, in order, and the faults.
func (o *modelOrigin) books() ([]*arrival, []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.arrivals, o.faults
}

// serve reads requests until the connection ends or a request is the last one for its response.
func (o *modelOrigin) serve(c *net.TCPConn) {
	in, b := "", make([]byte, 64<<10)
	var a *arrival
	number := 0
	for {
		m, r := requestOf(in)
		if m != nil {
			if a == nil {
				a, number = o.arrive()
			}
			if o.note(a, m); a.answers(r) {
				if !o.respond(c, a, number, in[m.end:]) {
					return
				}
				in, a = in[m.end:], nil
				continue
			}
		}
		if r == malformed {
			o.fault("a malformed request: %q", in)
			return
		}
		n, err := c.Read(b)
		if err != nil {
			if m == nil && in != "" {
				o.fault("a part of a head: %q", in)
			}
			return
		}
		in += string(b[:n])
	}
}

// arrive enters a request into the books. Its number goes with the response.
func (o *modelOrigin) arrive() (*arrival, int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := &arrival{}
	o.arrivals = append(o.arrivals, a)
	return a, len(o.arrivals) - 1
}

func (o *modelOrigin) note(a *arrival, m *modelRequest) {
	if why := m.ill(); why != "" {
		o.fault("%s: %q", why, m.lines)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	a.modelRequest = m
}

func (o *modelOrigin) fault(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.faults = append(o.faults, fmt.Sprintf(format, args...))
}

// answers reports whether it is time for the response.
func (a *arrival) answers(r reading) bool {
	return r == whole || strings.HasPrefix(a.target, "/early")
}

// The ways of the origin, by the start of the target. What they have in common is a field that says
// to which arrival they belong.
var ways = []struct {
	prefix, interim, head, body string
	ends                        bool // the connection ends with the response
}{
	{prefix: "/early", head: "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n", body: "no", ends: true},
	{prefix: "/chunks", head: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", body: "3;a=b\r\nyes\r\n0\r\nX-End: 1\r\n\r\n"},
	{prefix: "/close", head: "HTTP/1.1 200 OK\r\n", body: "to the end", ends: true},
	{prefix: "/old", head: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n", body: "ok", ends: true},
	{prefix: "/hints", interim: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", head: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", body: "ok"},
	{prefix: "/none", head: "HTTP/1.1 204 No Content\r\n"},
	{prefix: "/same", head: "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n"},
	{prefix: "", head: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", body: "ok"},
}

// respond answers; false: the connection is over. rest is what came behind the request.
func (o *modelOrigin) respond(c net.Conn, a *arrival, number int, rest string) bool {
	mark := fmt.Sprintf("Arrival: %d\r\n", number)
	if strings.HasPrefix(a.target, "/ws") && a.lists("connection", "upgrade") {
		o.change(c, a, mark, rest)
		return false
	}
	for _, w := range ways {
		if !strings.HasPrefix(a.target, w.prefix) {
			continue
		}
		text := w.interim + w.head + mark + "\r\n"
		if a.method != "HEAD" {
			text += w.body
		}
		_, err := c.Write([]byte(text))
		return err == nil && !w.ends
	}
	return false
}

// change agrees to another protocol, in which everything is sent back.
func (o *modelOrigin) change(c net.Conn, a *arrival, mark, rest string) {
	_, err := c.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n" + mark + "\r\n"))
	b := make([]byte, 64<<10)
	for err == nil {
		o.mu.Lock()
		a.tunnel += rest
		o.mu.Unlock()
		if _, err = c.Write([]byte(rest)); err != nil {
			return
		}
		var n int
		n, err = c.Read(b)
		rest = string(b[:n])
	}
}
