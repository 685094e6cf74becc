package test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"weir/internal/lbtest"
)

// longEnv asks for the full length of tests that are shortened otherwise.
const longEnv = "WEIR_LONG_TESTS"

// storm is the parts of the configurations of TestReloadStorm that do not change.
type storm struct {
	web, more, db string // addresses
	pages         []*lbtest.HTTP
	sockets       []*lbtest.HTTP
	rows          []*lbtest.TCP
}

// config is what is in force in round i: weights, backends, listeners and addresses change at different
// paces, so that they meet in every way.
func (s storm) config(i int) string {
	wild := func(every int, address string) string {
		if i/every%2 == 1 {
			_, port, _ := cutLast(address, ":")
			return ":" + port
		}
		return address
	}
	var b strings.Builder
	fmt.Fprintf(&b, "listeners:\n  web: { protocol: http, address: %q, pool: app, routes: [{ path: /ws, pool: ws }] }\n", wild(1, s.web))
	fmt.Fprintf(&b, "  db: { protocol: tcp, address: %q, pool: db }\n", wild(2, s.db))
	if i%3 == 1 {
		fmt.Fprintf(&b, "  more: { protocol: http, address: %q, pool: app, timeouts: { client_idle: %ds } }\n", s.more, 10+i)
	}
	pool := func(name, protocol string, addresses ...fmt.Stringer) {
		fmt.Fprintf(&b, "  %s:\n    protocol: %s\n    health_check: none\n    backends:\n", name, protocol)
		for n, a := range addresses {
			if n > 0 && n == i%4 {
				continue // each but the first is removed at times
			}
			fmt.Fprintf(&b, "      b%d: { address: %q, weight: %d }\n", n+1, a, 1+(i+n)%5)
		}
	}
	b.WriteString("pools:\n")
	pool("app", "http", s.pages[0].Addr(), s.pages[1].Addr(), s.pages[2].Addr())
	pool("ws", "http", s.sockets[0].Addr(), s.sockets[1].Addr())
	pool("db", "tcp", s.rows[0].Addr(), s.rows[1].Addr(), s.rows[2].Addr())
	return b.String()
}

// TestReloadStorm reloads again and again under 2,000 requests a second, on connections that stay and on new
// ones, and with 100 WebSockets and 100 TCP connections that talk all the time. No request fails and no
// connection ends.
func TestReloadStorm(t *testing.T) {
	rounds, pace, talkers := 8, 250*time.Millisecond, 100
	if os.Getenv(longEnv) != "" {
		rounds, pace = 30, time.Second
	}
	s := storm{web: fixedPort(t), more: fixedPort(t), db: fixedPort(t), pages: backends(t, 3), sockets: backends(t, 2), rows: echoes(t, 3)}
	for _, b := range s.sockets {
		b.SetHandler(&echo{})
	}
	d := start(t, s.config(0))
	quit := make(chan struct{})
	var talking sync.WaitGroup
	var said atomic.Int64
	for n := range talkers {
		ws, db := s.dialSocket(t), dialFrom(t, "", s.db)
		exactly(t, db, 2)
		if err := db.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		talking.Go(func() {
			talk(t, fmt.Sprint("WebSocket ", n), quit, &said, func(text []byte) error {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				return exchangeWS(ctx, ws, websocket.MessageText, text)
			})
		})
		talking.Go(func() {
			talk(t, fmt.Sprint("TCP connection ", n), quit, &said, func(text []byte) error { return echoed(db, text) })
		})
	}
	stop := sync.OnceFunc(func() { close(quit); talking.Wait() })
	t.Cleanup(stop)
	kept := drive(t, load{url: "http://" + s.web, clients: 16, rate: 1500})
	fresh := drive(t, load{url: "http://" + s.web, clients: 16, rate: 500, fresh: true})

	tick := time.NewTicker(pace)
	defer tick.Stop()
	began := time.Now()
	for i := 1; i <= rounds; i++ {
		<-tick.C
		d.write(s.config(i))
		if code, stdout, stderr := d.cli("reload"); code != 0 || !strings.Contains(stdout, "closed") {
			t.Fatalf("reload %d: %d, %s%s", i, code, stdout, stderr)
		}
	}
	took := time.Since(began)
	stop()
	for name, tr := range map[string]*traffic{"kept": kept, "fresh": fresh} {
		calls := tr.stop()
		wantNoFailure(t, calls)
		t.Logf("%s: %d requests in %v", name, len(calls), took)
	}
	t.Logf("%d reloads, %d messages echoed on %d connections", rounds, said.Load(), 2*talkers)
	if said.Load() < int64(2*talkers*2) {
		t.Errorf("only %d messages were echoed", said.Load())
	}
	if got := d.metric("weir_config_reloads_total", "result", "success"); got != float64(rounds+1) {
		t.Errorf("reloads that succeeded: got %v, want %d", got, rounds+1)
	}
}

// dialSocket opens a WebSocket through weir.
func (s storm) dialSocket(t *testing.T) *websocket.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, _, err := websocket.Dial(ctx, "ws://"+s.web+"/ws", &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

// talk sends a text five times a second and wants it back, until quit.
func talk(t *testing.T, who string, quit <-chan struct{}, said *atomic.Int64, exchange func([]byte) error) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		if err := exchange(fmt.Appendf(nil, "%s says %d", who, n)); err != nil {
			t.Errorf("%s, message %d: %v", who, n, err)
			return
		}
		said.Add(1)
		select {
		case <-tick.C:
		case <-quit:
			return
		}
	}
}

// echoed sends a text and wants it back.
func echoed(c net.Conn, text []byte) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.Write(text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if !bytes.Equal(got, text) {
		return fmt.Errorf("got %q, want %q", got, text)
	}
	return nil
}
