package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weir/proxy/handover"
)

// handoverVariable names the descriptor by which a process takes over from the one that has started it.
const handoverVariable = "WEIR_HANDOVER"

// program is how this process was started, for another one that takes its place.
type program struct {
	path string
	args []string // without the name
	err  error    // the path cannot be found out
}

// thisProgram finds the path of the program as it was called: a link that is to be changed to another version
// is followed anew each time. It is asked at the start, before anything can be replaced.
func thisProgram() program {
	p := program{args: slices.Clone(os.Args[1:])}
	name := os.Args[0]
	if !strings.Contains(name, "/") {
		if found, err := exec.LookPath(name); err == nil {
			name = found
		}
	}
	if p.path, p.err = filepath.Abs(name); p.err == nil {
		if info, err := os.Stat(p.path); err == nil && !info.IsDir() {
			return p
		}
	}
	p.path, p.err = os.Executable()
	return p
}

// next is a process that was started to take the place of this one.
type next struct {
	cmd    *exec.Cmd
	ended  chan struct{}
	killed bool
}

// startNext starts it with its end of the connection, which is closed here.
func startNext(p program, theirs *os.File) (*next, error) {
	defer theirs.Close() // it has a copy
	if p.err != nil {
		return nil, fmt.Errorf("the path of the program: %w", p.err)
	}
	n := &next{cmd: exec.Command(p.path, p.args...), ended: make(chan struct{})}
	n.cmd.Args[0] = os.Args[0]
	n.cmd.Stdin, n.cmd.Stdout, n.cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	n.cmd.ExtraFiles = []*os.File{theirs} // descriptor 3
	n.cmd.Env = append(nextEnvironment(os.Environ()), handoverVariable+"=3")
	if err := n.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the new process: %w", err)
	}
	go func() {
		defer close(n.ended)
		_ = n.cmd.Wait() // explain tells
	}()
	return n, nil
}

// nextEnvironment is this one without what was said to this process alone.
func nextEnvironment(own []string) []string {
	alone := []string{handoverVariable, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"}
	return slices.DeleteFunc(slices.Clone(own), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(alone, name)
	})
}

// endTime is how long a process that was refused may take to end by itself.
const endTime = time.Second

// end waits for the end of a process that did not come into service, and brings it about if that takes too
// long. A nil one has ended.
func (n *next) end() {
	if n == nil {
		return
	}
	timer := time.NewTimer(endTime)
	defer timer.Stop()
	select {
	case <-n.ended:
	case <-timer.C:
		n.kill()
	}
}

// kill ends it at once.
func (n *next) kill() {
	n.killed = n.cmd.Process.Kill() == nil // else it has ended by itself
	<-n.ended
}

// explain says of an error of a process that has ended how it did, if it has said nothing itself.
func (n *next) explain(err error) error {
	switch {
	case errors.Is(err, handover.ErrGone):
		return fmt.Errorf("the new process ended before it served (%s); see the log", n.cmd.ProcessState)
	case n.killed:
		return fmt.Errorf("the new process: %w; it was ended", err)
	}
	return fmt.Errorf("the new process: %w", err)
}
