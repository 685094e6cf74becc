package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"weir/api"
)

// gate is a backend whose answers to /held wait until it opens. It keeps the numbers of all requests
// that it was asked.
type gate struct {
	open chan struct{}

	mu    sync.Mutex
	asked map[int]bool
	held  int
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.Header.Get("X-Number"))
	g.mu.Lock()
	if r.URL.Path == "/held" {
		g.held++
	} else if err == nil {
		g.asked[n] = true
	}
	g.mu.Unlock()
	if r.URL.Path == "/held" {
		<-g.open
	}
	_, _ = io.WriteString(w, "answer")
}

func (g *gate) holds() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held
}

// TestStopUnderLoad ends weir by TERM while requests are in flight and clients send as fast as they
// can: not ready at once, no new connections, what was taken on is answered, exit code 0.
func TestStopUnderLoad(t *testing.T) {
	b := backends(t, 1)
	g := &gate{open: make(chan struct{}), asked: map[int]bool{}}
	b[0].SetHandler(g)
	d := start(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { backends: %s } }
`, listed(b...)))
	address, url := d.address("web"), d.url("web")
	held := drive(t, load{url: url + "/held", clients: 4, limit: 4})
	eventually(t, "four requests are in flight", func() bool { return g.holds() == 4 })
	busy := drive(t, load{url: url, clients: 8})
	eventually(t, "traffic flows", func() bool { return busy.count() > 500 })

	d.signal(syscall.SIGTERM)
	eventually(t, "not ready", func() bool { return draining(d) })
	if code, stdout, _ := d.cli("health"); code != 2 {
		t.Errorf("weir health: got exit code %d, want 2: %s", code, stdout)
	}
	eventually(t, "connections are refused", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	// Every client of the busy ones has met the end by now or will: an answer that says close, then
	// a refusal.
	refused := busy.count() + 8
	eventually(t, "the busy clients are refused", func() bool { return busy.count() > refused })
	if d.over() {
		t.Fatal("weir has ended with requests in flight")
	}
	close(g.open)
	wantNoFailure(t, held.wait())
	d.stop()

	answered := map[int]bool{}
	for _, c := range busy.stop() {
		switch {
		case !c.failed():
			answered[c.number] = true
		case !errors.Is(c.err, syscall.ECONNREFUSED):
			t.Errorf("failed otherwise than by a refused connection: %v", c)
		}
	}
	for n := range g.asked {
		if !answered[n] {
			t.Errorf("request %d reached the backend, and its client got no answer", n)
		}
	}
}

// draining asks /readyz.
func draining(d *daemon) bool {
	status, body, err := d.ask(http.MethodGet, "/readyz")
	if err != nil {
		d.t.Fatalf("/readyz while draining: %v", err)
	}
	var readiness api.Readiness
	if err := json.Unmarshal(body, &readiness); err != nil {
		d.t.Fatal(err)
	}
	return status == http.StatusServiceUnavailable && !readiness.Ready && readiness.Draining
}

// TestStopWithoutEnd ends weir while a request is in flight that never ends: by the end of grace, and
// by a second TERM. Both are as asked, so the exit code is 0, and the log says what was cut.
func TestStopWithoutEnd(t *testing.T) {
	tests := []struct {
		name, grace string
		signals     int
	}{{"grace", "300ms", 1}, {"second signal", "10m", 2}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := backends(t, 1)
			g := &gate{open: make(chan struct{}), asked: map[int]bool{}}
			b[0].SetHandler(g)
			t.Cleanup(func() { close(g.open) })
			d := start(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { backends: %s } }
defaults: { timeouts: { grace: %s } }
`, listed(b...), tt.grace))
			held := drive(t, load{url: d.url("web") + "/held", clients: 1, limit: 1})
			eventually(t, "a request is in flight", func() bool { return g.holds() == 1 })
			d.signal(syscall.SIGTERM)
			eventually(t, "it stops", func() bool { return strings.Contains(d.log.String(), "stopping") })
			if tt.signals > 1 {
				d.signal(syscall.SIGTERM)
			}
			d.stop()
			cut := slices.IndexFunc(d.lines(), func(l logLine) bool {
				return l.Msg == "work in flight was cut" && strings.Contains(l.text, `"connections":1,"requests":1,"listeners":["web: 1"]`)
			})
			if cut < 0 {
				t.Errorf("the log does not say how much work was cut, and where:\n%s", d.log)
			}
			if calls := held.wait(); !calls[0].failed() {
				t.Errorf("the request that was cut: got %v", calls[0])
			}
		})
	}
}
