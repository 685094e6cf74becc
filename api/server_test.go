package api

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRoutes(t *testing.T) {
	s := start(t, func(o *Options) {
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("weir_up 1\n")) })
		o.Control = newStore(t)
	})
	tcp, socket := "http://"+s.Addr(), "http://localhost"
	tests := []struct {
		name, method, base, path, host string
		status                         int
		contains                       string
	}{
		{"index", "GET", tcp, "/", "", 200, "/v1/status"},
		{"live", "GET", tcp, "/livez", "", 200, `"live": true`},
		{"ready", "GET", tcp, "/readyz", "", 200, `"ready": true`},
		{"status", "GET", tcp, "/v1/status", "", 200, `"version": "1.2.3"`},
		{"metrics", "GET", tcp, "/metrics", "", 200, "weir_up 1"},
		{"head", "HEAD", tcp, "/v1/status", "", 200, ""},
		{"nothing there", "GET", tcp, "/v2/status", "", 404, `there is nothing at`},
		{"no such backend", "GET", tcp, "/v1/pools/web/backends/b9/probes", "", 404, `\"b9\"`},
		{"localhost", "GET", tcp, "/livez", "localhost:9091", 200, "live"},
		{"rebound name", "GET", tcp, "/v1/status", "evil.example", 403, "DNS rebinding"},
		{"rebound name, health", "GET", tcp, "/readyz", "evil.example:9091", 403, "DNS rebinding"},
		{"write over TCP", "POST", tcp, "/v1/reload", "", 403, "reads only"},
		{"delete over TCP", "DELETE", tcp, "/v1/status", "", 403, "reads only"},
		{"profile over TCP", "GET", tcp, "/debug/pprof/heap", "", 403, "admin socket only"},
		{"command line over TCP", "GET", tcp, "/debug/pprof/cmdline", "", 403, "admin socket only"},
		{"reload read over TCP", "GET", tcp, "/v1/reload", "", 405, "takes POST"},
		{"status on the socket", "GET", socket, "/v1/status", "", 200, `"generation": 3`},
		{"any name on the socket", "GET", socket, "/livez", "weir", 200, "live"},
		{"profile on the socket", "GET", socket, "/debug/pprof/goroutine?debug=1", "", 200, "goroutine profile"},
		{"reload", "POST", socket, "/v1/reload", "", 200, `"summary": "nothing changed`},
		{"reload by GET", "GET", socket, "/v1/reload", "", 405, "takes POST"},
		{"post to a read", "POST", socket, "/v1/status", "", 405, "takes GET, HEAD"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := overTCP()
			if tt.base == socket {
				client = overSocket(s.options.Socket)
			}
			response, body := ask(t, client, tt.method, tt.base+tt.path, tt.host)
			if response.StatusCode != tt.status {
				t.Errorf("got %d, want %d: %s", response.StatusCode, tt.status, body)
			}
			if !strings.Contains(string(body), tt.contains) {
				t.Errorf("got %s, want it to contain %q", body, tt.contains)
			}
			if tt.status < 400 {
				return
			}
			if got := response.Header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("got content type %q", got)
			}
			if p := decode[Problem](t, body); p.Status != tt.status || p.Title != http.StatusText(tt.status) {
				t.Errorf("got %+v, want status and title of %d", p, tt.status)
			}
			if tt.status == http.StatusMethodNotAllowed && response.Header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
}

// TestNotOffered: without a function behind it, a route is not there.
func TestNotOffered(t *testing.T) {
	s := start(t, nil)
	for path, method := range map[string]string{"/metrics": "GET", "/v1/reload": "POST"} {
		if response, _ := ask(t, overSocket(s.options.Socket), method, "http://localhost"+path, ""); response.StatusCode != 404 {
			t.Errorf("%s: got %d, want 404", path, response.StatusCode)
		}
	}
}

func TestLocalHost(t *testing.T) {
	tests := map[string]bool{
		"127.0.0.1": true, "127.0.0.1:9091": true, "10.1.2.3:1": true, "[::1]:9091": true, "[::1]": true, "::1": true,
		"localhost": true, "LOCALHOST:80": true, "localhost.": true,
		"": false, "evil.example": false, "localhost.evil.example": false, "127.0.0.1.evil.example:80": false,
		"notlocalhost": false, "a]b": false, "0x7f.1": false,
	}
	for host, want := range tests {
		if got := localHost(host); got != want {
			t.Errorf("%q: got %v, want %v", host, got, want)
		}
	}
}

func TestBindFailsWhole(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	running, checks := healthy()
	path := filepath.Join(t.TempDir(), "admin.sock")
	s := New(Options{Running: running, Checks: checks, Socket: path, Listen: taken.Addr().String(), Log: quiet()})
	if err := s.Bind(); err == nil || !strings.Contains(err.Error(), "admin.listen") {
		t.Fatalf("got %v, want an error that names admin.listen", err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestCloseUnserved: what was bound and never served is given back.
func TestCloseUnserved(t *testing.T) {
	running, checks := healthy()
	path := filepath.Join(t.TempDir(), "admin.sock")
	s := New(Options{Running: running, Checks: checks, Socket: path, Listen: "127.0.0.1:0", Log: quiet()})
	if err := s.Bind(); err != nil {
		t.Fatal(err)
	}
	address := s.Addr()
	for range 2 {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
	if c, err := net.Dial("tcp", address); err == nil {
		t.Errorf("somebody still listens on %s: %v", address, c.Close())
	}
}

// TestCloseWaits: an answer under way is finished; one that hangs is cut when the context ends.
func TestCloseWaits(t *testing.T) {
	tests := []struct {
		name   string
		inTime bool // whether the answer ends in time
	}{{"answer ends", true}, {"answer hangs", false}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			entered, release, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
			running, checks := healthy()
			s := New(Options{Running: running, Checks: checks, Socket: filepath.Join(t.TempDir(), "s"), Log: quiet(),
				Metrics: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer close(left)
					close(entered)
					select {
					case <-release:
					case <-r.Context().Done():
					}
					_, _ = w.Write([]byte("done"))
				})})
			if err := s.Bind(); err != nil {
				t.Fatal(err)
			}
			s.Serve()
			answered := make(chan error, 1)
			go func() {
				response, err := overSocket(s.options.Socket).Get("http://localhost/metrics")
				if err == nil {
					err = response.Body.Close()
				}
				answered <- err
			}()
			<-entered
			patience := 50 * time.Millisecond
			if tt.inTime {
				patience = 10 * time.Second
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			closed := make(chan error, 1)
			go func() { closed <- s.Close(ctx) }()
			if tt.inTime {
				close(release)
			}
			if err := <-closed; (err == nil) != tt.inTime {
				t.Errorf("close: got %v", err)
			}
			// The client would wait twice as long before it gave up.
			select {
			case <-left:
			case <-time.After(5 * time.Second):
				t.Error("the connection was not cut")
			}
			if err := <-answered; (err == nil) != tt.inTime {
				t.Errorf("answer: got %v", err)
			}
		})
	}
}

// FuzzLocalHost: what is let in names an IP address or localhost to a browser as well.
func FuzzLocalHost(f *testing.F) {
	for _, seed := range []string{"127.0.0.1:80", "[::1]:80", "localhost", "evil.example", "a:b:c", "[::1%25eth0]", "localhost:", "1.2.3.4."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		u, err := url.Parse("http://" + field)
		if err != nil || u.Host != field || !localHost(field) {
			return
		}
		name := u.Hostname()
		if _, err := netip.ParseAddr(name); err != nil && !strings.EqualFold(strings.TrimSuffix(name, "."), "localhost") {
			t.Errorf("%q is let in, and names %q", field, name)
		}
	})
}
