package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	proxyproto "github.com/pires/go-proxyproto"

	"weir/internal/lbtest"
	"weir/internal/sniff"
)

// header is a PROXY header of version 2 that speaks of a connection of src to 198.51.100.9:443.
func header(src string, o sniff.ProxyOptions) string {
	return string(sniff.AppendProxyV2(nil, netip.MustParseAddrPort(src), netip.MustParseAddrPort("198.51.100.9:443"), o))
}

const (
	plainGet   = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"
	mayProxy   = "accept_proxy_protocol: { from: [127.0.0.1/32] }\n"
	tellAll    = "forwarded: { fields: [X-Forwarded-For, X-Forwarded-For-Port, X-Forwarded-Port, X-Forwarded-ELB-IP] }\n"
	clientLine = "PROXY TCP4 203.0.113.7 198.51.100.9 4711 443\r\n"
)

// What a header says of the client is what backends are told, and all that is left of the header.
func TestProxyHeaderOfHTTP(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site(mayProxy+tellAll, "", o.Addr()))
	checksum := sniff.ProxyOptions{Checksum: true, ALPN: []byte("h2"), Authority: []byte("shop.example"), UniqueID: []byte("id")}
	tests := []struct {
		name, header string
		want         string // client, its port, port and address that it connected to; empty: those of the connection
	}{
		{"v1", clientLine, "203.0.113.7 4711 443 198.51.100.9"},
		{"v1 of IPv6", "PROXY TCP6 2001:db8::7 2001:db8::9 4711 443\r\n", "2001:db8::7 4711 443 2001:db8::9"},
		{"v1 unknown", "PROXY UNKNOWN\r\n", ""},
		{"v2", header("203.0.113.7:4711", sniff.ProxyOptions{}), "203.0.113.7 4711 443 198.51.100.9"},
		{"v2 with TLVs and checksum", header("203.0.113.7:4711", checksum), "203.0.113.7 4711 443 198.51.100.9"},
		{"v2 local", header("203.0.113.7:4711", sniff.ProxyOptions{Local: true}), ""},
	}
	for _, tt := range tests {
		for _, split := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/split=%v", tt.name, split), func(t *testing.T) {
				c := r.dial()
				if split {
					for i := range len(tt.header) {
						c.send(tt.header[i : i+1])
					}
					c.send(plainGet)
				} else {
					c.send(tt.header + plainGet)
				}
				c.want("GET", 200, "ok")
				c.get("/again", "ok")
				want := tt.want
				if want == "" {
					own, port, _ := net.SplitHostPort(c.LocalAddr().String())
					_, here, _ := net.SplitHostPort(r.addr())
					want = strings.Join([]string{own, port, here, own}, " ")
				}
				h := forwardedOf(o.last())
				got := strings.Join([]string{h.Get("X-Forwarded-For"), h.Get("X-Forwarded-For-Port"), h.Get("X-Forwarded-Port"), h.Get("X-Forwarded-Elb-Ip")}, " ")
				if got != want || !strings.HasPrefix(o.last(), "GET /again HTTP/1.1\r\n") {
					t.Errorf("the backend was told %q, want %q", got, want)
				}
			})
		}
	}
}

// What is no good header where one is due ends the connection, unanswered; where none is due, a header
// is what it is: no request.
func TestProxyHeaderOfHTTPIsDue(t *testing.T) {
	broken := []byte(header("203.0.113.7:4711", sniff.ProxyOptions{Checksum: true}))
	broken[16] ^= 1
	tests := []struct{ name, sent string }{
		{"none", plainGet},
		{"wrong checksum", string(broken) + plainGet},
		{"too long", "PROXY TCP4 " + strings.Repeat("1", 200) + "\r\n" + plainGet},
		{"nothing", ""},
		{"half", clientLine[:20]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := answering(t, ok200)
			r := start(t, site(mayProxy+"timeouts: { client_header: 100ms }", "", o.Addr()))
			c := r.dial()
			c.send(tt.sent)
			if b, err := io.ReadAll(c); err == nil || len(b) > 0 {
				t.Errorf("got %q, %v, want a reset", b, err)
			}
			if o.requests() != 0 || r.stats.Listener("web").Counts().Rejected != 1 {
				t.Errorf("%d requests, %+v", o.requests(), r.stats.Listener("web").Counts())
			}
		})
	}
	o := answering(t, ok200)
	r := start(t, site("accept_proxy_protocol: { from: [192.0.2.0/24] }", "", o.Addr()))
	c := r.dial()
	c.send(clientLine + plainGet)
	c.want("GET", 400, "")
	r.dial().get("/", "ok")
	if o.requests() != 1 {
		t.Errorf("%d requests, want 1", o.requests())
	}
}

// Lists, limits and trust are about the client that the header names.
func TestProxyHeaderOfHTTPNamesTheClient(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site(mayProxy+"deny: [203.0.113.0/24, 127.0.0.1/32]\nlimits: { per_client_connections: 1 }\nforwarded: { trust: [192.0.2.0/24, 127.0.0.0/8] }", "", o.Addr()))
	denied := r.dial()
	denied.send(clientLine)
	denied.wantEnd()
	first := r.dial()
	first.send(header("198.51.100.1:1", sniff.ProxyOptions{}))
	first.send("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n")
	first.want("GET", 200, "ok")
	if got := forwardedOf(o.last()).Get("X-Forwarded-For"); got != "198.51.100.1" {
		t.Errorf("a stranger is believed: %q", got)
	}
	second := r.dial()
	second.send(header("198.51.100.1:2", sniff.ProxyOptions{}) + plainGet)
	second.want("GET", 503, "too many connections")
	second.wantEnd()
	trusted := r.dial()
	trusted.send(header("192.0.2.1:2", sniff.ProxyOptions{}) + "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n")
	trusted.want("GET", 200, "ok")
	if got := forwardedOf(o.last()).Get("X-Forwarded-For"); got != "6.6.6.6, 192.0.2.1" {
		t.Errorf("a trusted proxy is not believed: %q", got)
	}
	first.Close()
	lbtest.Eventually(t, patience, func() bool { return r.connections() == 1 })
	third := r.dial()
	third.send(header("198.51.100.1:3", sniff.ProxyOptions{}) + plainGet)
	third.want("GET", 200, "ok")
}

// The header comes before TLS.
func TestProxyHeaderOfHTTPS(t *testing.T) {
	o, cert := answering(t, ok200), lbtest.NewCertificate(t, "127.0.0.1")
	r := start(t, strings.Replace(site(mayProxy+fmt.Sprintf("tls: { certificates: [{ cert: %q, key: %q }] }", cert.CertFile, cert.KeyFile), "", o.Addr()),
		"protocol: http\n", "protocol: https\n", 1))
	c := r.dial()
	c.send(clientLine)
	s := tls.Client(c, &tls.Config{RootCAs: cert.Client(t).Config.RootCAs, ServerName: "127.0.0.1"})
	if _, err := io.WriteString(s, plainGet); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(s), nil)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("got %v, %v", res, err)
	}
	if got := forwardedOf(o.last()).Get("X-Forwarded-For"); got != "203.0.113.7" {
		t.Errorf("the backend was told %q", got)
	}
	late := r.dial()
	hello := tls.Client(late, &tls.Config{RootCAs: cert.Client(t).Config.RootCAs, ServerName: "127.0.0.1"})
	if err := hello.Handshake(); err == nil {
		t.Error("a handshake without a header came about")
	}
}

// proxied is an origin whose connections begin with a PROXY header, of which it tells the client in each
// answer.
func proxied(t *testing.T, cert *lbtest.Certificate) *origin {
	t.Helper()
	o := &origin{step: make(chan struct{})}
	o.TCP = lbtest.NewTCP(t, func(_ context.Context, tcp *net.TCPConn) {
		r := bufio.NewReader(tcp)
		h, err := proxyproto.Read(r)
		if err != nil {
			return // the end of the test, or of a probe
		}
		conn := net.Conn(tcp)
		if cert != nil {
			conn = tls.Server(&read{tcp, r}, serverTLS(cert))
			defer conn.Close()
			r = bufio.NewReader(conn)
		}
		text := fmt.Sprintf("%v v%d", h.SourceAddr, h.Version)
		each(func(string, string) string {
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
		})(&side{o, conn, tcp, r})
	})
	return o
}

// read is a connection of which something has been read ahead.
type read struct {
	net.Conn
	r *bufio.Reader
}

func (r *read) Read(p []byte) (int, error) { return r.r.Read(p) }

// A connection that begins with the name of a client serves that client alone, and all its requests.
func TestProxyHeaderToBackends(t *testing.T) {
	cert := lbtest.NewCertificate(t, "127.0.0.1")
	tests := []struct {
		name, pool string
		cert       *lbtest.Certificate
		version    int
	}{
		{"v1", "send_proxy_protocol: v1", nil, 1},
		{"v2", "send_proxy_protocol: v2", nil, 2},
		{"v2 before TLS", fmt.Sprintf("send_proxy_protocol: v2\nprotocol: https\ntls: { ca: %q }", cert.CertFile), cert, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := proxied(t, tt.cert)
			r := start(t, site("", tt.pool, o.Addr()))
			clients := []*client{r.dial(), r.dial(), r.dial()}
			for i := range 4 {
				for _, c := range clients {
					c.get(fmt.Sprintf("/%d", i), fmt.Sprintf("%v v%d", c.LocalAddr(), tt.version))
				}
			}
			if got := o.Accepted(); got != int64(len(clients)) {
				t.Errorf("%d connections, want %d", got, len(clients))
			}
			clients[0].Close()
			lbtest.Eventually(t, patience, func() bool { return o.Open() == 2 })
			r.apply(load(t, site("", "", o.Addr())+"")) // nothing that is sent to o without a header is answered
			for _, c := range clients[1:] {
				c.send(plainGet)
				c.want("GET", 502, "")
			}
		})
	}
}

// What is kept for a client is closed when it has been idle for too long, when its backend is no longer
// to be used, and when there is too much of it.
func TestProxyHeaderToBackendsEnds(t *testing.T) {
	o := proxied(t, nil)
	config := func(pool string) string { return site("", "send_proxy_protocol: v1\n"+pool, o.Addr()) }
	for _, tt := range []struct {
		name, next string
	}{
		{"old", config("timeouts: { backend_keepalive: 1ms }")},
		{"draining", strings.Replace(config(""), "b1: {", "b1: { state: drain,", 1)},
		{"removed", site("", "send_proxy_protocol: v1", answering(t, ok200).Addr())},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, config(""))
			c := r.dial()
			c.get("/", c.LocalAddr().String())
			before := r.backend("app", "b1")
			r.apply(load(t, tt.next))
			lbtest.Eventually(t, patience, func() bool { return o.Open() == 0 })
			if n := before.Peer().(interface{ Idle() int }).Idle(); n != 0 {
				t.Errorf("%d connections are kept", n)
			}
		})
	}
	t.Run("too many", func(t *testing.T) {
		var list []fmt.Stringer
		var origins []*origin
		for range 10 {
			b := proxied(t, nil)
			list, origins = append(list, b.Addr()), append(origins, b)
		}
		r := start(t, site("", "send_proxy_protocol: v1", list...))
		c := r.dial()
		for range 30 {
			c.get("/", c.LocalAddr().String())
		}
		open := 0
		lbtest.Eventually(t, patience, func() bool {
			open = 0
			for _, b := range origins {
				open += int(b.Open())
			}
			return open == 8
		})
	})
}

// What the header says is the key of hashes and sessions, also of the destination.
func TestProxyHeaderIsTheKey(t *testing.T) {
	names := func(name string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(name), name)
	}
	var list []fmt.Stringer
	for i := range 4 {
		list = append(list, answering(t, names(fmt.Sprintf("b%d", i+1))).Addr())
	}
	for _, pool := range []string{"algorithm: 5_tuple_hash", "algorithm: source_ip", "session_persistence: source_ip"} {
		t.Run(pool, func(t *testing.T) {
			r := start(t, site(mayProxy, pool, list...))
			seen := map[string]bool{}
			for i := range 64 {
				first := ""
				for range 2 {
					c := r.dial()
					c.send(header(fmt.Sprintf("203.0.113.%d:77", i), sniff.ProxyOptions{}) + plainGet)
					got := c.want("GET", 200, "b").body
					if first != "" && got != first {
						t.Errorf("client %d was on %s and came to %s", i, first, got)
					}
					first, seen[got] = got, true
					c.Close()
				}
			}
			if len(seen) != 4 {
				t.Errorf("got %v of four backends", seen)
			}
		})
	}
}
