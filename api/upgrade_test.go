package api

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// upgradable is a server on a socket and an address, and a client of each.
func upgradable(t *testing.T, o Options) (*Server, string) {
	t.Helper()
	if o.Socket == "" {
		dir, err := os.MkdirTemp("", "weir-api-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		o.Socket = filepath.Join(dir, "admin.sock")
	}
	o.Listen, o.Log = "127.0.0.1:0", zap.NewNop()
	s := New(o)
	if err := s.Bind(); err != nil {
		t.Fatal(err)
	}
	s.Serve()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return s, o.Socket
}

// live asks by a new connection, within a time.
func live(network, address string, within time.Duration) error {
	client := http.Client{Timeout: within, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		}}}
	res, err := client.Get("http://localhost/livez")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}

// The sockets go to another server, under the same names; who asks meanwhile waits.
func TestServerHandsOver(t *testing.T) {
	first, path := upgradable(t, Options{})
	address := first.Addr()
	offer, err := first.Offer()
	if err != nil {
		t.Fatal(err)
	}
	first.Pause()
	waits := make(chan error, 2)
	go func() { waits <- live("unix", path, 10*time.Second) }()
	go func() { waits <- live("tcp", address, 10*time.Second) }()

	second, _ := upgradable(t, Options{Socket: path, Inherited: offer})
	if second.Addr() != address {
		t.Errorf("address: got %s, want %s", second.Addr(), address)
	}
	if err := first.HandedOver(map[string]bool{path: true, "127.0.0.1:0": true}); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-waits; err != nil {
			t.Errorf("who asked meanwhile: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := first.Close(ctx); err != nil {
		t.Error(err)
	}
	if err := live("unix", path, 10*time.Second); err != nil {
		t.Errorf("after the end of the first server: %v", err)
	}
}

// A hand-over that comes to nothing: the first server goes on.
func TestServerResumes(t *testing.T) {
	s, path := upgradable(t, Options{})
	s.Pause()
	if err := live("unix", path, 50*time.Millisecond); err == nil {
		t.Error("it answers while it is paused")
	}
	s.Resume()
	if err := errors.Join(live("unix", path, 10*time.Second), live("tcp", s.Addr(), 10*time.Second)); err != nil {
		t.Error(err)
	}
}

// The socket of another place is not taken.
func TestServerWithAnotherSocket(t *testing.T) {
	first, path := upgradable(t, Options{})
	offer, err := first.Offer()
	if err != nil {
		t.Fatal(err)
	}
	_, other := upgradable(t, Options{Inherited: offer})
	if err := errors.Join(live("unix", path, 10*time.Second), live("unix", other, 10*time.Second)); err != nil {
		t.Error(err)
	}
}

func TestUpgradeAnswers(t *testing.T) {
	var within time.Duration
	var fault error
	_, path := upgradable(t, Options{Upgrade: func(_ context.Context, d time.Duration) (Upgraded, error) {
		within = d
		return Upgraded{OldPID: 1, NewPID: 2}, fault
	}})
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}}}
	tests := []struct {
		query  string
		fault  error
		status int
		within time.Duration
		says   string
	}{
		{"", nil, 200, DefaultUpgradeTime, `"new_pid": 2`},
		{"?within=3s", nil, 200, 3 * time.Second, `"old_pid": 1`},
		{"?within=never", nil, 400, 0, "never"},
		{"?within=-1s", nil, 400, 0, "-1s"},
		{"?within=1h", nil, 400, 0, "1h"},
		{"", ErrUpgrading, 409, DefaultUpgradeTime, "under way"},
		{"", errors.New("no such binary"), 500, DefaultUpgradeTime, "no such binary"},
	}
	for _, tt := range tests {
		within, fault = 0, tt.fault
		res, err := client.Post("http://localhost/v1/upgrade"+tt.query, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != tt.status || within != tt.within || !strings.Contains(string(body), tt.says) {
			t.Errorf("%q: got %d, %v, %s, %v; want %d, %v and %q", tt.query, res.StatusCode, within, body, err, tt.status, tt.within, tt.says)
		}
	}
}

// A process that takes over gets the connection; anybody else an answer.
func TestTakeOverIsHijacked(t *testing.T) {
	got := make(chan *net.UnixConn, 1)
	_, path := upgradable(t, Options{TakeOver: func(c *net.UnixConn) { got <- c }})
	ask := func(header string) (net.Conn, *http.Response) {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := io.WriteString(c, "GET /v1/takeover HTTP/1.1\r\nHost: localhost\r\n"+header+"\r\n"); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		return c, res
	}
	if _, res := ask(""); res.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("without a word: got %d, want %d", res.StatusCode, http.StatusUpgradeRequired)
	}
	c, res := ask("Connection: Upgrade\r\nUpgrade: " + HandOverProtocol + "\r\n")
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %d", res.StatusCode)
	}
	theirs := <-got
	defer theirs.Close()
	if _, err := theirs.Write([]byte("!")); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("the connection does not carry: %v", err)
	}
}

// Who may open the socket may not have the keys that are handed over, unless it is who weir runs as.
func TestTakeOverIsForOneUser(t *testing.T) {
	s := New(Options{TakeOver: func(*net.UnixConn) { t.Error("it was handed over") }, Log: zap.NewNop()})
	for _, ctx := range []context.Context{
		context.Background(), // nobody knows who it is
		context.WithValue(context.Background(), peerKey{}, uint32(os.Geteuid()+1)),
	} {
		request := httptest.NewRequestWithContext(ctx, "GET", "/v1/takeover", nil)
		request.Header.Set("Upgrade", HandOverProtocol)
		w := httptest.NewRecorder()
		s.handler(true).ServeHTTP(w, request)
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "another user") {
			t.Errorf("got %d: %s", w.Code, w.Body)
		}
	}
}
