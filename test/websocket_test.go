package test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"weir/internal/lbtest"
)

// echo is a WebSocket server that sends back what it gets. To the texts "ping" and "leave" it has
// answers of its own: it pings the client first, and it closes the connection.
type echo struct {
	mu     sync.Mutex
	closed []websocket.CloseError // by clients
}

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{"echo"}, CompressionMode: websocket.CompressionContextTakeover,
	})
	if err != nil {
		return // no WebSocket client
	}
	defer c.CloseNow()
	c.SetReadLimit(4 * mib)
	var pings sync.WaitGroup
	defer pings.Wait()
	for {
		kind, message, err := c.Read(r.Context())
		if closed, ok := errors.AsType[websocket.CloseError](err); ok {
			e.mu.Lock()
			e.closed = append(e.closed, closed)
			e.mu.Unlock()
		}
		if err != nil {
			return
		}
		switch string(message) {
		case "ping":
			pings.Go(func() { // the pong is seen by Read above
				if c.Ping(r.Context()) == nil {
					_ = c.Write(r.Context(), websocket.MessageText, []byte("pong"))
				}
			})
		case "leave":
			_ = c.Close(4001, "asked to")
			return
		default:
			if c.Write(r.Context(), kind, message) != nil {
				return
			}
		}
	}
}

// lastClosed is what the last client that left said.
func (e *echo) lastClosed() websocket.CloseError {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.closed) == 0 {
		return websocket.CloseError{}
	}
	return e.closed[len(e.closed)-1]
}

// dialWS connects a client, which reads messages of up to 4 MiB.
func (w webs) dialWS(ctx context.Context, t *testing.T, url string, o websocket.DialOptions) *websocket.Conn {
	t.Helper()
	o.HTTPClient = &http.Client{Transport: w.transport(t)}
	c, _, err := websocket.Dial(ctx, url, &o) // the body of the response is the connection
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	c.SetReadLimit(4 * mib)
	return c
}

// exchangeWS sends a message and wants it back.
func exchangeWS(ctx context.Context, c *websocket.Conn, kind websocket.MessageType, message []byte) error {
	sent := make(chan error, 1)
	go func() { sent <- c.Write(ctx, kind, message) }()
	gotKind, got, err := c.Read(ctx)
	if err = errors.Join(err, <-sent); err != nil {
		return err
	}
	if gotKind != kind || !bytes.Equal(got, message) {
		return fmt.Errorf("got %d bytes of %v, want %d of %v", len(got), gotKind, len(message), kind)
	}
	return nil
}

// TestWebSocket talks through weir from a real client to a real server, on each way: messages of both
// kinds and of 1 MiB, pings and the closing handshake from either side.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	server := &echo{}
	w := startWebs(t, server, "")
	for _, way := range ways {
		t.Run(way.listener+" to "+way.pool, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			dial := func(mode websocket.CompressionMode) *websocket.Conn {
				return w.dialWS(ctx, t, w.at("ws", way.listener, "/"+way.pool), websocket.DialOptions{Subprotocols: []string{"echo"}, CompressionMode: mode})
			}
			c := dial(websocket.CompressionDisabled)
			if got := c.Subprotocol(); got != "echo" {
				t.Errorf("subprotocol: got %q, want echo", got)
			}
			for _, m := range []struct {
				kind    websocket.MessageType
				message []byte
			}{
				{websocket.MessageText, []byte("grüß dich")},
				{websocket.MessageText, nil},
				{websocket.MessageBinary, []byte{0, 1, 0xff}},
				{websocket.MessageBinary, noise(mib)},
				{websocket.MessageText, bytes.Repeat([]byte("0123456789abcdef"), mib/16)},
			} {
				if err := exchangeWS(ctx, c, m.kind, m.message); err != nil {
					t.Errorf("%d bytes of %v: %v", len(m.message), m.kind, err)
				}
			}
			if err := c.Write(ctx, websocket.MessageText, []byte("ping")); err != nil {
				t.Error(err)
			}
			if _, got, err := c.Read(ctx); string(got) != "pong" {
				t.Errorf("the server's ping: got %q, %v", got, err)
			}
			c.CloseRead(ctx) // reads, so that Ping sees the pong
			if err := c.Ping(ctx); err != nil {
				t.Errorf("ping: %v", err)
			}
			reason := "from " + t.Name()
			if err := c.Close(websocket.StatusNormalClosure, reason); err != nil {
				t.Errorf("close: %v", err)
			}
			eventually(t, "the server has seen the client leave", func() bool {
				return server.lastClosed() == websocket.CloseError{Code: websocket.StatusNormalClosure, Reason: reason}
			})

			c = dial(websocket.CompressionContextTakeover)
			for range 2 { // the second refers to the first
				if err := exchangeWS(ctx, c, websocket.MessageText, bytes.Repeat([]byte("compress me "), 1000)); err != nil {
					t.Errorf("compressed: %v", err)
				}
			}
			if err := c.Write(ctx, websocket.MessageText, []byte("leave")); err != nil {
				t.Error(err)
			}
			_, _, err := c.Read(ctx)
			if closed, ok := errors.AsType[websocket.CloseError](err); !ok || closed.Code != 4001 || closed.Reason != "asked to" {
				t.Errorf("the client saw the server leave with %v", err)
			}
		})
	}
	w.wantNoTunnel(t)
	if got := w.metric("weir_http_requests_total", "code", "101"); got != 8 {
		t.Errorf("got %v requests with 101, want 8", got)
	}
}

// wantNoTunnel waits until nothing is open and wants every tunnel to have ended well.
func (w webs) wantNoTunnel(t *testing.T) {
	t.Helper()
	eventually(t, "no connection is left", func() bool {
		return w.metric("weir_listener_connections_active")+w.metric("weir_backend_connections_active") == 0
	})
	for _, s := range w.scrape() {
		if s.name == "weir_http_outcomes_total" && s.labels["outcome"] != "ok" && s.value != 0 {
			t.Errorf("outcome %s: got %v, want none", s.labels["outcome"], s.value)
		}
	}
}

// TestManyWebSockets has 200 clients at once, each in the middle of something until all are connected.
func TestManyWebSockets(t *testing.T) {
	t.Parallel()
	w := startWebs(t, &echo{}, "")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const clients, messages = 200, 20
	var open, done sync.WaitGroup
	open.Add(clients)
	faults := make(chan error, clients)
	client := &http.Client{Transport: w.transport(t)}
	var urls []string
	for _, way := range ways {
		urls = append(urls, w.at("ws", way.listener, "/"+way.pool))
	}
	for n := range clients {
		done.Go(func() {
			c, _, err := websocket.Dial(ctx, urls[n%len(urls)], &websocket.DialOptions{HTTPClient: client})
			open.Done()
			if err != nil {
				faults <- err
				return
			}
			defer c.CloseNow()
			open.Wait()
			for i := range messages {
				if err := exchangeWS(ctx, c, websocket.MessageText, fmt.Appendf(nil, "client %d, message %d", n, i)); err != nil {
					faults <- fmt.Errorf("client %d, message %d: %w", n, i, err)
					return
				}
			}
			faults <- c.Close(websocket.StatusNormalClosure, "")
		})
	}
	open.Wait()
	done.Wait()
	close(faults)
	for err := range faults {
		if err != nil {
			t.Error(err)
		}
	}
	w.wantNoTunnel(t)
}

// upgrade is the head of a WebSocket request with the key and the answer of RFC 6455, section 1.3.
const (
	upgrade = "GET /plain/%s HTTP/1.1\r\nHost: shop.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
	acceptance = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// Frames as in RFC 6455, section 5.7: a text "Hello", masked and not.
var (
	maskedHello = []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}
	plainHello  = []byte{0x81, 0x05, 'H', 'e', 'l', 'l', 'o'}
)

// TestWebSocketFramesBehindTheHead sends frames in the segment of the request, and in that of the
// response: none is lost.
func TestWebSocketFramesBehindTheHead(t *testing.T) {
	t.Parallel()
	w := startWebs(t, &echo{}, "")
	for listener, dial := range map[string]func() net.Conn{
		"web":  func() net.Conn { return connect(t, w.address("web")) },
		"shop": func() net.Conn { return w.dialShop(t) },
	} {
		t.Run("of the request to "+listener, func(t *testing.T) {
			c := dial()
			if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			first := append(fmt.Appendf(nil, upgrade, ""), bytes.Repeat(maskedHello, 3)...)
			if _, err := c.Write(append(first, maskedHello[:4]...)); err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(c)
			wantSwitched(t, in)
			wantFrames(t, in, 3)
			if _, err := c.Write(maskedHello[4:]); err != nil {
				t.Fatal(err)
			}
			wantFrames(t, in, 1)
		})
	}
	t.Run("of the response", func(t *testing.T) {
		greets := lbtest.NewTCP(t, func(_ context.Context, c *net.TCPConn) {
			request, err := http.ReadRequest(bufio.NewReader(c))
			if err != nil {
				return // a probe
			}
			head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n"
			_, _ = c.Write(append(fmt.Appendf(nil, head, request.Header.Get("X-Accept")), bytes.Repeat(plainHello, 3)...))
			_, _ = io.Copy(io.Discard, c)
		})
		d := start(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { health_check: none, backends: { greets: { address: %q } } } }
`, greets.Addr()))
		c := connect(t, d.address("web"))
		request := strings.Replace(fmt.Sprintf(upgrade, ""), "\r\n\r\n", "\r\nX-Accept: "+acceptance+"\r\n\r\n", 1)
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(c)
		wantSwitched(t, in)
		wantFrames(t, in, 3)
	})
}

// wantSwitched reads the head of a 101 to the key of upgrade.
func wantSwitched(t *testing.T, in *bufio.Reader) {
	t.Helper()
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Sec-WebSocket-Accept") != acceptance {
		t.Fatalf("got %s %v", response.Status, response.Header)
	}
}

// wantFrames reads n times the frame plainHello.
func wantFrames(t *testing.T, in io.Reader, n int) {
	t.Helper()
	got := make([]byte, n*len(plainHello))
	if _, err := io.ReadFull(in, got); err != nil || !bytes.Equal(got, bytes.Repeat(plainHello, n)) {
		t.Fatalf("got % x, %v; want %d times % x", got, err, n, plainHello)
	}
}

// TestWebSocketIdle leaves one connection alone and uses another: the first ends, with a reason, the
// second lives on.
func TestWebSocketIdle(t *testing.T) {
	t.Parallel()
	w := startWebs(t, &echo{}, "tunnel_idle: 1s")
	for _, pool := range []string{"plain", "secure"} {
		t.Run(pool, func(t *testing.T) {
			t.Parallel()
			w.testIdle(t, pool, time.Second)
		})
	}
}

func (w webs) testIdle(t *testing.T, pool string, idle time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	used := w.dialWS(ctx, t, w.at("ws", "shop", "/"+pool), websocket.DialOptions{})
	left := w.dialWS(ctx, t, w.at("ws", "web", "/"+pool), websocket.DialOptions{})
	began := time.Now()
	ended := make(chan error, 1)
	go func() {
		_, _, err := left.Read(ctx)
		ended <- err
	}()
	tick := time.NewTicker(idle / 10)
	defer tick.Stop()
	var after time.Duration
	for after == 0 || time.Since(began) < 2*idle {
		select {
		case err := <-ended:
			// It began to be idle a little before the client saw that it was open.
			if after = time.Since(began); after < idle/2 || err == nil || ctx.Err() != nil {
				t.Errorf("the idle connection ended after %v: %v", after, err)
			}
		case <-tick.C:
			if err := exchangeWS(ctx, used, websocket.MessageText, []byte("tick")); err != nil {
				t.Fatalf("the used connection: %v", err)
			}
		}
	}
	if err := used.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	eventually(t, "both are counted", func() bool {
		return w.metric("weir_http_outcomes_total", "pool", pool, "outcome", "tunnel_idle") == 1 &&
			w.metric("weir_http_outcomes_total", "pool", pool, "outcome", "ok") == 1
	})
}

// TestWebSocketsAtTheStop ends weir while two connections are open: they work until their clients
// leave, or the grace ends.
func TestWebSocketsAtTheStop(t *testing.T) {
	t.Parallel()
	w := startWebs(t, &echo{}, "grace: 1s")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	leaves := w.dialWS(ctx, t, w.at("ws", "shop", "/secure"), websocket.DialOptions{})
	stays := w.dialWS(ctx, t, w.at("ws", "web", "/plain"), websocket.DialOptions{})
	began := time.Now() // before the grace can have begun
	w.signal(syscall.SIGTERM)
	eventually(t, "not ready", func() bool { return draining(w.daemon) })
	for _, c := range []*websocket.Conn{leaves, stays} {
		if err := exchangeWS(ctx, c, websocket.MessageText, []byte("still there?")); err != nil {
			t.Errorf("while it drains: %v", err)
		}
	}
	if err := leaves.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	if _, _, err := stays.Read(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("the connection that stayed: got %v, want its end", err)
	}
	w.stop()
	// A second for the grace, the rest for a busy machine.
	if took := time.Since(began); took < time.Second || took > patience/2 {
		t.Errorf("the stop took %v, want the grace of 1s", took)
	}
	if !strings.Contains(w.log.String(), "work in flight was cut") {
		t.Error("the log does not say that work was cut")
	}
}
