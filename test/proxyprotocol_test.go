package test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"

	"weir/internal/lbtest"
	"weir/internal/sniff"
)

// introduced is a backend that wants a PROXY header, answers with a line of what it says and echoes.
func introduced(t testing.TB) *lbtest.TCP {
	return lbtest.NewTCP(t, func(_ context.Context, c *net.TCPConn) {
		r := bufio.NewReader(c)
		h, err := proxyproto.Read(r)
		if err != nil {
			_, _ = fmt.Fprintf(c, "no header: %v\n", err)
			return
		}
		if h.Command.IsLocal() {
			return // a probe
		}
		_, _ = fmt.Fprintf(c, "v%d %v %v\n", h.Version, h.SourceAddr, h.DestinationAddr)
		_, _ = io.Copy(struct{ io.Writer }{c}, r)
	})
}

// headers are PROXY headers of a client, and what a backend hears of it; HERE stands for the addresses of
// the connection to weir.
func headers(t *testing.T) map[string][2]string {
	t.Helper()
	src, dst := netip.MustParseAddrPort("203.0.113.7:4711"), netip.MustParseAddrPort("198.51.100.9:443")
	const told = "203.0.113.7:4711 198.51.100.9:443"
	rich := &proxyproto.Header{Version: 2, Command: proxyproto.PROXY, TransportProtocol: proxyproto.TCPv4,
		SourceAddr: net.TCPAddrFromAddrPort(src), DestinationAddr: net.TCPAddrFromAddrPort(dst)}
	if err := rich.SetTLVs([]proxyproto.TLV{{Type: proxyproto.PP2_TYPE_AUTHORITY, Value: []byte("db.example")},
		{Type: proxyproto.PP2_TYPE_NOOP, Value: make([]byte, 3000)}, {Type: 0xEA, Value: []byte("vpce-1")}}); err != nil {
		t.Fatal(err)
	}
	block, err := rich.Format()
	if err != nil {
		t.Fatal(err)
	}
	return map[string][2]string{
		"v1":       {string(sniff.AppendProxyV1(nil, src, dst)), told},
		"unknown":  {"PROXY UNKNOWN\r\n", "HERE"},
		"v2":       {string(sniff.AppendProxyV2(nil, src, dst, sniff.ProxyOptions{})), told},
		"checksum": {string(sniff.AppendProxyV2(nil, src, dst, sniff.ProxyOptions{Checksum: true})), told},
		"TLVs":     {string(block), told},
		"local":    {string(sniff.AppendProxyV2(nil, src, dst, sniff.ProxyOptions{Local: true})), "HERE"},
		"v6": {string(sniff.AppendProxyV2(nil, netip.MustParseAddrPort("[2001:db8::7]:1"), netip.MustParseAddrPort("[2001:db8::9]:2"), sniff.ProxyOptions{})),
			"[2001:db8::7]:1 [2001:db8::9]:2"},
	}
}

// TestProxyProtocol takes headers of all kinds off tcp and tls listeners and passes on what they say, in
// either version.
func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, key := a.issue(identity{file: "db", name: "db", hosts: []string{"db.example"}, serial: 2})
	b := introduced(t)
	pool := func(version string) string {
		return fmt.Sprintf("{ protocol: tcp, send_proxy_protocol: %s, health_check: { interval: 50ms, timeout: 1s }, backends: { b1: { address: %q } } }", version, b.Addr())
	}
	s := &streams{lines: a.path("access.log")}
	s.daemon = start(t, fmt.Sprintf(`
listeners:
  db: { protocol: tcp, address: "127.0.0.1:0", pool: v1, accept_proxy_protocol: { from: 127.0.0.1 } }
  safe: { protocol: tls, address: "127.0.0.1:0", pool: v2, accept_proxy_protocol: { from: 127.0.0.1 }, tls: { %s } }
pools: { v1: %s, v2: %s }
log: { access: { output: %q } }
`, certificates(cert, key), pool("v1"), pool("v2"), s.lines))
	s.awaitHealth("v1", "b1", "up") // by probes that say LOCAL
	s.awaitHealth("v2", "b1", "up")
	n := 0
	for name, h := range headers(t) {
		for _, size := range []int{len(h[0]), 1} {
			for listener, version := range map[string]string{"db": "v1", "safe": "v2"} {
				t.Run(fmt.Sprintf("%s to %s by %d", name, listener, size), func(t *testing.T) {
					tcp := dialFrom(t, "", s.address(listener))
					if _, err := io.WriteString(dripping{tcp, size}, h[0]); err != nil {
						t.Fatal(err)
					}
					var c net.Conn = tcp
					if listener == "safe" {
						c = tls.Client(tcp, &tls.Config{ServerName: "db.example", RootCAs: a.pool()})
					}
					if _, err := io.WriteString(c, "x"); err != nil {
						t.Fatal(err)
					}
					want := version + " " + strings.ReplaceAll(h[1], "HERE", fmt.Sprint(tcp.LocalAddr(), " ", tcp.RemoteAddr()))
					if got := readLine(t, c); got != want {
						t.Errorf("the backend heard %q, want %q", got, want)
					}
					exactly(t, c, 1)
					says(t, c, "echo")
					_ = c.Close()
				})
				n++
			}
		}
	}
	clients := map[string]int{}
	for _, l := range s.logged(n) {
		clients[l.Client]++
	}
	if clients["203.0.113.7"] != 16 || clients["2001:db8::7"] != 4 || clients["127.0.0.1"] != 8 {
		t.Errorf("logged clients: %v", clients)
	}
}

// TestProxyProtocolIsDue demands a header of those who must send one, a good one and in time, and of
// nobody else.
func TestProxyProtocolIsDue(t *testing.T) {
	t.Parallel()
	s := startTCP(t, "accept_proxy_protocol: { from: 127.0.0.1 }, timeouts: { client_tls: 300ms },", "health_check: none, "+inFlow([]*lbtest.TCP{lbtest.NewTCP(t, func(_ context.Context, c *net.TCPConn) {
		_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
	})}))
	broken := []byte(headers(t)["checksum"][0])
	broken[17] ^= 1
	tests := []struct{ name, sent, outcome, by string }{
		{"none", "SELECT 1", "bad_request", "weir"},
		{"wrong checksum", string(broken), "bad_request", "weir"},
		{"endless", "PROXY TCP4 " + strings.Repeat("1", 200), "bad_request", "weir"},
		{"huge", headers(t)["v2"][0][:14] + "\xff\xff", "bad_request", "weir"},
		{"silence", "", "client_timeout", "weir"},
		{"half", "PROXY TC", "client_timeout", "weir"},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := dialFrom(t, "", s.address("db"))
			if _, err := io.WriteString(c, tt.sent); err != nil {
				t.Fatal(err)
			}
			wantReset(t, c)
			s.last(i+1, tt.outcome, tt.by)
		})
	}
	if got := s.metric("weir_listener_connections_rejected_total", "listener", "db", "reason", "proxy_header"); got != float64(len(tests)) {
		t.Errorf("%v are counted as turned away, want %d", got, len(tests))
	}
	// Of others a header is what they say, and no word about them.
	says(t, dialFrom(t, "127.0.0.2", s.address("db")), headers(t)["v1"][0])
}

// TestProxyProtocolNamesTheClient judges and keeps clients by the address in the header.
func TestProxyProtocolNamesTheClient(t *testing.T) {
	t.Parallel()
	s := startTCP(t, "accept_proxy_protocol: { from: 127.0.0.0/8 }, deny: [203.0.113.0/24, 127.0.0.0/8], limits: { per_client_connections: 2 },",
		"health_check: none, session_persistence: source_ip, "+inFlow(echoes(t, 3)))
	enter := func(source string) *net.TCPConn {
		t.Helper()
		c := dialFrom(t, "", s.address("db"))
		h := sniff.AppendProxyV2(nil, netip.MustParseAddrPort(source), netip.MustParseAddrPort("198.51.100.9:443"), sniff.ProxyOptions{})
		if _, err := c.Write(h); err != nil {
			t.Fatal(err)
		}
		return c
	}
	wantReset(t, enter("203.0.113.7:1"))
	s.last(1, "denied", "weir")
	if got := s.metric("weir_listener_connections_rejected_total", "listener", "db", "reason", "denied"); got != 1 {
		t.Errorf("%v are counted as denied", got)
	}
	for i := range 30 {
		one := enter(fmt.Sprintf("192.0.2.%d:1", i))
		first := exactly(t, one, 2) // before the next: of two that come at once, none is the first
		two := enter(fmt.Sprintf("192.0.2.%d:2", i))
		if second := exactly(t, two, 2); second != first {
			t.Errorf("client %d is on %s and %s", i, first, second)
		}
		if i == 0 {
			wantReset(t, enter("192.0.2.0:3"))
			s.last(2, "rate_limited", "weir")
		}
		_, _ = one.Close(), two.Close()
	}
	// Who has left is not counted any more.
	eventually(t, "a client that has left comes again", func() bool {
		c := enter("192.0.2.0:4")
		_, err := io.ReadFull(c, make([]byte, 2))
		return err == nil
	})
}

// proxiedNginx is nginx with web servers that want a PROXY header, plain and TLS, and say whom it names;
// and with streams that send headers of version 1 to the addresses given.
func proxiedNginx(t *testing.T, a *authority, to ...string) (plain, secure string, streams []string) {
	t.Helper()
	path := program(t, "nginx")
	const module = "/usr/lib/nginx/modules/ngx_stream_module.so"
	if _, err := os.Stat(module); err != nil {
		t.Skipf("no stream module of nginx: %v", err)
	}
	cert, key := a.issue(identity{file: "nginx", name: "nginx", hosts: []string{"nginx.example"}, serial: 5})
	dir := t.TempDir()
	plain, secure = fixedPort(t), fixedPort(t)
	var passes strings.Builder
	for _, address := range to {
		streams = append(streams, fixedPort(t))
		fmt.Fprintf(&passes, "server { listen %s; proxy_pass %s; proxy_protocol on; }\n", streams[len(streams)-1], address)
	}
	config := fmt.Sprintf(`
load_module %s;
daemon off; master_process off; pid nginx.pid; error_log error.log;
events { }
stream { %s }
http {
	access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
	server {
		listen %s proxy_protocol; listen %s ssl proxy_protocol; ssl_certificate %s; ssl_certificate_key %s;
		location / { return 200 "$proxy_protocol_addr:$proxy_protocol_port $connection $http_x_forwarded_for"; }
	}
}`, module, passes.String(), plain, secure, cert, key)
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var output lockedBuffer
	cmd := exec.Command(path, "-e", "error.log", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("nginx: %v: %s", err, output.String())
		}
	})
	eventually(t, "nginx listens", func() bool {
		c, err := net.Dial("tcp", plain)
		return err == nil && c.Close() == nil
	})
	return plain, secure, streams
}

// TestProxyProtocolOfNginx has nginx behind weir, which is told who the client is, and in front of it,
// telling.
func TestProxyProtocolOfNginx(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	web, raw := fixedPort(t), fixedPort(t)
	plain, secure, fronts := proxiedNginx(t, a, web, raw)
	d := start(t, fmt.Sprintf(`
listeners:
  web: { protocol: http, address: %q, pool: plain, accept_proxy_protocol: { from: 127.0.0.1 } }
  direct: { protocol: http, address: "127.0.0.1:0", pool: plain, routes: [{ path_prefix: /secure, pool: secure }] }
  raw: { protocol: tcp, address: %q, pool: echo, accept_proxy_protocol: { from: 127.0.0.1 } }
  passed: { protocol: tcp, address: "127.0.0.1:0", pool: straight }
pools:
  plain: { send_proxy_protocol: v1, health_check: { protocol: http }, backends: { b1: { address: %q } } }
  secure: { protocol: https, send_proxy_protocol: v2, tls: { ca: %s, server_name: nginx.example }, health_check: { protocol: https }, backends: { b1: { address: %q } } }
  echo: { protocol: tcp, send_proxy_protocol: v2, backends: [%q] }
  straight: { protocol: tcp, send_proxy_protocol: v2, backends: [%q] }
`, web, raw, plain, a.path("ca.crt"), secure, introduced(t).Addr(), plain))
	d.awaitHealth("plain", "b1", "up")
	d.awaitHealth("secure", "b1", "up")
	// ask sends a request on a connection that is kept, and returns who nginx thinks the client is, and on
	// which of its connections it came.
	ask := func(c net.Conn, r *bufio.Reader, path string) (client, connection string) {
		t.Helper()
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: nginx.example\r\n\r\n", path)
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("got %d %q, %v", res.StatusCode, body, err)
		}
		words := bytes.Fields(body)
		if want, _, _ := strings.Cut(string(words[0]), ":"); len(words) > 2 && string(words[2]) != want {
			t.Errorf("%s: X-Forwarded-For says %s", body, words[2])
		}
		return string(words[0]), string(words[1])
	}
	for _, tt := range []struct{ name, address, path string }{
		{"behind", d.address("direct"), "/"},
		{"behind, by TLS", d.address("direct"), "/secure"},
		{"behind and in front", fronts[0], "/"},
		{"behind at layer 4", d.address("passed"), "/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seen := map[string]bool{}
			for range 3 {
				c := dialFrom(t, "", tt.address)
				r, own := bufio.NewReader(c), ""
				for range 3 {
					client, connection := ask(c, r, tt.path)
					if client != c.LocalAddr().String() {
						t.Errorf("nginx takes the client for %s, it is %v", client, c.LocalAddr())
					}
					if own != "" && connection != own || own == "" && seen[connection] {
						t.Errorf("connection %s of nginx, before %q, of others %v", connection, own, seen)
					}
					own, seen[connection] = connection, true
				}
			}
		})
	}
	c := dialFrom(t, "", fronts[1])
	_, _ = io.WriteString(c, "x")
	if got, want := readLine(t, c), fmt.Sprintf("v2 %v %s", c.LocalAddr(), fronts[1]); got != want {
		t.Errorf("the backend heard %q, want %q", got, want)
	}
	if got := time.Duration(d.metric("weir_listener_connections_rejected_total")); got != 0 {
		t.Errorf("%d connections were turned away", got)
	}
}
