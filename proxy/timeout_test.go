package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/internal/lbtest"
)

// blackHole is an address where connecting neither succeeds nor fails: nobody accepts, and the
// queue is full.
func blackHole(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*unix.SockaddrInet4).Port))
	for range 16 {
		conn, err := net.DialTimeout("tcp", addr.String(), 100*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Skip("the kernel's queue has no end")
	return addr
}

func TestHeadTimeout(t *testing.T) {
	o := answering(t, ok200)
	for _, tt := range []struct{ name, first, drip string }{
		{"stalled", "GET / HTTP/1.1\r\nHo", ""},
		{"dripping", "GET / HTTP/1.1\r\n", "A: b\r\n"},
		{"stalled after a request", "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HT", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, site("timeouts: { client_header: 600ms }", "", o.Addr()))
			began := time.Now()
			c := r.dial()
			c.send(tt.first)
			outcomes := "client_timeout 1"
			if strings.Contains(tt.first, "\r\n\r\n") {
				c.want("GET", 200, "ok")
				outcomes = "client_timeout 1 ok 1"
			}
			stop := make(chan struct{})
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				tick := time.NewTicker(20 * time.Millisecond)
				defer tick.Stop()
				for tt.drip != "" {
					select {
					case <-stop:
						return
					case <-tick.C:
						if _, err := io.WriteString(c, tt.drip); err != nil {
							return
						}
					}
				}
			}()
			if a := c.want("GET", 408, "head"); !a.Close {
				t.Error("the 408 does not say that the connection ends")
			}
			if d := time.Since(began); d < 600*time.Millisecond || d > patience/2 {
				t.Errorf("the 408 came after %v", d)
			}
			close(stop)
			<-stopped
			c.CloseWrite()
			c.wantEnd()
			r.wantOutcomes(outcomes)
		})
	}
}

// Neither a connection that never sends anything nor one that fell silent gets a word.
func TestSilentConnectionsAreClosedSilently(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("timeouts: { client_header: 600ms, client_idle: 700ms }", "", o.Addr()))
	began := time.Now()
	once, never := r.dial(), r.dial()
	once.get("/", "ok")
	never.wantEnd()
	if d := time.Since(began); d < 600*time.Millisecond || d > patience/2 {
		t.Errorf("the end of the one that sent nothing came after %v", d)
	}
	once.wantEnd()
	if d := time.Since(began); d < 700*time.Millisecond || d > patience/2 {
		t.Errorf("the end of the one that fell silent came after %v", d)
	}
	r.wantOutcomes("ok 1")
}

func TestIdleTimeoutStartsAnewWithEachRequest(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("timeouts: { client_idle: 1500ms }", "", o.Addr()))
	// A machine that is busy enough makes a pause longer than it was meant to be.
	for try := 1; ; try++ {
		c := r.dial()
		began, longest := time.Now(), time.Duration(0)
		var err error
		for last := began; time.Since(began) < 2500*time.Millisecond && err == nil; {
			_, err = c.Write([]byte("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"))
			if err == nil {
				var res *http.Response
				if res, err = http.ReadResponse(c.r, nil); err == nil {
					_, err = io.Copy(io.Discard, res.Body)
				}
			}
			<-time.After(250 * time.Millisecond)
			longest = max(longest, time.Since(last))
			last = time.Now()
		}
		if err == nil {
			c.wantEnd()
			return
		}
		if longest < 1400*time.Millisecond || try == 10 {
			t.Fatalf("the connection ended after %v, no pause was longer than %v: %v", time.Since(began), longest, err)
		}
	}
}

func TestBodyTimeout(t *testing.T) {
	for _, coding := range []string{"Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"} {
		o := newOrigin(t, func(s *side) { s.head(); io.Copy(io.Discard, s) })
		r := start(t, site("timeouts: { client_body_idle: 200ms }", "", o.Addr()))
		c := r.dial()
		c.send("POST / HTTP/1.1\r\nHost: h\r\n" + coding)
		if a := c.want("POST", 408, "body"); !a.Close {
			t.Error("the connection goes on")
		}
		c.wantEnd()
		lbtest.Eventually(t, patience, func() bool { return o.Open() == 0 && r.leases() == 0 })
		r.wantOutcomes("client_timeout 1")
	}
}

// endless sends a body without an end.
func endless(s *side) {
	if _, _, ok := s.request(); !ok {
		return
	}
	if !s.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n") {
		return
	}
	piece := strings.Repeat("x", 64<<10)
	for s.send(piece) {
	}
}

func TestWriteTimeout(t *testing.T) {
	o := newOrigin(t, endless)
	r := start(t, site("timeouts: { client_write_idle: 300ms }", "", o.Addr()))
	c := r.dial()
	if err := c.SetReadBuffer(32 << 10); err != nil {
		t.Fatal(err)
	}
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	lbtest.Eventually(t, patience, func() bool { return o.Open() == 0 && r.connections() == 0 && o.requests() == 1 })
	r.wantOutcomes("client_timeout 1")
	// What the client has not taken is not kept for it.
	if _, err := io.Copy(io.Discard, c.r); err == nil {
		t.Error("the connection came to a regular end")
	}
}

func TestConnectTimeout(t *testing.T) {
	r := start(t, site("", "timeouts: { connect: 200ms }", blackHole(t)))
	c := r.dial()
	for range 2 {
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if a := c.want("GET", 504, "connecting"); a.Close {
			t.Error("the connection ends")
		}
	}
	r.wantOutcomes("backend_connect 2")
	o := answering(t, ok200)
	r = start(t, site("", "timeouts: { connect: 200ms }", blackHole(t), o.Addr()))
	c = r.dial()
	for range 4 {
		c.get("/", "ok")
	}
}

func TestResponseTimeout(t *testing.T) {
	cert := lbtest.NewCertificate(t, "127.0.0.1")
	silent := func(s *side) { io.Copy(io.Discard, s) }
	for _, tls := range []bool{false, true} {
		for _, request := range []string{
			"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
			"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi",
			"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50000\r\n\r\n" + strings.Repeat("x", 50000),
			"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
		} {
			var o *origin
			pool := "timeouts: { backend_response: 300ms }"
			if tls {
				o = newTLSOrigin(t, serverTLS(cert), silent)
				pool += fmt.Sprintf("\nprotocol: https\ntls: { ca: %q }", cert.CertFile)
			} else {
				o = newOrigin(t, silent)
			}
			r := start(t, site("", pool, o.Addr()))
			c := r.dial()
			began := time.Now()
			c.send(request)
			if a := c.want("GET", 504, "too long"); a.Close {
				t.Error("the connection ends")
			}
			if d := time.Since(began); d < 300*time.Millisecond || d > patience/2 {
				t.Errorf("tls=%v: the 504 came after %v", tls, d)
			}
			lbtest.Eventually(t, patience, func() bool { return o.Open() == 0 })
			r.wantOutcomes("backend_timeout 1")
		}
	}
}

func TestBackendIdleTimeoutTruncates(t *testing.T) {
	for _, coding := range []string{"Content-Length: 100\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "\r\nhalf"} {
		o := newOrigin(t, func(s *side) {
			if _, _, ok := s.request(); ok && s.send("HTTP/1.1 200 OK\r\n"+coding) {
				io.Copy(io.Discard, s)
			}
		})
		r := start(t, site("", "timeouts: { backend_idle: 200ms }", o.Addr()))
		c := r.dial()
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if a := c.receive("GET"); a.StatusCode != 200 || a.body != "half" || a.err == nil {
			t.Errorf("got %d %q %v, want a truncated response", a.StatusCode, a.body, a.err)
		}
		lbtest.Eventually(t, patience, func() bool { return o.Open() == 0 })
		r.wantOutcomes("backend_timeout 1")
	}
}

// checked is a pool whose backend is up when the probe's connection is answered.
const checked = "health_check: { protocol: tcp, send: x, expect: y, interval: 100ms, timeout: 5m }"

func checkedSite(pool string, backend fmt.Stringer) string {
	return strings.Replace(site("", pool, backend), "    health_check: none\n", "    "+checked+"\n", 1)
}

func TestQueueTimeout(t *testing.T) {
	hang := lbtest.NewTCP(t, lbtest.Hang())
	r := start(t, checkedSite("timeouts: { queue: 200ms }", hang.Addr()))
	c := r.dial()
	for range 2 {
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if a := c.want("GET", 503, "checked"); a.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	r.wantOutcomes("queue_timeout 2")
}

// A request that finds all backends unchecked is served at the first verdict.
func TestQueueEndsWithTheFirstVerdict(t *testing.T) {
	o := newOrigin(t, func(s *side) {
		first, err := s.r.Peek(1)
		if err != nil {
			return
		}
		if first[0] == 'x' {
			<-s.o.step
			s.send("y")
			return
		}
		for {
			if _, _, ok := s.request(); !ok || !s.send(ok200) {
				return
			}
		}
	})
	r := start(t, checkedSite("", o.Addr()))
	answers := make(chan int, 8)
	for range cap(answers) {
		c := r.dial()
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		go func() { answers <- c.receive("GET").StatusCode }()
	}
	lbtest.Eventually(t, patience, func() bool { return r.connections() == cap(answers) })
	select {
	case status := <-answers:
		t.Fatalf("got %d before the verdict", status)
	case <-time.After(50 * time.Millisecond):
	}
	close(o.step)
	for range cap(answers) {
		if status := <-answers; status != 200 {
			t.Errorf("got %d, want 200", status)
		}
	}
	r.wantOutcomes("ok 8")
}

func TestIdleBackendConnectionsAreClosed(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("", "timeouts: { backend_keepalive: 300ms }", o.Addr()))
	c := r.dial()
	c.get("/", "ok")
	if o.Open() != 1 {
		t.Fatal("the connection to the backend was not kept")
	}
	lbtest.Eventually(t, patience, func() bool { return o.Open() == 0 })
	c.get("/", "ok")
}

func TestClientAbort(t *testing.T) {
	tests := []struct {
		name    string
		request string
		serve   func(*side)
		ready   func(c *client) // the exchange is where the test wants it
	}{
		{"waiting for the response", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", func(s *side) { s.head(); io.Copy(io.Discard, s) }, nil},
		{"waiting for the response to an upload", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", func(s *side) { s.head(); io.Copy(io.Discard, s) }, nil},
		{"in the middle of an upload", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf", func(s *side) { s.head(); io.Copy(io.Discard, s) }, nil},
		{"in a download", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", endless, func(c *client) { io.CopyN(io.Discard, c, 1<<20) }},
		{"in a silent stream", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", func(s *side) {
			s.head()
			s.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nevent\r\n")
			io.Copy(io.Discard, s)
		}, func(c *client) { io.CopyN(io.Discard, c, 50) }},
		{"in a silent close-delimited stream", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", func(s *side) {
			s.head()
			s.send("HTTP/1.1 200 OK\r\n\r\nevent")
			io.Copy(io.Discard, s)
		}, func(c *client) { io.CopyN(io.Discard, c, 20) }},
	}
	for _, tt := range tests {
		for _, how := range []string{"FIN", "RST"} {
			t.Run(tt.name+" "+how, func(t *testing.T) {
				overBoth(t, func(t *testing.T, begin beginner) {
					r, o := begin(t, tt.serve)
					c := r.dial()
					c.send(tt.request)
					lbtest.Eventually(t, patience, func() bool { return o.requests() == 1 })
					if tt.ready != nil {
						tt.ready(c)
					}
					if how == "RST" {
						c.SetLinger(0)
					}
					began := time.Now()
					c.Close()
					lbtest.Eventually(t, patience, func() bool { return o.Open() == 0 && r.leases() == 0 && r.connections() == 0 })
					if d := time.Since(began); d > patience/2 {
						t.Errorf("the exchange ended after %v", d)
					}
					r.wantOutcomes("client_closed 1")
				})
			})
		}
	}
}

func TestClientAbortInTheQueue(t *testing.T) {
	hang := lbtest.NewTCP(t, lbtest.Hang())
	r := start(t, checkedSite("timeouts: { queue: 1m }", hang.Addr()))
	c := r.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	lbtest.Eventually(t, patience, func() bool { return r.connections() == 1 })
	c.Close()
	lbtest.Eventually(t, patience, func() bool { return r.connections() == 0 })
	r.wantOutcomes("client_closed 1")
}

// Nobody connects any further for a client that has left.
func TestClientAbortWhileConnecting(t *testing.T) {
	const get, post = "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nhi"
	slow := "timeouts: { connect: 1m, backend_tls: 1m }"
	hole, other, hang := blackHole(t), blackHole(t), lbtest.NewTCP(t, lbtest.Hang())
	tests := []struct{ name, text, request string }{
		{"connect", site("", slow, hole, other), get},
		{"connect for an upload", site("", slow, hole, other), post},
		{"handshake", site("", "protocol: https\n"+slow, hang.Addr()), get},
	}
	for _, tt := range tests {
		for _, how := range []string{"FIN", "RST"} {
			t.Run(tt.name+" "+how, func(t *testing.T) {
				r := start(t, tt.text)
				before := sockets()
				c := r.dial()
				c.send(tt.request)
				lbtest.Eventually(t, patience, func() bool { return r.leases() == 1 })
				if how == "RST" {
					c.SetLinger(0)
				}
				began := time.Now()
				c.Close()
				lbtest.Eventually(t, patience, func() bool { return r.leases() == 0 && r.connections() == 0 })
				if d := time.Since(began); d > patience/2 {
					t.Errorf("the exchange ended after %v", d)
				}
				r.wantOutcomes("client_closed 1")
				lbtest.Eventually(t, patience, func() bool { return hang.Open() == 0 && sockets() <= before })
			})
		}
	}
}

// Stopped from outside, an exchange ends at once, wherever it waits.
func TestStopInEveryPhase(t *testing.T) {
	const get, post = "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n"
	silent := func(s *side) { s.head(); io.Copy(io.Discard, s) }
	deaf := func(s *side) {
		s.tcp.SetReadBuffer(4 << 10)
		s.head()
		<-s.o.step
	}
	says := func(text string) func(*side) {
		return func(s *side) { s.head(); s.send(text); io.Copy(io.Discard, s) }
	}
	cert := lbtest.NewCertificate(t, "127.0.0.1")
	https := fmt.Sprintf("protocol: https\ntls: { ca: %q }", cert.CertFile)
	tests := []struct {
		name, request string
		text          func(t *testing.T) string
		serve         func(*side)
		after         time.Duration // in which the client does nothing
		flood         bool          // the client sends for as long as it is taken
		leased        bool          // the exchange has a backend
	}{
		{name: "idle", serve: silent},
		{name: "incomplete head", request: "GET / HT", serve: silent},
		{name: "waiting", request: get, serve: silent},
		{name: "waiting, watched", request: get, serve: silent, after: 200 * time.Millisecond},
		{name: "upload stalled by the client", request: post, serve: silent},
		{name: "upload stalled by the backend", request: post, serve: deaf, flood: true},
		{name: "download stalled by the client", request: get, serve: endless, after: 100 * time.Millisecond},
		{name: "download stalled by the backend", request: get, serve: says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), after: 200 * time.Millisecond},
		{name: "close-delimited download", request: get, serve: says("HTTP/1.1 200 OK\r\n\r\nhalf"), after: 200 * time.Millisecond},
		{name: "queue", request: get, text: func(t *testing.T) string {
			return checkedSite("timeouts: { queue: 1m }", lbtest.NewTCP(t, lbtest.Hang()).Addr())
		}},
		{name: "connect", leased: true, request: get, text: func(t *testing.T) string {
			return site("", "timeouts: { connect: 1m }", blackHole(t))
		}},
		{name: "handshake", leased: true, request: get, text: func(t *testing.T) string {
			return site("", https+"\ntimeouts: { backend_tls: 1m }", lbtest.NewTCP(t, lbtest.Hang()).Addr())
		}},
		{name: "TLS, waiting", leased: true, after: 200 * time.Millisecond, request: get, text: func(t *testing.T) string {
			return site("", https, newTLSOrigin(t, serverTLS(cert), silent).Addr())
		}},
		{name: "TLS, upload stalled by the backend", request: post, flood: true, text: func(t *testing.T) string {
			o := newTLSOrigin(t, serverTLS(cert), deaf)
			t.Cleanup(func() { close(o.step) })
			return site("", https, o.Addr())
		}},
		{name: "lingering", request: "GET / HTTP/9.9\r\n\r\n" + strings.Repeat("x", 100), serve: silent},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var text string
			var o *origin
			if tt.text != nil {
				text = tt.text(t)
			} else {
				o = newOrigin(t, tt.serve)
				t.Cleanup(func() { close(o.step) })
				text = site("", "", o.Addr())
			}
			r := start(t, text)
			c := r.dial()
			if tt.request != "" {
				c.send(tt.request)
			}
			lbtest.Eventually(t, patience, func() bool { return r.connections() == 1 })
			if o != nil && strings.HasSuffix(tt.request, "\r\n\r\n") {
				lbtest.Eventually(t, patience, func() bool { return o.requests() == 1 })
			}
			if tt.leased {
				lbtest.Eventually(t, patience, func() bool { return r.leases() == 1 })
			}
			if tt.flood {
				piece := make([]byte, 64<<10)
				for {
					c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
					if _, err := c.Write(piece); err != nil {
						break
					}
				}
			}
			<-time.After(tt.after)
			began := time.Now()
			r.stop(time.Nanosecond)
			if d := time.Since(began); d > patience/2 {
				t.Errorf("Shutdown took %v", d)
			}
			if tt.name == "close-delimited download" {
				if a := c.receive("GET"); a.err == nil {
					t.Errorf("got %q and a regular end", a.body)
				}
				return
			}
			if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("the client got %v, want the end of the connection", err)
			}
		})
	}
}

func TestGracefulShutdown(t *testing.T) {
	o := newOrigin(t, func(s *side) {
		for {
			head, _, ok := s.request()
			if !ok {
				return
			}
			if strings.Contains(head, " /slow ") {
				<-s.o.step
			}
			if !s.send(ok200) {
				return
			}
		}
	})
	r := start(t, site("", "", o.Addr()))
	idle, busy, half := r.dial(), r.dial(), r.dial()
	idle.get("/", "ok")
	addr := r.addr()
	busy.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
	half.send("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /half HTTP/1.1\r\nHo")
	half.want("GET", 200, "ok") // by then what came with it is known
	lbtest.Eventually(t, patience, func() bool { return o.requests() == 3 && r.connections() == 3 })
	ended := make(chan error, 1)
	r.stopped = true // by this
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		ended <- r.s.Shutdown(ctx)
	}()
	idle.wantEnd()
	if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
		conn.Close()
		t.Error("a connection was accepted after Shutdown began")
	}
	half.send("st: h\r\n\r\n")
	if a := half.want("GET", 200, "ok"); !a.Close {
		t.Error("a response during the drain does not say that the connection ends")
	}
	half.wantEnd()
	select {
	case err := <-ended:
		t.Fatalf("Shutdown returned %v with a request in flight", err)
	default:
	}
	close(o.step)
	if a := busy.want("GET", 200, "ok"); !a.Close {
		t.Error("a response during the drain does not say that the connection ends")
	}
	busy.wantEnd()
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if n := r.leases(); n != 0 {
		t.Errorf("%d leases are left", n)
	}
}
