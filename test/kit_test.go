package test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"weir/api"
	"weir/internal/lbtest"
)

// patience bounds every wait for something that takes milliseconds on an idle machine.
const patience = 20 * time.Second

// daemon is a running `weir run`.
type daemon struct {
	t      testing.TB
	dir    string
	file   string // configuration
	socket string
	client *http.Client // of the admin socket
	cmd    *exec.Cmd
	log    *lockedBuffer
	ended  chan struct{} // closed when the process has ended

	stopped  bool
	expected []string
}

// start runs weir with a configuration, waits until it is ready, and ends it with the test. The
// configuration has no section admin, or one whose socket is SOCKET. through is a command that runs what
// is appended to it; empty: none.
func start(t testing.TB, configuration string, through ...string) *daemon {
	t.Helper()
	d := launch(t, configuration, through...)
	eventually(t, "weir is ready", func() bool {
		if d.over() {
			t.Fatalf("weir has ended: %v", d.cmd.ProcessState)
		}
		status, _, err := d.ask(http.MethodGet, "/readyz")
		return err == nil && status == http.StatusOK
	})
	return d
}

// launch is start without waiting.
func launch(t testing.TB, configuration string, through ...string) *daemon {
	t.Helper()
	// Not t.TempDir: with the name of the test in it, the path of the socket gets too long.
	dir, err := os.MkdirTemp("", "weir-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	d := &daemon{t: t, dir: dir, file: filepath.Join(dir, "weir.yaml"), socket: filepath.Join(dir, "admin.sock"),
		log: &lockedBuffer{}, ended: make(chan struct{})}
	d.client = &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", d.socket)
		},
	}}
	d.write(configuration)
	command := append(slices.Clone(through), binary, "run", "-c", d.file)
	d.cmd = exec.Command(command[0], command[1:]...)
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.ended)
		_ = d.cmd.Wait() // exitCode tells
	}()
	t.Cleanup(d.stop)
	return d
}

// write replaces the configuration file; nothing happens before a reload.
func (d *daemon) write(configuration string) {
	d.t.Helper()
	if !strings.Contains(configuration, "\nadmin:") {
		configuration += "\nadmin: { socket: SOCKET }\n"
	}
	text := strings.Replace(configuration, "SOCKET", d.socket, 1)
	if err := os.WriteFile(d.file, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// expect marks lines of level error that contain text as foreseen.
func (d *daemon) expect(text string) { d.expected = append(d.expected, text) }

func (d *daemon) over() bool {
	select {
	case <-d.ended:
		return true
	default:
		return false
	}
}

// exitCode waits for the end of the process.
func (d *daemon) exitCode() int {
	d.t.Helper()
	select {
	case <-d.ended:
	case <-time.After(patience):
		d.t.Errorf("weir has not ended in %v", patience)
		// It hangs: SIGQUIT is a graceful stop for weir, so its goroutines cannot be had.
		_ = d.cmd.Process.Kill()
		<-d.ended
	}
	return d.cmd.ProcessState.ExitCode()
}

// stop ends the process with TERM and holds its end and its log against what was promised. It may
// be called more than once.
func (d *daemon) stop() {
	d.t.Helper()
	if d.stopped {
		return
	}
	d.stopped = true
	if !d.over() {
		d.signal(syscall.SIGTERM)
	}
	if code := d.exitCode(); code != 0 {
		d.t.Errorf("exit code: got %d, want 0", code)
	}
	d.judgeLog()
	if d.t.Failed() {
		d.t.Logf("log of weir:\n%s", tail(d.log.String(), 60))
	}
}

func (d *daemon) signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		d.t.Errorf("signal %v: %v", s, err)
	}
}

// logLine is what every line of the process log has.
type logLine struct {
	Level string `json:"level"`
	Msg   string `json:"msg"`
	text  string
}

// lines parses the log. A line that is no JSON object is a fault: panics look like that.
func (d *daemon) lines() (lines []logLine) {
	for text := range strings.Lines(d.log.String()) {
		var l logLine
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			l.Level = "error"
		}
		l.text = strings.TrimSpace(text)
		lines = append(lines, l)
	}
	return lines
}

// judgeLog wants no line of level error but those that are expected.
func (d *daemon) judgeLog() {
	d.t.Helper()
	for _, l := range d.lines() {
		switch l.Level {
		case "debug", "info", "warn":
			continue
		}
		foreseen := false
		for _, text := range d.expected {
			foreseen = foreseen || strings.Contains(l.text, text)
		}
		if !foreseen {
			d.t.Errorf("log: %s", l.text)
		}
	}
}

// reload puts another configuration in force by HUP and waits until it is.
func (d *daemon) reload(configuration string) {
	d.t.Helper()
	before := d.status().Generation
	d.write(configuration)
	d.signal(syscall.SIGHUP)
	eventually(d.t, "the reload is done", func() bool { return d.status().Generation > before })
}

// cli runs a verb of weir against the daemon and returns its exit code and what it printed.
func (d *daemon) cli(verb string, args ...string) (code int, stdout, stderr string) {
	d.t.Helper()
	return weir(d.t, append([]string{verb, "--socket", d.socket}, args...)...)
}

// weir runs a command line of the binary to its end.
func weir(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatalf("weir %v: %v", args, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// tail is the last n lines of text.
func tail(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}

// eventually polls for a condition until patience ends.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	within(t, patience, what, cond)
}

// within polls for a condition. Its rhythm leaves the processor to those who work.
func within(t testing.TB, limit time.Duration, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		<-tick.C
	}
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// backends starts n web servers b1…bn.
func backends(t testing.TB, n int) []*lbtest.HTTP {
	t.Helper()
	var list []*lbtest.HTTP
	for i := range n {
		list = append(list, lbtest.NewHTTP(t, fmt.Sprintf("b%d", i+1)))
	}
	return list
}

// listed is backends as the configuration has them, in flow style: b1: { address: … }, …
func listed(list ...*lbtest.HTTP) string {
	var parts []string
	for _, b := range list {
		parts = append(parts, fmt.Sprintf("%s: { address: %q }", b.Name(), b.Addr()))
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

// portsTried lets no two calls of fixedPort find the same.
var portsTried atomic.Int64

// fixedPort finds a port that stays free while nobody has it: below those that the kernel gives to
// outgoing connections, of which the tests make many.
func fixedPort(t testing.TB) string {
	t.Helper()
	for range 10_000 {
		port := 12_000 + (os.Getpid()*97+int(portsTried.Add(1)))%18_000
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return l.Addr().String()
	}
	t.Fatal("no free port")
	return ""
}

// program finds a program of the system, or skips the test.
func program(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 && !info.IsDir() {
			return path
		}
	}
	t.Skipf("%s is not installed; 'make deps bench-deps' installs what the scenarios use", name)
	return ""
}

// status asks for the status document.
func (d *daemon) status() (status api.Status) {
	d.t.Helper()
	code, body := d.get("/v1/status")
	if code != http.StatusOK {
		d.t.Fatalf("/v1/status: got %d: %s", code, body)
	}
	if err := json.Unmarshal(body, &status); err != nil {
		d.t.Fatalf("/v1/status: %v", err)
	}
	return status
}
