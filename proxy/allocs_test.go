package proxy

import (
	"io"
	"net"
	"net/netip"
	"runtime"
	"testing"

	"context"
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
			r := start(t, site(tt.listener, tt.pool, parrot(t), parrot(t)))
			c := r.dial()
			if got := mallocs(t, c.TCPConn, tt.request, len(ok200)); got >= 0.01 {
				t.Errorf("%v allocations per request, want 0", got)
			}
		})
	}
	t.Run("source_ip of a trusted proxy", func(t *testing.T) {
		const request = "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6, 192.0.2.1\r\n\r\n"
		r := start(t, site("", "algorithm: source_ip", parrot(t)), func(c *config.Config) {
			c.Listeners["web"].Forwarded.Trust = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		})
		c := r.dial()
		if got := mallocs(t, c.TCPConn, request, len(ok200)); got > 3 {
			t.Errorf("%v allocations per request, want at most one per address looked at", got)
		}
	})
}

// parrot answers whatever comes, a request at a time.
func parrot(t *testing.T) netip.AddrPort {
	return lbtest.NewTCP(t, func(_ context.Context, c *net.TCPConn) {
		in, out := make([]byte, 64<<10), []byte(ok200)
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
func mallocs(t *testing.T, c *net.TCPConn, request string, size int) float64 {
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
