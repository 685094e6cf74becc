package proxy

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"weir/internal/lbtest"
)

// segments is how many segments with bytes have come on a connection.
func segments(t *testing.T, c *net.TCPConn) uint32 {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	cerr := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.SOL_TCP, unix.TCP_INFO) })
	if err := errors.Join(err, cerr); err != nil {
		t.Fatal(err)
	}
	return info.Data_segs_in
}

// The alert that ends TLS comes with the end of the last response, whatever that ends with.
func TestCloseNotifyComesWithTheResponse(t *testing.T) {
	cert := lbtest.NewCertificate(t, "shop.example")
	large := strings.Repeat("x", 60<<10)
	o := newOrigin(t, each(func(head, _ string) string {
		if strings.HasPrefix(head, "GET /large ") {
			return ofLength("HTTP/1.1 200 OK", len(large)) + large
		}
		if strings.HasPrefix(head, "GET /none ") {
			return "HTTP/1.1 204 No Content\r\n\r\n"
		}
		return ok200
	}))
	r := start(t, secureSite(cert, "", "", o.Addr()))
	for _, tt := range []struct {
		path, body string
		status     int
		once       bool
	}{{"/", "ok", 200, true}, {"/none", "", 204, true}, {"/large", large, 200, false}} {
		t.Run(tt.path, func(t *testing.T) {
			c := r.dialTLS(trusting(t, cert))
			c.ask(getShop)
			c.want("GET", 200, "ok") // and whatever the handshake brought
			before := segments(t, c.TCPConn)
			c.ask("GET " + tt.path + " HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
			if a := c.receive("GET"); a.StatusCode != tt.status || a.body != tt.body || a.err != nil {
				t.Errorf("got %d, %d bytes, %v", a.StatusCode, len(a.body), a.err)
			}
			if n, err := io.Copy(io.Discard, c.r); n != 0 || err != nil { // without the alert, an unexpected end
				t.Errorf("%d bytes behind the response, %v", n, err)
			}
			if _, err := c.Conn.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("no end, but %v", err)
			}
			if n := segments(t, c.TCPConn) - before; tt.once && n != 1 {
				t.Errorf("response and alert came in %d segments", n)
			}
		})
	}
	r.wantOutcomes("ok 6")
}
