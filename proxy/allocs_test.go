package proxy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"weir/config"
	"weir/internal/lbtest"
)

// A request on connections that are there allocates nothing. The client and the backend of this
// test do not allocate either; what the runtime does beside them is below the bound.
func TestKeepAliveExchangeAllocs(t *testing.T) {
	if racing {
		t.Skip("the race detector allocates")
	}
	tests := []struct {
		name, listener, pool, request string
	}{
		{"GET", "", "", "GET / HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n"},
		{"POST", "", "", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"},
		{"hash and routes", "routes: [{ host: x.example, path_prefix: /a/, pool: app }]", "algorithm: 5_tuple_hash", "GET /b/../a?q HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"least connections", "", "algorithm: least_connections", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"hop by hop", "", "", "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, X-A\r\nX-A: b\r\nTE: trailers\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, site(tt.listener, tt.pool, parrot(t, ok200), parrot(t, ok200)))
			c := r.dial()
			if got := mallocs(t, c, tt.request, len(ok200)); got >= 0.01 {
				t.Errorf("%v allocations per request, want 0", got)
			}
		})
	}
	t.Run("source_ip of a trusted proxy", func(t *testing.T) {
		const request = "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6, 192.0.2.1\r\n\r\n"
		r := start(t, site("", "algorithm: source_ip", parrot(t, ok200)), func(c *config.Config) {
			c.Listeners["web"].Forwarded.Trust = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		})
		c := r.dial()
		if got := mallocs(t, c, request, len(ok200)); got >= 0.01 {
			t.Errorf("%v allocations per request, want 0", got)
		}
	})
}

// everything switches on all that a request can meet on a listener: access lists, limits of every kind,
// a rate limit, routes on each property of a request of which the last matches, changed fields both
// ways, the forwarding fields of a trusted proxy and of our own, Via, and an id.
const everything = `
forwarded:
  trust: [127.0.0.0/8]
  by: address
  ports: true
  fields: [X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Forwarded-Port, X-Forwarded-For-Port, X-Forwarded-ELB-IP, X-Real-IP, Forwarded]
via: weir
request_id: true
allow: [127.0.0.0/8, 10.0.0.0/8]
deny: [192.0.2.0/24]
rate_limit: { rate: 1000000, burst: 1000000 }
limits: { max_connections: 1000, new_connections_per_second: 100000, per_client_connections: 1000, max_body: 1MiB, min_body_rate: 1KiB }
keepalive_requests: 1000000000
routes:
  - { host: other.example, respond: { status: 204 } }
  - { host: "*.example", path_regex: "^/[0-9]+$", pool: app }
  - { host: "*.example", method: [PUT, PATCH], pool: app }
  - { host: "*.example", headers: { X-Beta: "yes" }, pool: app }
  - { host: "*.example", query: { beta: "1" }, pool: app }
  - { host: "*.example", source: [172.16.0.0/12], pool: app }
  - host: "*.example"
    path_prefix: /api
    strip_prefix: /api
    rewrite: "/v2{path}"
    request_headers: { set: { X-Route: api }, add: { X-Hop: weir }, remove: [X-Secret] }
    response_headers: { set: { X-Frame-Options: DENY }, add: { Vary: Cookie }, remove: [X-Powered-By] }
    split: [{ pool: app, weight: 3 }]
`

// What does not concern a request costs it nothing, and what does allocates nothing either.
func TestEverythingOnAllocs(t *testing.T) {
	if racing {
		t.Skip("the race detector allocates")
	}
	const head = "%s /api/items?page=2 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: test\r\nAccept: */*\r\nX-Secret: s\r\n" +
		"X-Forwarded-For: 203.0.113.9, 10.1.2.3\r\nForwarded: for=203.0.113.9, for=10.1.2.3;proto=https\r\n" +
		"X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\nCookie: lang=en; %s; theme=dark\r\nConnection: keep-alive, X-A\r\nX-A: b\r\n"
	const reply = "HTTP/1.1 200 OK\r\nX-Powered-By: x\r\nSet-Cookie: SESSION=abc; Path=/\r\nContent-Length: 2\r\n\r\nok"
	cert := lbtest.NewCertificate(t, "127.0.0.1")
	for name, pool := range map[string]string{
		"own cookie":            httpCookie,
		"cookie of the backend": "session_persistence: { type: app_cookie, cookie: { name: SESSION } }",
		"source address":        "session_persistence: { type: source_ip }",
		"least connections":     "algorithm: least_connections",
	} {
		for method, rest := range map[string]string{"GET": "\r\n", "POST": "Content-Length: 5\r\n\r\nhello"} {
			t.Run(method+" "+name, func(t *testing.T) {
				pool := pool + "\nretries: { attempts: 2, on: [connect_failure, reset, timeout, 502, 503] }"
				shop := "  shop:\n    protocol: https\n    address: 127.0.0.1:0\n" + indent(everything+fmt.Sprintf("tls: { certificates: [{ cert: %q, key: %q }] }\n", cert.CertFile, cert.KeyFile))
				text := strings.Replace(site(everything, pool, parrot(t, reply), parrot(t, reply), parrot(t, reply)), "pools:\n", shop+"pools:\n", 1)
				r := start(t, text)
				c := r.dial()
				c.send(fmt.Sprintf(head, method, "SESSION=abc") + rest)
				cookie := issued(c.want("GET", 200, "ok"))
				if cookie == "" {
					cookie = "SESSION=abc"
				}
				request := fmt.Sprintf(head, method, cookie) + rest
				size := c.sizeOf(request)
				if got := mallocs(t, r.dial(), request, size); got >= 0.01 {
					t.Errorf("%v allocations per request, want 0", got)
				}
				// crypto/tls makes a small reader each time it asks its transport: once in weir and once in
				// the client of this test.
				if got := mallocs(t, r.dialShop(t, cert), request, size); got > 2.01 {
					t.Errorf("%v allocations per request over TLS, want the 2 of crypto/tls", got)
				}
			})
		}
	}
}

// dialShop connects to the listener "shop", which shows cert.
func (r *rig) dialShop(t *testing.T, cert *lbtest.Certificate) net.Conn {
	t.Helper()
	c, err := cert.Client(t).DialContext(t.Context(), "tcp", r.addr("shop"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// sizeOf is how many bytes answer a request.
func (c *client) sizeOf(request string) int {
	c.t.Helper()
	c.send(request)
	var all bytes.Buffer
	in := bufio.NewReader(io.TeeReader(c.r, &all))
	response, err := http.ReadResponse(in, nil)
	if err != nil || response.StatusCode != http.StatusOK || response.Header.Get("X-Frame-Options") != "DENY" || response.Header.Get("X-Request-Id") == "" {
		c.t.Fatalf("got %q, %v", all.String(), err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		c.t.Fatal(err)
	}
	return all.Len() - in.Buffered()
}

// parrot gives the same answer to whatever comes, a request at a time.
func parrot(t *testing.T, answer string) netip.AddrPort {
	return lbtest.NewTCP(t, func(_ context.Context, c *net.TCPConn) {
		in, out := make([]byte, 64<<10), []byte(answer)
		for {
			if _, err := c.Read(in); err != nil {
				return
			}
			if _, err := c.Write(out); err != nil {
				return
			}
		}
	}).Addr()
}

// mallocs is the number of allocations in this process per request.
func mallocs(t *testing.T, c net.Conn, request string, size int) float64 {
	t.Helper()
	out, in := []byte(request), make([]byte, size)
	exchange := func(n int) {
		for range n {
			if _, err := c.Write(out); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, in); err != nil {
				t.Fatal(err)
			}
		}
	}
	exchange(1000)
	const n = 10000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	exchange(n)
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / n
}
