package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
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
	"weir/healthcheck"
	"weir/internal/lbtest"
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

func (f *fakePlane) Apply(c *config.Config) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.applyErr != nil {
		return "", f.applyErr
	}
	f.applied = append(f.applied, c)
	return "1 backend added", nil
}

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

func (f *fakePlane) Listeners() []api.Listener {
	return []api.Listener{{Name: "web", Protocol: "http", Addresses: []string{"127.0.0.1:8080"}, Pool: "app", Active: 3}}
}

func (f *fakePlane) Checks() checks { return fakeChecks{} }

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
	c, report := config.Load(r.file)
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	d, err := startDaemon(context.Background(), c, daemonOptions{file: r.file, stderr: r.log,
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

func TestReload(t *testing.T) {
	r := startRunning(t, "")
	r.write(t, validConfig(r.socket, "log: { level: debug, format: console }\n"))
	code, stdout, stderr := weir("reload", "--socket", r.socket)
	if code != 0 || !strings.HasPrefix(stdout, "reloaded generation 2 in ") || !strings.HasSuffix(stdout, ": 1 backend added\n") {
		t.Errorf("got %d %q %q", code, stdout, stderr)
	}
	if want := `log.format is "console" in the configuration and "json" in this process; it takes effect at the next start`; !strings.Contains(stderr, want) {
		t.Errorf("stderr %q does not say that log.format needs a restart", stderr)
	}
	if got := r.Process(); got.Generation != 2 || got.Digest != r.plane.applied[0].Digest || got.Digest == "" {
		t.Errorf("got %+v after a reload", got)
	}
	if s := r.registry.ReloadStatus(); !s.LastOK || s.Succeeded != 2 || s.Generation != 2 {
		t.Errorf("telemetry says %+v", s)
	}
	if got := r.level.String(); got != "debug" {
		t.Errorf("log level: got %s, want debug", got)
	}
}

// TestReloadComparesWithTheProcess: what needs a restart is said at every reload until the file says again
// what runs, and no setting is said to differ for the form of its path.
func TestReloadComparesWithTheProcess(t *testing.T) {
	r := startRunning(t, "")
	relative := strings.Replace(validConfig("admin.sock", ""), "admin.sock }", `admin.sock, listen: "" }`, 1)
	steps := []struct {
		text string
		want []string
	}{
		{relative, nil},
		{validConfig(r.socket, "log: { access: { output: access.log } }\n"), []string{"log.access.output"}},
		{validConfig(r.socket, "log: { access: { output: access.log } }\n"), []string{"log.access.output"}},
		{validConfig("other.sock", ""), []string{"admin.socket"}},
		{validConfig(r.socket, ""), nil},
	}
	for i, step := range steps {
		r.write(t, step.text)
		done, err := r.Reload(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if len(done.Warnings) != len(step.want) {
			t.Fatalf("step %d: got %q, want %q", i, done.Warnings, step.want)
		}
		for n, want := range step.want {
			if !strings.HasPrefix(done.Warnings[n], want+" is ") {
				t.Errorf("step %d: got %q, want it about %s", i, done.Warnings[n], want)
			}
		}
	}
}

// TestRefusalNamesOnce: a file that cannot be read is named once in a line.
func TestRefusalNamesOnce(t *testing.T) {
	r := startRunning(t, "")
	if err := os.Remove(r.file); err != nil {
		t.Fatal(err)
	}
	_, _, stderr := weir("reload", "--socket", r.socket)
	if want := "refused: " + r.file + " cannot be read: no such file or directory; "; !strings.Contains(stderr, want) {
		t.Errorf("got %q, want %q", stderr, want)
	}
}

func TestReloadRefused(t *testing.T) {
	tests := []struct {
		name  string
		text  func(r *running) string
		apply error
		want  string
	}{
		{"not valid", func(*running) string { return "listeners: 5\n" }, nil, "weir.yaml:1:"},
		{"cannot be applied", func(r *running) string { return validConfig(r.socket, "") }, syscall.EADDRINUSE, "another process ('ss -ltnp' shows which) has the address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := startRunning(t, "")
			before := r.Process()
			r.write(t, tt.text(r))
			r.plane.applyErr = tt.apply
			code, stdout, stderr := weir("reload", "--socket", r.socket)
			if code != exitRefused || stdout != "" || !strings.Contains(stderr, tt.want) || !strings.Contains(stderr, "unchanged") {
				t.Errorf("got %d %q %q, want %d and %q", code, stdout, stderr, exitRefused, tt.want)
			}
			if got := r.Process(); got.Generation != before.Generation || got.Digest != before.Digest {
				t.Errorf("got %+v, want it unchanged from %+v", got, before)
			}
			if s := r.registry.ReloadStatus(); s.LastOK || s.Failed != 1 || s.Generation != before.Generation {
				t.Errorf("telemetry says %+v", s)
			}
			if log := r.log.String(); !strings.Contains(log, "reload refused") || !strings.Contains(log, tt.want) {
				t.Errorf("the log does not say it and why: %s", log)
			}
		})
	}
}

// TestHangup: a bad file must not end the process.
func TestHangup(t *testing.T) {
	r := startRunning(t, "")
	r.write(t, "nonsense: true\n")
	r.signals <- syscall.SIGHUP
	lbtest.Eventually(t, 10*time.Second, func() bool { return strings.Contains(r.log.String(), "reload refused") })
	r.write(t, validConfig(r.socket, "version: 1\n"))
	r.signals <- syscall.SIGHUP
	// The next signal is taken when the reload is done.
	r.signals <- syscall.SIGUSR2
	if got := r.Process().Generation; got != 2 {
		t.Errorf("generation: got %d, want 2", got)
	}
}

// TestTerm: not ready first, then the data plane stops, the socket answers until the end.
func TestTerm(t *testing.T) {
	r := startRunning(t, "")
	if code, stdout, stderr := weir("health", "--socket", r.socket); code != 0 || stdout != "ready\n" {
		t.Fatalf("before: got %d %q %q", code, stdout, stderr)
	}
	r.signals <- syscall.SIGTERM
	<-r.plane.stopping
	code, stdout, _ := weir("health", "--socket", r.socket)
	if code != 2 || stdout != "draining\n  serving: the process is stopping\n" {
		t.Errorf("while stopping: got %d %q", code, stdout)
	}
	if code, _, stderr := weir("reload", "--socket", r.socket); code != exitRefused || !strings.Contains(stderr, "stopping") {
		t.Errorf("reload while stopping: got %d %q", code, stderr)
	}
	close(r.plane.release)
	if err := <-r.ended; err != nil {
		t.Errorf("got %v, want a clean end", err)
	}
	if code, _, stderr := weir("health", "--socket", r.socket); code != exitUnreachable || !strings.Contains(stderr, "no such file") {
		t.Errorf("after: got %d %q", code, stderr)
	}
}

// TestNoAnswer: a process that is stopped by a debugger or the kernel accepts, but does not answer.
func TestNoAnswer(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, verb := range []string{"health", "status", "reload"} {
		code, stdout, stderr := weir(verb, "--socket", socket, "--timeout", "50ms")
		if want := "weir at " + socket + " does not answer within 50ms"; code != exitUnreachable || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s: got %d %q %q, want %d and %q", verb, code, stdout, stderr, exitUnreachable, want)
		}
	}
}

// TestHealthWaits: with --wait, what is not there or not ready yet is asked again.
func TestHealthWaits(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	if code, _, stderr := weir("health", "--socket", socket, "--wait", "250ms"); code != exitUnreachable || !strings.Contains(stderr, "no such file") {
		t.Errorf("nobody there: got %d %q", code, stderr)
	}
	asked := 0
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(api.Readiness{Ready: asked >= 3})
	})}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	if code, stdout, stderr := weir("health", "--socket", socket); code != exitInvalid || stdout != "not ready\n" {
		t.Errorf("once: got %d %q %q", code, stdout, stderr)
	}
	if code, stdout, stderr := weir("health", "--socket", socket, "--wait", "10s"); code != 0 || stdout != "ready\n" || asked != 3 {
		t.Errorf("got %d %q %q after %d questions", code, stdout, stderr, asked)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	<-served
}

// TestHealthOfAnother: an answer that is no readiness does not say that weir is not ready.
func TestHealthOfAnother(t *testing.T) {
	if err := printReadiness(failingWriter{}, api.Readiness{Ready: true}); err == nil || err.(*failure).code != 0 {
		t.Errorf("ready, but not printed: got %v, want exit code 0", err)
	}
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	if code, stdout, stderr := weir("health", "--socket", socket); code != exitUnreachable || stdout != "" || !strings.Contains(stderr, "is it a weir") {
		t.Errorf("got %d %q %q", code, stdout, stderr)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	<-served
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("full") }

// TestReloadOfBadFile: the daemon judges, counts and logs, whatever the file by which it is found says.
func TestReloadOfBadFile(t *testing.T) {
	r := startRunning(t, "")
	r.write(t, strings.Replace(validConfig(r.socket, ""), "http", "htp", 1))
	if code, _, stderr := weir("reload", "-c", r.file); code != exitRefused || !strings.Contains(stderr, "unchanged") {
		t.Errorf("got %d %q, want %d", code, stderr, exitRefused)
	}
	if s := r.registry.ReloadStatus(); s.Failed != 1 {
		t.Errorf("telemetry says %+v, want one failure", s)
	}
	if code, stdout, stderr := weir("health", "-c", r.file); code != 0 {
		t.Errorf("health: got %d %q %q", code, stdout, stderr)
	}
}

// TestSecondTerm: work that never ends is cut at once by a second signal, and the exit is clean.
func TestSecondTerm(t *testing.T) {
	r := startRunning(t, "defaults: { timeouts: { grace: 10m } }\n")
	lease, err := r.plane.pool.Acquire(balancer.Flow{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	r.signals <- syscall.SIGTERM
	<-r.plane.stopping
	r.signals <- syscall.SIGHUP
	r.signals <- syscall.SIGINT
	select {
	case err := <-r.ended:
		if err != nil {
			t.Errorf("got %v, want a clean end", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the second signal did not end it")
	}
	log := r.log.String()
	cut, stopped := strings.Index(log, `"msg":"work in flight was cut","connections":3,"requests":1`), strings.Index(log, `"msg":"stopped"`)
	if cut < 0 || stopped < cut {
		t.Errorf("the log does not say that work was cut, before it says stopped: %s", log)
	}
	if !strings.Contains(log, `"msg":"stopping","connections":3,"requests":1,"signal":"terminated"`) {
		t.Errorf("the log does not say what is in flight: %s", log)
	}
}

// TestNothingIsCut: when the patience ends early and all that was open was idle, nothing is said to be cut.
func TestNothingIsCut(t *testing.T) {
	r := startRunning(t, "defaults: { timeouts: { pre_stop: 10m } }\n")
	r.signals <- syscall.SIGTERM
	r.signals <- syscall.SIGTERM
	<-r.plane.stopping
	close(r.plane.release)
	if err := <-r.ended; err != nil {
		t.Errorf("got %v, want a clean end", err)
	}
	if log := r.log.String(); strings.Contains(log, "cut") || !strings.Contains(log, `"msg":"stopped"`) {
		t.Errorf("got %s", log)
	}
}

// TestPreStop: a second signal ends the wait before the data plane stops, too.
func TestPreStop(t *testing.T) {
	r := startRunning(t, "defaults: { timeouts: { pre_stop: 10m } }\n")
	r.signals <- syscall.SIGQUIT
	lbtest.Eventually(t, 10*time.Second, r.draining.Load)
	r.plane.mu.Lock()
	stopped := r.plane.stopped
	r.plane.mu.Unlock()
	if stopped {
		t.Error("the data plane was stopped before pre_stop was over")
	}
	if code, _, _ := weir("health", "--socket", r.socket); code != 2 {
		t.Errorf("health during pre_stop: got %d, want 2", code)
	}
	r.signals <- syscall.SIGTERM
	if err := <-r.ended; err != nil {
		t.Errorf("got %v, want a clean end", err)
	}
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
			c, report := config.Load(file)
			if err := report.Err(); err != nil {
				t.Fatal(err)
			}
			p := newFakePlane()
			p.startErr = tt.start
			close(p.release)
			_, err := startDaemon(context.Background(), c, daemonOptions{file: file, stderr: &lockedBuffer{},
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
