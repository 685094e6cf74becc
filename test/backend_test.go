package test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"
)

// The environment by which the test binary becomes a backend.
const (
	backendName    = "WEIR_TEST_BACKEND"
	backendAddress = "WEIR_TEST_BACKEND_ADDRESS"
)

// backendMain is the backend process: a web server that takes a moment for each answer, so that
// there are always requests in flight. It ends when its standard input does, which is when the test
// process ends, however that comes about.
func backendMain(name, address string) int {
	l, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	handler := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-time.After(backendDelay)
		w.Header().Set("X-Backend", name)
		_, _ = io.WriteString(w, name)
	}
	fmt.Fprintln(os.Stderr, (&http.Server{Handler: http.HandlerFunc(handler)}).Serve(l))
	return 1
}

const backendDelay = 5 * time.Millisecond

// process is a backend that can be killed.
type process struct {
	t       testing.TB
	name    string
	address string
	cmd     *exec.Cmd
	stdin   io.Closer
}

// newProcess starts a backend process.
func newProcess(t testing.TB, name string) *process {
	t.Helper()
	p := &process{t: t, name: name, address: fixedPort(t)}
	p.start()
	t.Cleanup(p.kill)
	return p
}

// start starts it, also again after kill, and waits until it listens.
func (p *process) start() {
	p.t.Helper()
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	p.cmd = exec.Command(self)
	p.cmd.Env = append(os.Environ(), backendName+"="+p.name, backendAddress+"="+p.address)
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, "backend "+p.name+" listens", func() bool {
		c, err := net.Dial("tcp", p.address)
		return err == nil && c.Close() == nil
	})
}

// kill ends it by SIGKILL and returns when it is gone. It may be called more than once.
func (p *process) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // says that it was killed
	_ = p.stdin.Close()
	p.cmd = nil
}
