package handover

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// alive reports whether a process runs: a dead one that nobody has waited for yet does not.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ESRCH)
	}
	// pid (name) state …; the name may hold anything (proc(5)).
	_, rest, _ := bytes.Cut(text[bytes.LastIndexByte(text, ')')+1:], []byte(" "))
	return len(rest) > 0 && rest[0] != 'Z' && rest[0] != 'X'
}

// killTime bounds the wait for the end of a process that was killed.
const killTime = 5 * time.Second

// End kills a process and waits for its end. It is for one that must not go on, and cannot be told so.
func End(pid int) error {
	if pid <= 1 {
		return fmt.Errorf("there is no process %d to end", pid)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill %d: %w", pid, err)
	}
	for end := time.Now().Add(killTime); alive(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("process %d does not end", pid)
		}
	}
	return nil
}
