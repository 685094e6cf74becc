package proxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"weir/balancer"
	"weir/config"
	"weir/internal/lbtest"
	"weir/telemetry"
)

// capacity sets the limits of the pool app.
func capacity(limit, places int, wait time.Duration) func(*config.Config) {
	return func(c *config.Config) {
		p := c.Pools["app"]
		p.Queue, p.Timeouts.Queue = places, wait
		for _, b := range p.Backends {
			b.MaxConnections = limit
		}
	}
}

// gated answers each request when it is let, with its name; arrived tells of each.
type gated struct {
	*origin
	arrived, let chan struct{}
}

func newGated(t *testing.T, name string) *gated {
	g := &gated{arrived: make(chan struct{}, 100), let: make(chan struct{}, 100)}
	g.origin = newOrigin(t, each(func(head, _ string) string {
		if !strings.Contains(head, "/free") {
			g.arrived <- struct{}{}
			<-g.let
		}
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(name), name)
	}))
	t.Cleanup(func() { close(g.let) })
	return g
}

// pool is the pool app of the balancer.
func (r *rig) pool() *balancer.Pool {
	for _, p := range r.s.Pools() {
		if p.Config.Name == "app" {
			return p.Balancer
		}
	}
	r.t.Fatal("no pool app")
	return nil
}

// wantQueued waits until so many are in the queue.
func (r *rig) wantQueued(n int64) {
	r.t.Helper()
	lbtest.Eventually(r.t, patience, func() bool { return r.pool().Queued() == n })
}

const getBusy = "GET /busy HTTP/1.1\r\nHost: shop.example\r\n\r\n"

// begin sends a request whose response comes later.
func (r *rig) begin(text string) *client {
	r.t.Helper()
	c := r.dial()
	c.send(text)
	return c
}

func TestQueueIsServedInOrder(t *testing.T) {
	g := newGated(t, "b1")
	r := start(t, site("", "", g.Addr()), capacity(1, 10, time.Minute))
	clients := []*client{r.begin(getBusy)}
	<-g.arrived
	for i := range 3 {
		clients = append(clients, r.begin(getBusy))
		r.wantQueued(int64(i + 1))
	}
	for i, c := range clients {
		if n := g.requests(); n != i+1 {
			t.Fatalf("the backend has had %d requests, want %d", n, i+1)
		}
		g.let <- struct{}{}
		c.want("GET", 200, "b1")
		if i < 3 {
			<-g.arrived
		}
	}
	r.wantQueued(0)
	r.wantOutcomes("ok 4")
}

func TestQueueRefuses(t *testing.T) {
	g := newGated(t, "b1")
	path := filepath.Join(t.TempDir(), "access.log")
	access, err := telemetry.OpenAccessLog(config.AccessLog{Output: path, Format: "json", Sample: 1}, func(uint64) {})
	if err != nil {
		t.Fatal(err)
	}
	r := startWith(t, load(t, site("", "", g.Addr()), capacity(1, 1, 150*time.Millisecond)), access)
	first := r.begin(getBusy)
	<-g.arrived
	late := r.begin(getBusy)
	r.wantQueued(1)
	excess := r.begin(getBusy)
	if a := excess.want("GET", 503, "no place is left"); a.Header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", a.Header.Get("Retry-After"))
	}
	if a := late.want("GET", 503, "too long"); a.Header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", a.Header.Get("Retry-After"))
	}
	r.wantQueued(0)
	g.let <- struct{}{}
	first.want("GET", 200, "b1")
	late.get("/free", "b1") // its connection goes on
	r.wantOutcomes("ok 2 no_capacity 1 queue_timeout 1")
	r.stop(patience)
	if err := access.Close(); err != nil {
		t.Fatal(err)
	}
	lines, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(lines) {
		var entry struct {
			Outcome, Backend string
			QueueMS          float64 `json:"queue_ms"`
		}
		if err := json.Unmarshal(line, &entry); err != nil {
			t.Fatal(err)
		}
		if waited := entry.QueueMS >= 150; waited != (entry.Outcome == "queue_timeout") {
			t.Errorf("got %+v, want queue_ms of the one that waited", entry)
		}
	}
}

func TestNoQueue(t *testing.T) {
	g := newGated(t, "b1")
	r := start(t, site("", "", g.Addr()), capacity(1, 0, time.Minute))
	first := r.begin(getBusy)
	<-g.arrived
	r.begin(getBusy).want("GET", 503, "no place is left")
	g.let <- struct{}{}
	first.want("GET", 200, "b1")
}

// TestQueueEndsWithItsClient leaves no place taken by those who are gone.
func TestQueueEndsWithItsClient(t *testing.T) {
	g := newGated(t, "b1")
	r := start(t, site("", "", g.Addr()), capacity(1, 10, time.Minute))
	first := r.begin(getBusy)
	<-g.arrived
	leaver, stayer := r.begin(getBusy), (*client)(nil)
	r.wantQueued(1)
	stayer = r.begin(getBusy)
	r.wantQueued(2)
	leaver.Close()
	r.wantQueued(1)
	g.let <- struct{}{}
	g.let <- struct{}{}
	first.want("GET", 200, "b1")
	stayer.want("GET", 200, "b1")
	if n := g.requests(); n != 2 {
		t.Errorf("the backend has had %d requests, want 2", n)
	}
	r.wantOutcomes("ok 2 client_closed 1")
}

func TestQueueEndsWithTheProcess(t *testing.T) {
	g := newGated(t, "b1")
	r := start(t, site("", "", g.Addr()), capacity(1, 10, time.Minute))
	r.begin(getBusy)
	<-g.arrived
	r.begin(getBusy)
	r.wantQueued(1)
	began := time.Now()
	r.stop(50 * time.Millisecond)
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("the stop took %v", d)
	}
	r.wantOutcomes("draining 2")
}

// TestQueueFollowsReloads: another limit, a backend more, and the end of the pool.
func TestQueueFollowsReloads(t *testing.T) {
	for _, tt := range []struct {
		name string
		next func(g, other *gated) *config.Config
		from string
	}{
		{"no limit", func(g, _ *gated) *config.Config { return load(t, site("", "", g.Addr())) }, "b1"},
		{"a backend more", func(g, other *gated) *config.Config {
			return load(t, site("", "", g.Addr(), other.Addr()), capacity(1, 10, time.Minute))
		}, "b2"},
		{"another pool", func(_, other *gated) *config.Config {
			return load(t, strings.ReplaceAll(site("", "", other.Addr()), "app", "next"))
		}, "b1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, other := newGated(t, "b1"), newGated(t, "b2")
			r := start(t, site("", "", g.Addr()), capacity(1, 10, time.Minute))
			first := r.begin(getBusy)
			<-g.arrived
			waiting := r.begin(getBusy)
			r.wantQueued(1)
			old := r.pool()
			next := tt.next(g, other)
			for _, l := range next.Listeners {
				l.Addresses = r.s.Listeners()[0].Config.Addresses
			}
			r.apply(next)
			if tt.name == "another pool" {
				r.begin("GET /free HTTP/1.1\r\nHost: shop.example\r\n\r\n").want("GET", 200, "b2")
				g.let <- struct{}{}
				first.want("GET", 200, "b1")
			} else {
				// Before the first one makes room at its backend.
				lbtest.Eventually(t, patience, func() bool { return old.Queued() == 0 })
			}
			other.let <- struct{}{}
			g.let <- struct{}{}
			g.let <- struct{}{}
			waiting.want("GET", 200, tt.from)
			if tt.name != "another pool" {
				first.want("GET", 200, "b1")
			}
			if n := old.Queued(); n != 0 {
				t.Errorf("%d are left in the queue", n)
			}
		})
	}
}

// TestSessionWaitsForItsBackend: it does not go elsewhere for want of room, and keeps nobody from there.
func TestSessionWaitsForItsBackend(t *testing.T) {
	g1, g2 := newGated(t, "b1"), newGated(t, "b2")
	origins := map[string]*gated{"b1": g1, "b2": g2}
	r := start(t, site("", httpCookie, g1.Addr(), g2.Addr()), capacity(1, 10, time.Minute))
	first := r.dial().get("/free", "")
	cookie, own := issued(first), first.body
	busy := "GET /busy HTTP/1.1\r\nHost: shop.example\r\nCookie: " + cookie + "\r\n\r\n"
	one := r.begin(busy)
	<-origins[own].arrived
	two := r.begin(busy)
	r.wantQueued(1)
	for range 3 { // the other backend is free for anybody else
		if a := r.dial().get("/free", ""); a.body == own {
			t.Fatalf("%s is full", own)
		}
	}
	origins[own].let <- struct{}{}
	one.want("GET", 200, own)
	origins[own].let <- struct{}{}
	if a := two.want("GET", 200, own); issued(a) != "" {
		t.Error("the session got another cookie")
	}
	// Where its backend goes away meanwhile, so does the wait.
	one = r.begin(busy)
	<-origins[own].arrived
	<-origins[own].arrived
	two = r.begin(strings.Replace(busy, "/busy", "/free", 1))
	r.wantQueued(1)
	maintenance := config.Maintenance
	if err := r.pool().SetAdmin(own, balancer.Override{State: &maintenance}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if a := two.want("GET", 200, ""); a.body == own || issued(a) == "" {
		t.Errorf("got %q with cookie %q, want the other backend and its cookie", a.body, issued(a))
	}
	origins[own].let <- struct{}{}
	one.want("GET", 200, own)
}

// TestRetryWaitsWithoutALease: whoever goes elsewhere gives the failed backend free first.
func TestRetryWaitsWithoutALease(t *testing.T) {
	g := newGated(t, "b2")
	failing := newOrigin(t, func(s *side) {
		if _, _, ok := s.request(); ok {
			s.reset()
		}
	})
	r := start(t, site("", "retries: { budget: 100% }", failing.Addr(), g.Addr()), capacity(1, 10, time.Minute))
	busy := r.begin(getBusy)
	lbtest.Eventually(t, patience, func() bool { return g.requests() == 1 })
	<-g.arrived
	retried := r.begin(getBusy)
	r.wantQueued(1)
	if n := r.leases(); n != 1 {
		t.Errorf("%d leases are held, want that of the busy one alone", n)
	}
	g.let <- struct{}{}
	busy.want("GET", 200, "b2")
	g.let <- struct{}{}
	retried.want("GET", 200, "b2")
	if failing.requests() == 0 {
		t.Error("the failing backend was never asked")
	}
}

// TestLimitHolds sends far more at a time than backends take.
func TestLimitHolds(t *testing.T) {
	var mu sync.Mutex
	var now, most [2]int
	var list []fmt.Stringer
	for i := range 2 {
		o := newOrigin(t, each(func(string, string) string {
			mu.Lock()
			now[i]++
			most[i] = max(most[i], now[i])
			mu.Unlock()
			<-time.After(time.Millisecond)
			mu.Lock()
			now[i]--
			mu.Unlock()
			return ok200
		}))
		list = append(list, o.Addr())
	}
	r := start(t, site("", "algorithm: least_connections", list...), capacity(3, 1000, time.Minute))
	var clients sync.WaitGroup
	for range 30 {
		c := r.dial()
		clients.Go(func() {
			for range 10 {
				if _, err := c.Write([]byte(getBusy)); err != nil {
					t.Error(err)
					return
				}
				if a := c.receive("GET"); a.StatusCode != 200 || a.err != nil {
					t.Errorf("got %d %v", a.StatusCode, a.err)
				}
			}
		})
	}
	clients.Wait()
	if slices.Max(most[:]) > 3 {
		t.Errorf("backends had up to %v requests at a time, want at most 3", most)
	}
	r.wantOutcomes("ok 300")
	if n := r.logs.FilterLevelExact(zap.WarnLevel).Len(); n != 0 {
		t.Errorf("%d warnings: %v", n, r.logs.All())
	}
}
