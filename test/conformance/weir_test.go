package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a program under test.
type process struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	output *lockedBuffer
	ended  chan struct{} // closed when it has ended
}

// launch starts a program, with files that it inherits from descriptor 3 on; it ends with the test
// at the latest.
func launch(t *testing.T, name string, cmd *exec.Cmd, files ...*os.File) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: cmd, output: &lockedBuffer{}, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = p.output, p.output, files
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.wait()
	t.Cleanup(func() {
		select {
		case <-p.ended:
		default:
			_ = cmd.Process.Kill()
			<-p.ended
		}
	})
	return p
}

// wait belongs to launch and ends with the program.
func (p *process) wait() {
	_ = p.cmd.Wait() // terminate looks at how it ended
	close(p.ended)
}

// terminate ends the program by TERM and wants it to end well.
func (p *process) terminate() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Errorf("%s: %v", p.name, err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Errorf("%s has not ended in %v", p.name, patience)
		_ = p.cmd.Process.Kill()
		<-p.ended
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

// weir is the built binary.
type weir struct {
	*process
	lanes map[*message]string // address of the listener
}

// laneName is the name of what belongs to message i.
func laneName(i int) string { return fmt.Sprintf("m%03d", i) }

func startWeir(t *testing.T, list []*message, origins map[*message]*origin) proxy {
	t.Helper()
	// Not t.TempDir: with the name of the test in it, the path of the socket gets too long.
	dir, err := os.MkdirTemp("", "weir-conformance-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	socket, file := filepath.Join(dir, "admin.sock"), filepath.Join(dir, "weir.yaml")
	if err := os.WriteFile(file, []byte(weirConfig(socket, list, origins)), 0o600); err != nil {
		t.Fatal(err)
	}
	w := &weir{launch(t, "weir", exec.Command(binary, "run", "-c", file)), map[*message]string{}}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	w.await("it is ready", func() bool { return ask(client, "/readyz", nil) == nil })
	var status struct {
		Listeners []struct {
			Name      string
			Addresses []string
		}
	}
	if err := ask(client, "/v1/status", &status); err != nil {
		t.Fatal(err)
	}
	byName := map[string]string{}
	for _, l := range status.Listeners {
		byName[l.Name] = l.Addresses[0]
	}
	for i, m := range list {
		w.lanes[m] = byName[laneName(i)]
	}
	return w
}

func weirConfig(socket string, list []*message, origins map[*message]*origin) string {
	var listeners, pools strings.Builder
	for i, m := range list {
		front, back := "", ""
		if m.slow {
			front = ", timeouts: { client_header: 1s, client_body_idle: 1s }"
			back = ", timeouts: { backend_response: 1s, backend_idle: 1s }"
		}
		if m.maxBody > 0 {
			front += fmt.Sprintf(", limits: { max_body: %d }", m.maxBody)
		}
		name := laneName(i)
		fmt.Fprintf(&listeners, "  %s: { protocol: http, address: \"127.0.0.1:0\", pool: %[1]s%s }\n", name, front)
		fmt.Fprintf(&pools, "  %s: { health_check: none, backends: [%q]%s }\n", name, origins[m].addr(), back)
	}
	return fmt.Sprintf("admin: { socket: %q }\nlisteners:\n%spools:\n%s", socket, &listeners, &pools)
}

func (w *weir) addr(m *message) string { return w.lanes[m] }

// stop ends weir and wants a clean log.
func (w *weir) stop() {
	w.t.Helper()
	w.terminate()
	if code := w.cmd.ProcessState.ExitCode(); code != 0 {
		w.t.Errorf("weir: exit code %d, want 0", code)
	}
	for l := range strings.Lines(w.output.String()) {
		var entry struct{ Level string }
		if err := json.Unmarshal([]byte(l), &entry); err != nil || entry.Level == "error" {
			w.t.Errorf("log of weir: %s", l)
		}
	}
}

// await polls for a condition; the end of the program ends the test.
func (p *process) await(what string, done func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-p.ended:
			p.t.Fatalf("%s has ended, %v: %s", p.name, p.cmd.ProcessState, tail(p.output.String()))
		case <-tick.C:
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: not within %v: %s: %s", p.name, patience, what, tail(p.output.String()))
		}
	}
}

// ask gets a document of the admin socket.
func ask(client *http.Client, path string, into any) error {
	response, err := client.Get("http://weir" + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, response.Status)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}

// tail is the end of what a program has said.
func tail(s string) string { return s[max(0, len(s)-2000):] }
