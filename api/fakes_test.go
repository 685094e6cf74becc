package api

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"weir/balancer"
	"weir/config"
	"weir/healthcheck"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// born is when the pools of these tests were made.
var born = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// fakeRunning is a data plane that says what a test wants.
type fakeRunning struct {
	mu      sync.Mutex
	process Process
	pools   []Pool
}

func (f *fakeRunning) Process() Process {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.process
}

func (f *fakeRunning) Pools() []Pool { return f.pools }

// fakeChecks answers from a table.
type fakeChecks struct {
	settled  bool
	statuses map[healthcheck.Key]healthcheck.Status
}

func (f *fakeChecks) Settled() bool { return f.settled }

func (f *fakeChecks) Status(k healthcheck.Key) (healthcheck.Status, bool) {
	s, ok := f.statuses[k]
	return s, ok
}

// newPool makes a required pool of real backends b1, b2… with the given weights, all checking.
func newPool(name string, weights ...int) Pool {
	c := &config.Pool{
		Name: name, Protocol: config.HTTP, Algorithm: config.WeightedRoundRobin, Required: true,
		Health: &config.HealthCheck{Protocol: config.HTTP, Initial: config.InitialChecking, Rise: 2, Fall: 3},
	}
	for i, w := range weights {
		c.Backends = append(c.Backends, &config.Backend{
			Name:    "b" + string(rune('1'+i)),
			Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(11 + i)}), 8080),
			Weight:  w,
			State:   config.Ready,

			MaxConnections: 7 * i,
		})
	}
	return Pool{Pool: balancer.NewPool(c, balancer.Options{}, born), Protocol: "http", Required: true}
}

// report gives the verdicts of the first round, in the order of the backends.
func report(p Pool, up ...bool) {
	for i, m := range p.Snapshot().Members() {
		if i < len(up) {
			p.Report(m.Backend, up[i], born.Add(time.Second))
		}
	}
}

// healthy is a data plane that is ready: one listener, one pool with a backend up.
func healthy() (*fakeRunning, *fakeChecks) {
	p := newPool("web", 1, 1)
	report(p, true, true)
	return &fakeRunning{
		process: Process{Loaded: true, Bound: true, Generation: 3, ConfigFile: "/etc/weir/weir.yaml",
			Digest: "9f31c0", LoadedAt: born,
			Listeners: []Listener{{Name: "shop", Protocol: "http", Addresses: []string{"127.0.0.1:8080"},
				Pool: "web", Active: 2, Total: 40}}},
		pools: []Pool{p},
	}, &fakeChecks{settled: true}
}

// start runs a server on a socket of its own and a TCP address, until the test ends.
func start(t *testing.T, change func(*Options)) *Server {
	t.Helper()
	running, checks := healthy()
	o := Options{Version: "1.2.3", Commit: "abcdef", Started: time.Now(), Running: running, Checks: checks,
		Socket: filepath.Join(t.TempDir(), "admin.sock"), Listen: "127.0.0.1:0", Log: zaptest.NewLogger(t)}
	if change != nil {
		change(&o)
	}
	s := New(o)
	if err := s.Bind(); err != nil {
		t.Fatal(err)
	}
	s.Serve()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// overSocket is a client of the socket.
func overSocket(path string) *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
}

// overTCP is a client of the TCP address.
func overTCP() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
}

// ask sends a request and reads the whole answer.
func ask(t *testing.T, client *http.Client, method, url, host string) (*http.Response, []byte) {
	t.Helper()
	request, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return response, body
}

// decode reads a document.
func decode[T any](t *testing.T, body []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return v
}
