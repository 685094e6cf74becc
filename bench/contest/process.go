package contest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stopPatience is how long a process may take to end, after the first TERM and after the second.
const stopPatience = 3 * time.Second

// process is a program that was started here, and all that it starts.
type process struct {
	name     string
	cmd      *exec.Cmd
	log      *tail
	patience time.Duration // how long it may take to end after a TERM
	done     chan struct{} // closed when it has ended and err is set
	err      error
}

// command is how to start a program.
type command struct {
	path string
	args []string
	env  []string // added to ours
	dir  string
	out  io.Writer // standard output; nil: with the errors
	cpus []int
}

// start starts a program in a process group of its own, so that Ctrl-C at the terminal reaches only
// us and stop ends it in order. Should this process be killed, the kernel sends it TERM.
func start(name string, c command) (*process, error) {
	p := &process{name: name, patience: stopPatience, log: &tail{}, done: make(chan struct{})}
	p.cmd = exec.Command(c.path, c.args...)
	p.cmd.Dir = c.dir
	p.cmd.Env = append(os.Environ(), c.env...)
	p.cmd.Stdout, p.cmd.Stderr = c.out, p.log
	if c.out == nil {
		p.cmd.Stdout = p.log
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	p.cmd.WaitDelay = stopPatience
	if err := startPinned(p.cmd, c.cpus); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go p.wait()
	return p, nil
}

// wait belongs to start and ends with the program.
func (p *process) wait() {
	p.err = p.cmd.Wait()
	close(p.done)
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// died is the error of a program that has ended by itself; nil: it runs.
func (p *process) died() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended by itself (%v), after: %s", p.name, p.err, p.log)
	default:
		return nil
	}
}

// stop ends the program and waits for it: TERM, TERM again (weir: at once), then KILL to the group.
func (p *process) stop() error {
	for range 2 {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop %s: %w", p.name, err)
		}
		if p.ended(p.patience) {
			break
		}
	}
	// What is left of the group: the program itself, or workers that outlived it.
	if err := unix.Kill(-p.pid(), unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-p.done
	return nil
}

func (p *process) ended(within time.Duration) bool {
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-p.done:
		return true
	case <-t.C:
		return false
	}
}

// tailBytes is what is kept of a program's output, for the message when it ends unasked.
const tailBytes = 2048

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, b...)
	if cut := len(t.kept) - tailBytes; cut > 0 {
		t.kept = append(t.kept[:0], t.kept[cut:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := strings.TrimSpace(string(bytes.ToValidUTF8(t.kept, []byte("?")))); text != "" {
		return text
	}
	return "no output"
}
