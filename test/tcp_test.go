package test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/lbtest"
)

// streams is a daemon with a tcp listener "db" before a pool "sql".
type streams struct {
	*daemon
	lines string // access log
}

// startTCP runs weir with keys of the listener and of the pool, both in flow style and ended by commas.
func startTCP(t *testing.T, listener, pool string) *streams {
	t.Helper()
	s := &streams{lines: filepath.Join(t.TempDir(), "access.log")}
	s.daemon = start(t, s.config(listener, pool))
	return s
}

func (s *streams) config(listener, pool string) string {
	return fmt.Sprintf(`
listeners: { db: { protocol: tcp, address: "127.0.0.1:0", %s pool: sql } }
pools: { sql: { protocol: tcp, %s } }
log: { access: { output: %q } }
`, listener, pool, s.lines)
}

// inFlow lists backends as the configuration has them: b1: { address: … }, … Keys of each may follow.
func inFlow(list []*lbtest.TCP, keys ...string) string {
	var parts []string
	for i, b := range list {
		more := ""
		if i < len(keys) {
			more = ", " + keys[i]
		}
		parts = append(parts, fmt.Sprintf("b%d: { address: %q%s }", i+1, b.Addr(), more))
	}
	return "backends: { " + strings.Join(parts, ", ") + " }"
}

// echoes starts n backends that say their names, b1… of one length, and then echo what they are sent.
func echoes(t testing.TB, n int) (list []*lbtest.TCP) {
	t.Helper()
	for i := range n {
		name := fmt.Sprintf("b%d", i+1)
		list = append(list, lbtest.NewTCP(t, func(_ context.Context, c *net.TCPConn) {
			if _, err := io.WriteString(c, name); err != nil {
				return
			}
			_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
		}))
	}
	return list
}

// dialFrom connects, from an address of its own if source is not empty.
func dialFrom(t testing.TB, source, address string) *net.TCPConn {
	t.Helper()
	d := net.Dialer{Timeout: patience}
	if source != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(source)}
	}
	c, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the test may have closed it
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func (s *streams) dial() *net.TCPConn {
	s.t.Helper()
	return dialFrom(s.t, "", s.address("db"))
}

// exactly reads n bytes.
func exactly(t testing.TB, c io.Reader, n int) string {
	t.Helper()
	b := make([]byte, n)
	if got, err := io.ReadFull(c, b); err != nil {
		t.Fatalf("got %q, %v; want %d bytes", b[:got], err, n)
	}
	return string(b)
}

// picked makes n connections, one after the other, and counts who greets them.
func (s *streams) picked(n int, source func(i int) string) map[string]int {
	s.t.Helper()
	got := map[string]int{}
	for i := range n {
		from := ""
		if source != nil {
			from = source(i)
		}
		c := dialFrom(s.t, from, s.address("db"))
		got[exactly(s.t, c, 2)]++
		_ = c.Close()
	}
	return got
}

// says sends text and wants it back.
func says(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if got := exactly(t, c, len(text)); got != text {
		t.Fatalf("got %q, want %q", got, text)
	}
}

// wantReset wants a reset and nothing before it.
func wantReset(t testing.TB, c net.Conn) {
	t.Helper()
	if b, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) || len(b) > 0 {
		t.Errorf("got %q, %v, want a reset", b, err)
	}
}

// refused connects a client that is to be reset at once, perhaps before it has looked.
func refused(t testing.TB, source, address string) {
	t.Helper()
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	c, err := d.Dial("tcp", address)
	if errors.Is(err, syscall.ECONNRESET) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	wantReset(t, c)
}

// line is what the access log says of a connection.
type line struct {
	Listener, Client, Proto, Pool, Backend, Outcome, Reason, SNI string
	EndedBy                                                      string  `json:"ended_by"`
	In                                                           int64   `json:"bytes_in"`
	Out                                                          int64   `json:"bytes_out"`
	Duration                                                     float64 `json:"duration_ms"`
	Queue                                                        float64 `json:"queue_ms"`
	FirstByte                                                    float64 `json:"ttfb_ms"`
	Attempts                                                     int
}

// logged waits for n lines of the access log, in the order of the ends.
func (s *streams) logged(n int) (list []line) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%d connections are logged", n), func() bool {
		text, err := os.ReadFile(s.lines)
		if err != nil {
			return false
		}
		list = nil
		for one := range strings.Lines(string(text)) {
			var l line
			if err := json.Unmarshal([]byte(one), &l); err != nil {
				return false // half of it is written
			}
			list = append(list, l)
		}
		return len(list) >= n
	})
	if len(list) != n {
		s.t.Errorf("%d lines, want %d", len(list), n)
	}
	return list
}

// last wants the last of n lines to have an outcome and who ended the connection.
func (s *streams) last(n int, outcome, by string) line {
	s.t.Helper()
	l := s.logged(n)[n-1]
	if l.Outcome != outcome || l.EndedBy != by || l.Listener != "db" || l.Proto != "TCP" {
		s.t.Errorf("logged as %+v, want %s by %s", l, outcome, by)
	}
	if got := s.metric("weir_tcp_connections_total", "listener", "db", "outcome", outcome); got < 1 {
		s.t.Errorf("%v connections are counted as %s", got, outcome)
	}
	return l
}

// TestTCP follows a connection through its life: bytes are counted while it lives, each side may end
// before the other, and the log says what became of it.
func TestTCP(t *testing.T) {
	t.Parallel()
	s := startTCP(t, "", inFlow(echoes(t, 2)))
	c := s.dial()
	first := exactly(t, c, 2)
	says(t, c, "hello")
	eventually(t, "bytes are counted at once", func() bool {
		return s.metric("weir_bytes_total", "listener", "db", "pool", "sql", "direction", "in") == 5 &&
			s.metric("weir_bytes_total", "listener", "db", "pool", "sql", "direction", "out") == 7
	})
	if n := s.status().Listeners[0].ConnectionsActive; n != 1 {
		t.Errorf("%d connections are shown, want 1", n)
	}
	if b, _ := s.backend("sql", first); b.Active != 1 || s.metric("weir_backend_connections_active", "backend", first) != 1 {
		t.Errorf("backend %s has %d flows, want 1", first, b.Active)
	}
	if _, stdout, _ := s.cli("status"); !strings.Contains(stdout, "db        tcp") {
		t.Errorf("weir status: %s", stdout)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
		t.Errorf("got %q, %v, want the end", rest, err)
	}
	if l := s.last(1, "ok", "client"); l.In != 5 || l.Out != 7 || l.Backend != first || l.Pool != "sql" || l.Attempts != 1 || l.Client != "127.0.0.1" ||
		l.FirstByte <= 0 || l.FirstByte > l.Duration {
		t.Errorf("logged as %+v", l)
	}
	eventually(t, "nothing is left", func() bool {
		b, _ := s.backend("sql", first)
		return b.Active == 0 && s.status().Listeners[0].ConnectionsActive == 0
	})
}

// TestTCPHalfClose ends either side first, and lets the other go on for long.
func TestTCPHalfClose(t *testing.T) {
	t.Parallel()
	const much = 1 << 20
	ended := make(chan string, 1)
	b := lbtest.NewTCP(t, func(_ context.Context, c *net.TCPConn) {
		request, err := io.ReadAll(io.LimitReader(c, 4))
		if err != nil || string(request) == "" {
			return
		}
		if string(request) == "down" { // it ends first, and then takes much
			_, _ = io.WriteString(c, "done")
			_ = c.CloseWrite()
			n, err := io.Copy(io.Discard, c)
			ended <- fmt.Sprint(n, err)
			return
		}
		_, _ = io.Copy(io.Discard, c) // the client ends first, and then gets much
		_, _ = c.Write(noise(much))
	})
	s := startTCP(t, "", "health_check: none, "+inFlow([]*lbtest.TCP{b}))
	up := s.dial()
	_, _ = io.WriteString(up, "upupup")
	if err := up.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(up); err != nil || string(got) != string(noise(much)) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	s.last(1, "ok", "client")
	down := s.dial()
	_, _ = io.WriteString(down, "down")
	if got, err := io.ReadAll(down); err != nil || string(got) != "done" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := down.Write(noise(much)); err != nil {
		t.Error(err)
	}
	_ = down.Close()
	if got := <-ended; got != fmt.Sprint(much, nil) {
		t.Errorf("the backend got %s", got)
	}
	s.last(2, "ok", "backend")
}

// TestTCPReset passes resets on, from either side.
func TestTCPReset(t *testing.T) {
	t.Parallel()
	fate := make(chan error, 1)
	b := lbtest.NewTCP(t, func(_ context.Context, c *net.TCPConn) {
		word := make([]byte, 4)
		if _, err := io.ReadFull(c, word); err != nil {
			return
		}
		if string(word) == "stop" {
			_ = c.SetLinger(0)
			return
		}
		_, _ = c.Write(word)
		_, err := io.ReadAll(c)
		fate <- err
	})
	s := startTCP(t, "", "health_check: none, "+inFlow([]*lbtest.TCP{b}))
	c := s.dial()
	_, _ = io.WriteString(c, "stop")
	wantReset(t, c)
	s.last(1, "backend_reset", "backend")
	c = s.dial()
	says(t, c, "stay")
	if err := errors.Join(c.SetLinger(0), c.Close()); err != nil {
		t.Fatal(err)
	}
	if err := <-fate; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the backend got %v, want a reset", err)
	}
	s.last(2, "client_closed", "client")
}

// TestTCPRetry connects to the next backend when one refuses, and says so.
func TestTCPRetry(t *testing.T) {
	t.Parallel()
	s := startTCP(t, "", fmt.Sprintf("health_check: none, backends: { dead: { address: %q }, gone: { address: %q }, b1: { address: %q } }",
		lbtest.Refusing(t), lbtest.Refusing(t), echoes(t, 1)[0].Addr()))
	for range 6 {
		c := s.dial()
		if got := exactly(t, c, 2); got != "b1" {
			t.Errorf("got %q", got)
		}
		_ = c.Close()
	}
	retried := 0
	for _, l := range s.logged(6) {
		if l.Backend != "b1" || l.Outcome != "ok" && l.Outcome != "retried_ok" || (l.Attempts > 1) != (l.Outcome == "retried_ok") {
			t.Errorf("logged as %+v", l)
		}
		retried += l.Attempts - 1
	}
	if got := s.metric("weir_retries_total", "pool", "sql", "reason", "connect_failure"); retried == 0 || got != float64(retried) {
		t.Errorf("%v retries are counted, %d logged", got, retried)
	}
	s.reload(s.config("", fmt.Sprintf("health_check: none, backends: { dead: { address: %q } }", lbtest.Refusing(t))))
	refused(t, "127.0.0.1", s.address("db"))
	s.last(7, "backend_connect", "weir")
}

// TestTCPTimeouts lets connections be idle, whole and halved.
func TestTCPTimeouts(t *testing.T) {
	t.Parallel()
	s := startTCP(t, "timeouts: { tcp_idle: 400ms },", "timeouts: { half_close: 200ms }, "+inFlow([]*lbtest.TCP{lbtest.NewTCP(t, func(ctx context.Context, c *net.TCPConn) {
		_, _ = io.WriteString(c, "b1")
		_, _ = io.Copy(io.Discard, c)
		<-ctx.Done() // it does not end its side by itself
	})}))
	c := s.dial()
	exactly(t, c, 2)
	wantReset(t, c)
	if l := s.last(1, "idle", "idle"); l.Duration < 400 {
		t.Errorf("idle after %v ms", l.Duration)
	}
	c = s.dial()
	exactly(t, c, 2)
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	wantReset(t, c)
	if l := s.last(2, "half_closed", "idle"); l.Duration < 200 {
		t.Errorf("ended after %v ms", l.Duration)
	}
	// Whatever moves keeps a connection.
	c = s.dial()
	exactly(t, c, 2)
	busy := time.NewTicker(50 * time.Millisecond)
	defer busy.Stop()
	for range 20 {
		<-busy.C
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.logged(2)); n != 2 {
		t.Errorf("%d connections have ended", n)
	}
}
