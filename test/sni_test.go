package test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/lbtest"
)

// named is a TLS backend for a host, of the authority. It says its name, the name that it was asked for
// and the protocol, and echoes. Without a host it speaks no TLS and echoes alone.
func (a *authority) named(host string, protocols ...string) *lbtest.TCP {
	a.t.Helper()
	config := &tls.Config{NextProtos: protocols}
	if host != "" {
		cert, key := a.issue(identity{file: host, name: host, hosts: []string{host}, serial: 7})
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			a.t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return lbtest.NewTCP(a.t, func(_ context.Context, tcp *net.TCPConn) {
		if host == "" {
			_, _ = io.Copy(struct{ io.Writer }{tcp}, struct{ io.Reader }{tcp})
			return
		}
		c := tls.Server(tcp, config)
		if c.Handshake() != nil {
			return
		}
		state := c.ConnectionState()
		fmt.Fprintf(c, "%s,%s,%s\n", host, state.ServerName, state.NegotiatedProtocol)
		_, _ = io.Copy(c, c)
		_ = c.CloseWrite()
	})
}

// readLine reads to the end of a line, a byte at a time.
func readLine(t testing.TB, c io.Reader) string {
	t.Helper()
	var text strings.Builder
	for b := ""; b != "\n"; text.WriteString(b) {
		b = exactly(t, c, 1)
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// startSNI passes TLS through to the pools a, b, mail and rest, whose backends speak TLS, and plain,
// which is for what has no name and gets it back.
func startSNI(t *testing.T, a *authority) *daemon {
	t.Helper()
	pool := func(b *lbtest.TCP) string {
		return fmt.Sprintf("{ protocol: tcp, health_check: none, backends: [%q] }", b.Addr())
	}
	return start(t, fmt.Sprintf(`
listeners:
  door:
    protocol: tcp
    address: "127.0.0.1:0"
    timeouts: { client_tls: 300ms }
    pool: plain
    routes:
      - { source: 127.0.0.3, sni: a.example, pool: rest }
      - { sni: a.example, pool: a }
      - { sni: "*.b.example", pool: b }
      - { alpn: [imap, pop3], pool: mail }
      - { sni: ["rest.example", "*.rest.example"], split: [{ pool: rest, weight: 1 }] }
pools:
  a: %s
  b: %s
  mail: %s
  rest: %s
  plain: %s
`, pool(a.named("a.example", "h2", "http/1.1")), pool(a.named("x.b.example")), pool(a.named("mail.example", "imap")), pool(a.named("rest.example")), pool(a.named(""))))
}

// dripping sends in pieces of a size, each in a segment of its own.
type dripping struct {
	*net.TCPConn
	size int
}

func (d dripping) Write(p []byte) (n int, err error) {
	for part := p; len(part) > 0 && err == nil; part = part[min(d.size, len(part)):] {
		_, err = d.TCPConn.Write(part[:min(d.size, len(part))])
	}
	return len(p), err
}

// records cuts the first message of TLS into records of a size.
type records struct {
	*net.TCPConn
	size int
	done bool
}

func (r *records) Write(p []byte) (int, error) {
	if r.done {
		return r.TCPConn.Write(p)
	}
	r.done = true
	header, body := p[:3], p[5:]
	for len(body) > 0 {
		n := min(r.size, len(body))
		record := append(append([]byte(nil), header...), byte(n>>8), byte(n))
		if _, err := r.TCPConn.Write(append(record, body[:n]...)); err != nil {
			return 0, err
		}
		body = body[n:]
	}
	return len(p), nil
}

// TestSNI routes TLS by what its first message says, in whatever pieces that comes, and passes it on as
// it came: the backends' certificates are verified by the clients.
func TestSNI(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	d := startSNI(t, a)
	tests := []struct {
		name, host, verify string // verify: what the certificate is for, if that is not host
		alpn               []string
		source             string
		version            uint16
		want               string
	}{
		{"exact", "a.example", "", nil, "", 0, "a.example,a.example,"},
		{"TLS 1.2", "a.example", "", nil, "", tls.VersionTLS12, "a.example,a.example,"},
		{"capitals", "A.eXample", "", nil, "", 0, "a.example,A.eXample,"},
		{"wildcard", "x.b.example", "", nil, "", 0, "x.b.example,x.b.example,"},
		{"protocol goes through", "a.example", "", []string{"http/1.1"}, "", 0, "a.example,a.example,http/1.1"},
		{"by protocol", "other.example", "mail.example", []string{"smtp", "imap"}, "", 0, "mail.example,other.example,imap"},
		{"by source", "a.example", "rest.example", nil, "127.0.0.3", 0, "rest.example,a.example,"},
		{"split", "rest.example", "", nil, "", 0, "rest.example,rest.example,"},
		{"long", "a.example", "", append([]string{"h2"}, names(60)...), "", 0, "a.example,a.example,h2"},
	}
	for _, tt := range tests {
		for _, size := range []int{0, 1, 40, -64, -300} { // of segments, and of records
			t.Run(fmt.Sprintf("%s/%d", tt.name, size), func(t *testing.T) {
				if size == 1 && tt.name == "long" {
					t.Skip("more pieces than fit into the time-out on a busy machine")
				}
				tcp := dialFrom(t, tt.source, d.address("door"))
				var conn net.Conn = tcp
				switch {
				case size > 0:
					conn = dripping{tcp, size}
				case size < 0:
					conn = &records{TCPConn: tcp, size: -size}
				}
				verify := tt.verify
				if verify == "" {
					verify = tt.host
				}
				// crypto/tls sends the name that it verifies, so it is told not to, and to verify another one.
				c := tls.Client(conn, &tls.Config{ServerName: tt.host, InsecureSkipVerify: true, NextProtos: tt.alpn, MaxVersion: tt.version,
					VerifyConnection: func(s tls.ConnectionState) error {
						_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: a.pool(), DNSName: verify})
						return err
					}})
				if got := readLine(t, c); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				says(t, c, "and back")
			})
		}
	}
}

// names are long names of protocols.
func names(n int) (list []string) {
	for i := range n {
		list = append(list, strings.Repeat("x", 200)+fmt.Sprint(i))
	}
	return list
}

// TestSNIDefault sends what has no name, or is no TLS, or is too much or too late, to the default pool,
// as it came.
func TestSNIDefault(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	d := startSNI(t, a)
	tests := []struct{ name, sent string }{
		{"another protocol", "GET / HTTP/1.1\r\n\r\n"},
		{"no name", string(hello(t, &tls.Config{InsecureSkipVerify: true}))},
		{"unknown name", string(hello(t, &tls.Config{ServerName: "unknown.example"}))},
		{"too long", string(hello(t, &tls.Config{ServerName: "a.example", NextProtos: names(100)}))},
		{"too late", string(hello(t, &tls.Config{ServerName: "a.example"})[:60])},
		{"malformed", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			says(t, dialFrom(t, "", d.address("door")), tt.sent)
		})
	}
	// Where nobody speaks first, the backend does, after a while; and one who ends at once is not lost.
	silent := dialFrom(t, "", d.address("door"))
	eventually(t, "a silent client is passed on", func() bool { b, _ := d.backend("plain", "127.0.0.1:"+portOf(d, "plain")); return b.Active > 0 })
	says(t, silent, "at last")
	brief := dialFrom(t, "", d.address("door"))
	_, _ = io.WriteString(brief, "hi")
	if err := brief.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(brief); err != nil || string(got) != "hi" {
		t.Errorf("got %q, %v", got, err)
	}
}

// portOf is the port of the only backend of a pool.
func portOf(d *daemon, pool string) string {
	for _, p := range d.status().Pools {
		if p.Name == pool {
			_, port, _ := cutLast(p.Backends[0].Address, ":")
			return port
		}
	}
	return ""
}

// hello is the first message of a client.
func hello(t *testing.T, c *tls.Config) []byte {
	t.Helper()
	client, server := net.Pipe()
	go func() {
		_ = tls.Client(client, c).Handshake()
		_ = client.Close()
	}()
	defer server.Close()
	if err := server.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 64<<10)
	n, err := server.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// TestSNIPrograms passes openssl and curl through.
func TestSNIPrograms(t *testing.T) {
	t.Parallel()
	program(t, "openssl")
	a := newAuthority(t)
	cert, key := a.issue(identity{file: "web", name: "web", hosts: []string{"shop.example"}, serial: 9})
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	web := lbtest.NewHTTPS(t, "web", &lbtest.Certificate{Pair: pair})
	d := start(t, fmt.Sprintf(`
listeners: { door: { protocol: tcp, address: "127.0.0.1:0", pool: other, routes: [{ sni: shop.example, pool: web }] } }
pools:
  web: { protocol: tcp, health_check: none, backends: [%q] }
  other: { protocol: tcp, health_check: none, backends: [%q] }
`, web.Addr(), a.named("other.example").Addr()))
	host, port, _ := cutLast(d.address("door"), ":")
	c := curl(t, "%{http_code} %{http_version}", "--cacert", a.path("ca.crt"), "--resolve", "shop.example:"+port+":"+host, "https://shop.example:"+port+"/")
	if c.code != 0 || !strings.HasPrefix(c.wrote, "200 ") {
		t.Errorf("curl: exit code %d, got %s: %s", c.code, c.wrote, c.verbose)
	}
	sClient(t, a, d.address("door"), "-servername", "shop.example").want(0, "subject=", "CN = web", "Verify return code: 0 (ok)", "HTTP/1.1 200 OK")
	openssl(t, "", "s_client", "-connect", d.address("door"), "-CAfile", a.path("ca.crt"), "-noservername").want(0, "CN = other.example")
	openssl(t, "", "s_client", "-connect", d.address("door"), "-CAfile", a.path("ca.crt"), "-servername", "elsewhere.example").want(0, "CN = other.example")
	if web.Requests() != 2 {
		t.Errorf("the web server has %d requests, want 2", web.Requests())
	}
	_, stdout, _ := weir(t, "check", "--routes", d.file)
	wantWords(t, "weir check --routes", stdout, "listener door", "sni shop.example → pool web", "everything else → pool other")
}

// TestTLSToTCP terminates TLS before plain backends, and before others that speak TLS by themselves.
func TestTLSToTCP(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	one, oneKey := a.issue(identity{file: "one", name: "one", hosts: []string{"one.example"}, serial: 2})
	two, twoKey := a.issue(identity{file: "two", name: "two", hosts: []string{"two.example"}, serial: 3})
	me, meKey := a.issue(identity{file: "me", name: "me", serial: 4})
	elsewhere := newAuthority(t)
	inner, plain := a.named("inner.example", "sql", "h2"), a.named("")
	s := &streams{lines: a.path("access.log")}
	s.daemon = start(t, fmt.Sprintf(`
listeners:
  db:
    protocol: tls
    address: "127.0.0.1:0"
    pool: plain
    timeouts: { client_tls: 500ms }
    tls: { %s, alpn: [sql, h2], client_ca: %s, client_auth: request }
    routes: [{ sni: two.example, alpn: sql, pool: inner }, { alpn: h2, pool: distrusted }]
pools:
  plain: { protocol: tcp, health_check: none, backends: [%q] }
  inner: { protocol: tls, tls: { ca: %s, server_name: inner.example }, health_check: { protocol: tls }, backends: [%q] }
  distrusted: { protocol: tls, tls: { ca: %s, server_name: inner.example }, health_check: none, backends: [%q] }
log: { access: { output: %q } }
`, certificates(one, oneKey, two, twoKey), a.path("ca.crt"), plain.Addr(), a.path("ca.crt"), inner.Addr(), elsewhere.path("ca.crt"), inner.Addr(), s.lines))
	s.awaitHealth("inner", s.status().Pools[1].Backends[0].Name, "up")
	dial := func(c *tls.Config) *tls.Conn {
		t.Helper()
		if c.RootCAs == nil {
			c.RootCAs = a.pool()
		}
		return tls.Client(dialFrom(t, "", s.address("db")), c)
	}
	// Both ways, each ended by its own alert.
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c := dial(&tls.Config{ServerName: "one.example", MaxVersion: version})
		big := strings.Repeat(string(noise(1<<20)), 3)
		go func() { _, _ = io.WriteString(c, big); _ = c.CloseWrite() }()
		if got, err := io.ReadAll(c); err != nil || string(got) != big {
			t.Errorf("got %d bytes back, %v", len(got), err)
		}
	}
	if l := s.last(2, "ok", "client"); l.In != 3<<20 || l.Out != 3<<20 || l.SNI != "one.example" || l.Pool != "plain" {
		t.Errorf("logged as %+v", l)
	}
	// The certificate follows the name, the protocol is agreed on, and goes on to the backend.
	c := dial(&tls.Config{ServerName: "two.example", NextProtos: []string{"imap", "sql"}})
	if got := readLine(t, c); got != "inner.example,inner.example,sql" {
		t.Errorf("the backend says %q", got)
	}
	if p := c.ConnectionState().NegotiatedProtocol; p != "sql" {
		t.Errorf("agreed on %q, want sql", p)
	}
	says(t, c, "all the way")
	_ = c.Close()
	s.last(3, "ok", "client")
	// A backend whose certificate is not trusted gets nothing.
	c = dial(&tls.Config{ServerName: "two.example", NextProtos: []string{"h2"}})
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
	if l := s.last(4, "backend_tls", "weir"); !strings.Contains(l.Reason, "certificate signed by unknown authority") {
		t.Errorf("logged as %+v", l)
	}
	// Certificates of clients: a good one, one of a stranger.
	pair := func(cert, key string) []tls.Certificate {
		p, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{p}
	}
	c = dial(&tls.Config{ServerName: "one.example", Certificates: pair(me, meKey)})
	says(t, c, "it is me")
	_ = c.Close()
	s.last(5, "ok", "client")
	stranger, strangerKey := elsewhere.issue(identity{file: "me", name: "me", serial: 4})
	c = dial(&tls.Config{ServerName: "one.example", GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &pair(stranger, strangerKey)[0], nil
	}})
	if _, err := c.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "remote error: tls:") {
		t.Errorf("a stranger: got %v, want an alert", err)
	}
	s.last(6, "bad_request", "client")
	// No TLS at all, and nothing at all.
	raw := dialFrom(t, "", s.address("db"))
	_, _ = io.WriteString(raw, "SELECT 1;\r\n")
	_, _ = io.ReadAll(raw)
	s.last(7, "bad_request", "client")
	wantReset(t, dialFrom(t, "", s.address("db")))
	if l := s.last(8, "client_timeout", "weir"); l.Duration < 500 {
		t.Errorf("logged as %+v", l)
	}
	// A client that vanishes without an alert has not ended in order.
	c = dial(&tls.Config{ServerName: "one.example"})
	says(t, c, "x")
	_ = c.NetConn().Close()
	if l := s.logged(9)[8]; l.Outcome != "client_closed" {
		t.Errorf("logged as %+v", l)
	}
	if ok, failed := s.metric("weir_tls_handshakes_total", "listener", "db", "result", "ok"), s.metric("weir_tls_handshakes_total", "listener", "db", "result", "error"); ok != 6 || failed != 3 {
		t.Errorf("%v good and %v bad handshakes are counted, want 6 and 3", ok, failed)
	}
}

// TestTLSListenerRenews takes new certificates into use without touching connections, and keeps the old
// ones when the new are bad.
func TestTLSListenerRenews(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	install := func(serial int64) (cert, key string) {
		return a.issue(identity{file: "db", name: "db", hosts: []string{"db.example"}, serial: serial})
	}
	cert, key := install(10)
	d := start(t, fmt.Sprintf(`
listeners: { db: { protocol: tls, address: "127.0.0.1:0", pool: sql, tls: { %s } } }
pools: { sql: { protocol: tcp, health_check: none, backends: [%q] } }
`, certificates(cert, key), a.named("").Addr()))
	dial := func() *tls.Conn {
		t.Helper()
		c := tls.Client(dialFrom(t, "", d.address("db")), &tls.Config{ServerName: "db.example", RootCAs: a.pool()})
		says(t, c, "hello")
		return c
	}
	kept := dial()
	serial := func(c *tls.Conn) int64 { return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64() }
	install(11)
	d.reload(string(readFile(t, d.file)))
	if got := serial(dial()); got != 11 {
		t.Errorf("certificate %d is served, want 11", got)
	}
	a.replace(cert, []byte("nonsense"))
	d.expect("reload refused")
	if code, _, stderr := d.cli("reload"); code == 0 || !strings.Contains(stderr, "listeners.db.tls") {
		t.Errorf("a bad certificate: exit code %d, %s", code, stderr)
	}
	if got := serial(dial()); got != 11 {
		t.Errorf("certificate %d is served, want 11", got)
	}
	says(t, kept, "still here")
	if got := d.metric("weir_tls_certificate_not_after_seconds", "listener", "db"); got < float64(time.Now().Unix()) {
		t.Errorf("the end of the certificate is shown as %v", got)
	}
}
