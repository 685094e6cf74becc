package proxy

import (
	"bytes"
	"errors"
	"io"
	"net/textproto"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/lbtest"
)

const upgradeRequest = "GET /chat HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Key: abc\r\n\r\n"

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

// echoing agrees to an upgrade, with greeting in the same segment, and sends back what it gets until
// the end of the stream, which it passes on.
func echoing(t *testing.T, greeting string) *origin {
	return newOrigin(t, func(s *side) {
		if _, ok := s.head(); !ok || !s.send(switching+greeting) {
			return
		}
		_, _ = io.Copy(s, s.r)
	})
}

// switched reads the head of a 101.
func (c *client) switched() string {
	c.t.Helper()
	var head strings.Builder
	for !strings.HasSuffix(head.String(), "\r\n\r\n") {
		b, err := c.r.ReadByte()
		if err != nil {
			c.t.Fatalf("got %q, then %v", head.String(), err)
		}
		head.WriteByte(b)
	}
	if !strings.HasPrefix(head.String(), "HTTP/1.1 101 ") {
		c.t.Fatalf("got %q, want a 101", head.String())
	}
	return head.String()
}

// read wants exactly these bytes next.
func (c *client) read(want string) {
	c.t.Helper()
	b := make([]byte, len(want))
	if _, err := io.ReadFull(c.r, b); err != nil || string(b) != want {
		c.t.Fatalf("got %q %v, want %q", b, err, want)
	}
}

// A 101 gets what any response gets: the cookie of a session, the changes of a route, an id, Via.
func TestSwitchingIsAResponse(t *testing.T) {
	o := echoing(t, "")
	r := start(t, site("request_id: true\nvia: weir\nroutes:\n  - { path: /chat, pool: app, response_headers: { set: { X-A: b } } }", httpCookie, o.Addr()))
	c := r.dial()
	c.send(upgradeRequest)
	head := c.switched()
	for _, want := range []string{"Upgrade: websocket", "Connection: Upgrade", "X-A: b", "Via: 1.1 weir", "Set-Cookie: WEIR=", "Cache-Control: private", "X-Request-ID: "} {
		if strings.Count(head, "\r\n"+want) != 1 {
			t.Errorf("%q has not one %q", head, want)
		}
	}
	c.send("x")
	c.read("x")
}

func TestTunnelCarriesBytesBothWays(t *testing.T) {
	o := echoing(t, "hello ")
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	c.send(upgradeRequest + "early ") // bytes behind the head belong to the new protocol
	head := c.switched()
	if !strings.Contains(head, "\r\nUpgrade: websocket\r\n") || !strings.Contains(head, "\r\nConnection: Upgrade\r\n") {
		t.Errorf("the head is %q", head)
	}
	if got := o.last(); !strings.Contains(got, "Upgrade: websocket\r\n") || !strings.Contains(got, "Connection: Upgrade\r\n") {
		t.Errorf("the backend got %q", got)
	}
	c.read("hello early ")
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB, more than any buffer
	go c.send(string(big))
	got := make([]byte, len(big))
	if _, err := io.ReadFull(c.r, got); err != nil || !bytes.Equal(got, big) {
		t.Fatalf("the echo differs: %v", err)
	}
	if got := r.leases(); got != 1 {
		t.Errorf("%d leases while the tunnel is open, want 1", got)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.wantEnd()
	r.wantOutcomes("ok 1")
}

func TestTunnelHalfClose(t *testing.T) {
	rest := make(chan string, 1)
	o := newOrigin(t, func(s *side) {
		if _, ok := s.head(); !ok || !s.send(switching) {
			return
		}
		b, _ := io.ReadAll(s.r)
		rest <- string(b)
		s.send("after the end")
	})
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	c.send(upgradeRequest)
	c.switched()
	c.send("the last words")
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.read("after the end")
	c.wantEnd()
	if got := <-rest; got != "the last words" {
		t.Errorf("the backend got %q", got)
	}
	r.wantOutcomes("ok 1")
}

func TestTunnelTimeouts(t *testing.T) {
	tests := []struct {
		name, pool string
		half       bool
	}{
		{"idle", "timeouts: { tunnel_idle: 150ms }", false},
		{"half closed", "timeouts: { tunnel_idle: 1h, half_close: 150ms }", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			over := make(chan struct{})
			defer close(over)
			o := newOrigin(t, func(s *side) {
				if _, ok := s.head(); ok && s.send(switching) {
					<-over
				}
			})
			r := start(t, site("", tt.pool, o.Addr()))
			c := r.dial()
			c.send(upgradeRequest)
			c.switched()
			if tt.half {
				if err := c.CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			c.wantCut()
			r.wantOutcomes("tunnel_idle 1")
		})
	}
}

func TestTunnelIsNotForEverything(t *testing.T) {
	tests := []struct{ name, request string }{
		{"h2c", "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"},
		{"h2c with a parameter", "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c;q=1\r\n\r\n"},
		{"h2c in quotes", "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: \"h2c\"\r\n\r\n"},
		{"h2c in a version", "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket, H2C/1\r\n\r\n"},
		{"with a body", "POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi"},
		{"HTTP/1.0", "GET / HTTP/1.0\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
		{"not named by Connection", "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := answering(t, ok200)
			r := start(t, site("", "", o.Addr()))
			c := r.dial()
			c.send(tt.request)
			c.want("GET", 200, "ok")
			if got := o.last(); strings.Contains(strings.ToLower(got), "upgrade") {
				t.Errorf("the backend was asked to switch: %q", got)
			}
		})
	}
}

// A backend may decline: its answer is one like any other, and the connections go on.
func TestTunnelDeclined(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	c.send(upgradeRequest)
	c.want("GET", 200, "ok")
	c.get("/", "ok")
	if got := o.Accepted(); got != 1 {
		t.Errorf("%d connections to the backend, want 1", got)
	}
	r.wantOutcomes("ok 2")
}

func TestTunnelEndsWithTheProcess(t *testing.T) {
	o := echoing(t, "")
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	c.send(upgradeRequest)
	c.switched()
	c.send("x")
	c.read("x")
	r.stop(200 * time.Millisecond)
	c.wantCut()
	r.wantOutcomes("draining 1")
}

func TestTunnelResetIsPassedOn(t *testing.T) {
	o := newOrigin(t, func(s *side) {
		if _, ok := s.head(); ok && s.send(switching) {
			_, _ = s.r.ReadByte()
			s.reset()
		}
	})
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	c.send(upgradeRequest)
	c.switched()
	c.send("x")
	c.wantCut()
	r.wantOutcomes("backend_reset 1")
	lbtest.Eventually(t, patience, func() bool { return r.leases() == 0 })
}

// wantCut reads to a reset, before which nothing may come.
func (c *client) wantCut() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.r); !errors.Is(err, syscall.ECONNRESET) || len(rest) != 0 {
		c.t.Fatalf("got %q %v, want a reset", rest, err)
	}
}

// A 426 says which protocol the backend insists on; without it the client could not do as it is told.
func TestUpgradeRequiredNamesTheProtocol(t *testing.T) {
	o := newOrigin(t, each(func(head, _ string) string {
		status := head[len("GET /"):len("GET /426")]
		return "HTTP/1.1 " + status + " Status\r\nConnection: upgrade, X-Hop\r\nX-Hop: 1\r\nUpgrade: websocket\r\nUpgrade: IRC/6.9\r\nContent-Length: 0\r\n\r\n"
	}))
	r := start(t, site("", "", o.Addr()))
	tests := []struct {
		name, path, fields  string
		upgrade, connection []string
	}{
		{"426", "/426", "", []string{"websocket", "IRC/6.9"}, []string{"Upgrade"}},
		{"at the end of the connection", "/426", "Connection: close\r\n", []string{"websocket", "IRC/6.9"}, []string{"Upgrade", "close"}},
		{"another status", "/400", "", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := r.dial()
			c.send("GET " + tt.path + " HTTP/1.1\r\nHost: h\r\n" + tt.fields + "\r\n")
			head := textproto.NewReader(c.r) // net/http would not show Connection
			if _, err := head.ReadLine(); err != nil {
				t.Fatal(err)
			}
			fields, err := head.ReadMIMEHeader()
			if err != nil {
				t.Fatal(err)
			}
			if got := fields.Values("Upgrade"); !slices.Equal(got, tt.upgrade) {
				t.Errorf("Upgrade is %q, want %q", got, tt.upgrade)
			}
			if got := fields.Values("Connection"); !slices.Equal(got, tt.connection) {
				t.Errorf("Connection is %q, want %q", got, tt.connection)
			}
			if got := fields.Get("X-Hop"); got != "" {
				t.Errorf("X-Hop: %s was forwarded", got)
			}
		})
	}
}

// A backend may switch to what it was asked for, and to nothing else (RFC 9110, section 7.8).
func TestOnlyWhatWasAskedFor(t *testing.T) {
	const head = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: "
	for _, tt := range []struct {
		asked, got string
		ok         bool
	}{
		{"websocket", "WebSocket", true},
		{"chat/2, websocket", "websocket", true},
		{"chat/2, websocket", "chat/2", true},
		{"chat/2, websocket", "chat/1", false},
		{"websocket", "h2c", false},
		{"websocket", "websocket, h2c", false},
		{"websocket", "", false},
	} {
		o := newOrigin(t, func(s *side) {
			if _, ok := s.head(); ok {
				s.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + tt.got + "\r\n\r\n")
			}
		})
		r := start(t, site("", "retries: { attempts: 0 }", o.Addr()))
		c := r.dial()
		c.send(head + tt.asked + "\r\n\r\n")
		if !tt.ok {
			c.want("GET", 502, "")
			continue
		}
		if got := c.switched(); !strings.Contains(got, "Upgrade: "+tt.got+"\r\n") {
			t.Errorf("%s for %s: got %q", tt.got, tt.asked, got)
		}
	}
}
