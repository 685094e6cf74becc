package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/api"
	"weir/balancer"
	"weir/config"
	"weir/config/store"
	"weir/healthcheck"
	"weir/telemetry"
)

// fakePlane is a data plane without sockets: one listener, one pool.
type fakePlane struct {
	startErr, applyErr error
	stopping           chan struct{} // closed when Shutdown begins
	release            chan struct{} // Shutdown returns when it is closed, or its context ends
	pool               *balancer.Pool

	mu      sync.Mutex
	applied []*config.Config
	started bool
	stopped bool
}

func newFakePlane() *fakePlane {
	c := &config.Pool{Name: "app", Algorithm: config.WeightedRoundRobin, Backends: []*config.Backend{
		{Name: "b1", Address: netip.MustParseAddrPort("10.0.0.1:80"), Weight: 1, State: config.Ready}}}
	return &fakePlane{stopping: make(chan struct{}), release: make(chan struct{}),
		pool: balancer.NewPool(c, balancer.Options{}, time.Now())}
}

func (f *fakePlane) Start(context.Context) error {
	f.started = true
	return f.startErr
}

func (f *fakePlane) Prepare(c *config.Config, _ bool) (preparedPlane, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.applyErr != nil {
		return nil, f.applyErr
	}
	return fakePrepared{f, c}, nil
}

// fakePrepared closes 5 connections.
type fakePrepared struct {
	plane  *fakePlane
	config *config.Config
}

func (p fakePrepared) Commit() int {
	p.plane.mu.Lock()
	defer p.plane.mu.Unlock()
	p.plane.applied = append(p.plane.applied, p.config)
	return 5
}

func (p fakePrepared) Abandon() {}

func (f *fakePlane) SetAccessLog(*telemetry.AccessLog) {}

func (f *fakePlane) Shutdown(ctx context.Context) error {
	f.mu.Lock()
	f.stopped = true
	f.mu.Unlock()
	close(f.stopping)
	select {
	case <-f.release:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fakePlane) Pools() []api.Pool {
	return []api.Pool{{Pool: f.pool, Protocol: "http", Required: true}}
}

func (f *fakePlane) Leaving() []api.Listener { return nil }

func (f *fakePlane) Listeners() []api.Listener {
	return []api.Listener{{Name: "web", Protocol: "http", Addresses: []string{"127.0.0.1:8080"}, Pool: "app", Active: 3}}
}

func (f *fakePlane) Connections() int { return 4 } // one of a listener that was removed

func (f *fakePlane) MemoryUsage() (used, budget uint64) { return 0, 0 }

func (f *fakePlane) Checks() checks { return fakeChecks{} }

func (f *fakePlane) Explain(api.ExplainQuery) (api.Explanation, error) { return api.Explanation{}, nil }

type fakeChecks struct{}

func (fakeChecks) Settled() bool   { return true }
func (fakeChecks) Overdue() uint64 { return 0 }
func (fakeChecks) Status(healthcheck.Key) (healthcheck.Status, bool) {
	return healthcheck.Status{}, false
}

// lockedBuffer is a log that a test reads while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// running is a daemon on a fake data plane, obeying signals that a test sends.
type running struct {
	*daemon
	plane   *fakePlane
	file    string
	socket  string
	log     *lockedBuffer
	signals chan os.Signal
	ended   chan error
}

// validConfig is a configuration with the given admin socket.
func validConfig(socket, more string) string {
	return "listeners: { web: { protocol: http, address: \"127.0.0.1:8080\", pool: app } }\n" +
		"pools: { app: { backends: [\"10.0.0.1:80\"] } }\n" +
		"admin: { socket: " + socket + " }\n" + more
}

// startRunning starts a daemon and ends it with the test, if the test has not.
func startRunning(t *testing.T, more string) *running {
	t.Helper()
	dir := t.TempDir()
	r := &running{plane: newFakePlane(), file: filepath.Join(dir, "weir.yaml"), socket: filepath.Join(dir, "admin.sock"),
		log: &lockedBuffer{}, signals: make(chan os.Signal), ended: make(chan error, 1)}
	r.write(t, validConfig(r.socket, more))
	d, err := startDaemon(context.Background(), daemonOptions{file: r.file, store: openWanted(t, r.file), stderr: r.log,
		newPlane: func(planeOptions) (plane, error) { return r.plane, nil }})
	if err != nil {
		t.Fatal(err)
	}
	r.daemon = d
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.ended <- d.obey(ctx, r.signals)
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-r.plane.release:
		default:
			close(r.plane.release)
		}
		<-done
	})
	return r
}

// openWanted opens the store of a file that is valid.
func openWanted(t *testing.T, file string) *store.Store {
	t.Helper()
	s, err := store.Open(store.Options{File: file})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (r *running) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(r.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// weir runs a command line in this process.
func weir(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = execute(context.Background(), args, &out, &err)
	return code, out.String(), err.String()
}

func TestStartFails(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "weir.yaml")
	occupied := filepath.Join(dir, "file")
	if err := os.WriteFile(occupied, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	tests := []struct {
		name, socket string
		start, build error
		want         string
		// A data plane that was started without success has ended itself.
		started, stopped bool
	}{
		{"data plane not built", filepath.Join(dir, "s"), nil, errors.New("no such CA"), "no such CA", false, false},
		{"port taken", filepath.Join(dir, "s"), syscall.EADDRINUSE, nil, "stop it or choose another port", true, false},
		{"port below 1024", filepath.Join(dir, "s"), syscall.EACCES, nil, "CAP_NET_BIND_SERVICE", true, false},
		{"socket", occupied, nil, nil, "is not a socket", false, true},
		{"admin address", filepath.Join(dir, "s") + ", listen: \"" + taken.Addr().String() + "\"", nil, nil, "admin.listen: ", false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(validConfig(tt.socket, "")), 0o600); err != nil {
				t.Fatal(err)
			}
			p := newFakePlane()
			p.startErr = tt.start
			close(p.release)
			_, err := startDaemon(context.Background(), daemonOptions{file: file, store: openWanted(t, file), stderr: &lockedBuffer{},
				newPlane: func(planeOptions) (plane, error) { return p, tt.build }})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want it to contain %q", err, tt.want)
			}
			if p.started != tt.started || p.stopped != tt.stopped {
				t.Errorf("data plane started %v, stopped %v; want %v, %v", p.started, p.stopped, tt.started, tt.stopped)
			}
			if _, err := os.Lstat(filepath.Join(dir, "s")); !os.IsNotExist(err) {
				t.Errorf("the admin socket is left behind: %v", err)
			}
		})
	}
}
