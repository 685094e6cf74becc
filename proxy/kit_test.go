package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"weir/balancer"
	"weir/config"
	"weir/internal/lbtest"
	"weir/telemetry"
)

// patience bounds every wait of a test that should be over at once.
const patience = 10 * time.Second

// rig is a running server with what a test wants to know about it.
type rig struct {
	t     testing.TB
	s     *Server
	stats *telemetry.Registry
	logs  *observer.ObservedLogs

	backends map[*balancer.Backend]string // every one that was ever in service, and its pool
	names    map[[2]string]bool           // of pools and backends
	stopped  bool
}

// load reads a configuration and lets edit change it.
func load(t testing.TB, text string, edit ...func(*config.Config)) *config.Config {
	t.Helper()
	c, report := config.LoadBytes("test.yaml", []byte(text))
	if c == nil {
		t.Fatalf("configuration: %+v", report)
	}
	for _, f := range edit {
		f(c)
	}
	return c
}

// start runs a server for the configuration. When the test ends it is stopped, and nothing of it
// may be left: no connection, no lease.
func start(t testing.TB, text string, edit ...func(*config.Config)) *rig {
	t.Helper()
	return startWith(t, load(t, text, edit...), nil)
}

func startWith(t testing.TB, c *config.Config, access *telemetry.AccessLog) *rig {
	t.Helper()
	return startOptions(t, Options{Config: c, AccessLog: access})
}

// startOptions fills in what all options have in common.
func startOptions(t testing.TB, o Options) *rig {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	r := &rig{
		t: t, stats: newStats(), logs: logs,
		backends: map[*balancer.Backend]string{}, names: map[[2]string]bool{},
	}
	o.Log, o.Telemetry = zap.New(core), r.stats
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.s = s
	r.note()
	t.Cleanup(func() { r.stop(patience) })
	return r
}

// apply puts another configuration in force.
func (r *rig) apply(c *config.Config) Change {
	r.t.Helper()
	change, err := r.s.Apply(c)
	if err != nil {
		r.t.Fatal(err)
	}
	r.note()
	return change
}

// note remembers the backends in service.
func (r *rig) note() {
	for _, p := range r.s.Pools() {
		for _, m := range p.Balancer.Snapshot().Members() {
			r.backends[m.Backend] = p.Config.Name
			r.names[[2]string{p.Config.Name, m.Backend.Name()}] = true
		}
	}
}

// stop shuts the server down within limit and looks for leaks. It does so once.
func (r *rig) stop(limit time.Duration) {
	r.t.Helper()
	if r.stopped {
		return
	}
	r.stopped = true
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := r.s.Shutdown(ctx); err != nil && limit == patience {
		r.t.Errorf("Shutdown: %v; connections are left", err)
	}
	for b, pool := range r.backends {
		if n := b.Active(); n != 0 {
			r.t.Errorf("backend %s/%s has %d leases left", pool, b.Name(), n)
		}
	}
	for name := range r.names {
		if n := r.stats.Backend(name[0], name[1]).Counts().Open; n != 0 {
			r.t.Errorf("%d connections to backend %s/%s are left", n, name[0], name[1])
		}
	}
	for _, e := range r.logs.FilterLevelExact(zap.ErrorLevel).All() {
		r.t.Errorf("logged as an error: %s %v", e.Message, e.ContextMap())
	}
}

// addr is the address of a listener, "web" if none is named.
func (r *rig) addr(name ...string) string {
	want := "web"
	if len(name) > 0 {
		want = name[0]
	}
	for _, l := range r.s.Listeners() {
		if l.Config.Name == want {
			return l.Addresses[0]
		}
	}
	r.t.Fatalf("no listener %q", want)
	return ""
}

// connections is the number of client connections.
func (r *rig) connections() int {
	n := 0
	for _, l := range r.s.Listeners() {
		n += l.Connections
	}
	return n
}

// backend is a backend in service.
func (r *rig) backend(pool, name string) *balancer.Backend {
	r.t.Helper()
	for _, p := range r.s.Pools() {
		for _, m := range p.Balancer.Snapshot().Members() {
			if p.Config.Name == pool && m.Backend.Name() == name {
				return m.Backend
			}
		}
	}
	r.t.Fatalf("no backend %s/%s", pool, name)
	return nil
}

// leases is the number of leases on the backends that were ever in service.
func (r *rig) leases() int64 {
	var n int64
	for b := range r.backends {
		n += b.Active()
	}
	return n
}

var outcomeLine = regexp.MustCompile(`(?m)^weir_http_outcomes_total\{(.*)\} ([0-9]+)$`)
var outcomeWord = regexp.MustCompile(`outcome="([a-z_]+)"`)

// metrics is what a scrape gets.
func (r *rig) metrics() string {
	rec := httptest.NewRecorder()
	r.stats.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return rec.Body.String()
}

// outcomes counts the finished requests by outcome, as a scrape sees them.
func (r *rig) outcomes() map[string]int {
	r.t.Helper()
	got := map[string]int{}
	for _, m := range outcomeLine.FindAllStringSubmatch(r.metrics(), -1) {
		n, err := strconv.Atoi(m[2])
		if err != nil {
			r.t.Fatal(err)
		}
		if n > 0 {
			got[outcomeWord.FindStringSubmatch(m[1])[1]] += n
		}
	}
	return got
}

// wantOutcomes waits until the requests have ended as told: "ok 2 client_closed 1".
func (r *rig) wantOutcomes(want string) {
	r.t.Helper()
	expected := map[string]int{}
	words := strings.Fields(want)
	for i := 0; i < len(words); i += 2 {
		n, err := strconv.Atoi(words[i+1])
		if err != nil {
			r.t.Fatal(err)
		}
		expected[words[i]] = n
	}
	var got map[string]int
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if got = r.outcomes(); maps.Equal(got, expected) {
			return
		}
		<-time.After(time.Millisecond)
	}
	r.t.Errorf("outcomes are %v, want %v", got, expected)
}

// client is a raw client connection.
type client struct {
	t testing.TB
	*net.TCPConn
	r *bufio.Reader
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &client{t, conn.(*net.TCPConn), bufio.NewReader(conn)}
}

func (r *rig) dial() *client {
	r.t.Helper()
	return dial(r.t, r.addr())
}

// send writes text as it stands; a line break in the source of a test is a CRLF.
func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// answer is a response with its body, read to its end or to the error.
type answer struct {
	*http.Response
	body string
	err  error
}

// receive reads the response to a request of that method.
func (c *client) receive(method string) answer {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("no response: %v", err)
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	return answer{res, string(body), err}
}

// want reads a response and compares status and, if it is not empty, a part of the body.
func (c *client) want(method string, status int, part string) answer {
	c.t.Helper()
	a := c.receive(method)
	if a.StatusCode != status || !strings.Contains(a.body, part) || a.err != nil {
		c.t.Fatalf("got %d %q %v, want %d %q", a.StatusCode, a.body, a.err, status, part)
	}
	return a
}

// get asks for a path and wants a 200.
func (c *client) get(path, part string) answer {
	c.t.Helper()
	c.send("GET " + path + " HTTP/1.1\r\nHost: shop.example\r\n\r\n")
	return c.want("GET", 200, part)
}

// getLast is get on a connection that comes to its end with that.
func (c *client) getLast(path, part string) {
	c.t.Helper()
	if a := c.get(path, part); !a.Close {
		c.t.Error("the response does not say that the connection ends")
	}
	c.wantEnd()
}

// wantEnd reads to the end of the stream, before which nothing more may come.
func (c *client) wantEnd() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) != 0 {
		c.t.Fatalf("got %q %v, want the end of the connection", rest, err)
	}
}

// origin is a backend that a test scripts message by message.
type origin struct {
	*lbtest.TCP
	step  chan struct{} // for a script to wait on; the test closes it
	mu    sync.Mutex
	heads []string // of the requests, in the order of arrival
}

// side is one connection as the origin sees it.
type side struct {
	o *origin
	net.Conn
	tcp *net.TCPConn // what carries it
	r   *bufio.Reader
}

// newOrigin runs serve for every connection; the connection is closed when it returns.
func newOrigin(t testing.TB, serve func(*side)) *origin {
	t.Helper()
	return newTLSOrigin(t, nil, serve)
}

// newTLSOrigin speaks TLS; nil: plain text.
func newTLSOrigin(t testing.TB, c *tls.Config, serve func(*side)) *origin {
	t.Helper()
	o := &origin{step: make(chan struct{})}
	o.TCP = lbtest.NewTCP(t, func(_ context.Context, tcp *net.TCPConn) {
		var conn net.Conn = tcp
		if c != nil {
			conn = tls.Server(tcp, c)
			defer conn.Close() // with the alert that says that nothing was cut off
		}
		serve(&side{o, conn, tcp, bufio.NewReader(conn)})
	})
	return o
}

// each answers every request of a connection by what reply returns for it, until that is empty.
func each(reply func(head string, body string) string) func(*side) {
	return func(s *side) {
		for {
			head, body, ok := s.request()
			if !ok {
				return
			}
			text := reply(head, body)
			if text == "" || !s.send(text) {
				return
			}
		}
	}
}

// answering is an origin that gives one reply to everything.
func answering(t testing.TB, reply string) *origin {
	t.Helper()
	return newOrigin(t, each(func(string, string) string { return reply }))
}

// head reads a request's head as it came, without its last line.
func (s *side) head() (string, bool) {
	var head strings.Builder
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return "", false
		}
		if line == "\r\n" {
			break
		}
		head.WriteString(line)
	}
	s.o.mu.Lock()
	s.o.heads = append(s.o.heads, head.String())
	s.o.mu.Unlock()
	return head.String(), true
}

// request reads a request: the head as it came and the content of the body.
func (s *side) request() (head, body string, ok bool) {
	head, ok = s.head()
	if !ok {
		return "", "", false
	}
	req, err := http.ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader(head+"\r\n"), s.r)))
	if err != nil {
		return head, "", false
	}
	// The reader that read the head may hold more than this request; every test sends one at a time.
	b, err := io.ReadAll(req.Body)
	return head, string(b), err == nil
}

func (s *side) send(text string) bool {
	_, err := io.WriteString(s, text)
	return err == nil
}

// reset ends the connection with a RST.
func (s *side) reset() {
	_ = s.tcp.SetLinger(0)
	_ = s.tcp.Close()
}

// requests counts the heads that have come.
func (o *origin) requests() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.heads)
}

// last is the latest head.
func (o *origin) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.heads) == 0 {
		return ""
	}
	return o.heads[len(o.heads)-1]
}

// site is a configuration of one listener and one pool "app" without health checks; backends are
// named b1, b2, … Lines of the listener and of the pool may follow, indented by nothing.
func site(listener, pool string, backends ...fmt.Stringer) string {
	var b strings.Builder
	b.WriteString("listeners:\n  web:\n    protocol: http\n    address: 127.0.0.1:0\n    pool: app\n")
	b.WriteString(indent(listener))
	b.WriteString("pools:\n  app:\n    health_check: none\n")
	b.WriteString(indent(pool))
	b.WriteString("    backends:\n")
	for i, a := range backends {
		fmt.Fprintf(&b, "      b%d: { address: \"%s\" }\n", i+1, a)
	}
	return b.String()
}

func indent(text string) string {
	if text == "" {
		return ""
	}
	return "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ") + "\n"
}

const ok200 = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// serverTLS is the TLS configuration of an origin with that certificate.
func serverTLS(c *lbtest.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c.Pair}, MinVersion: tls.VersionTLS12}
}

var quietLog = zap.NewNop()

func newStats() *telemetry.Registry { return telemetry.New(telemetry.Options{}) }
