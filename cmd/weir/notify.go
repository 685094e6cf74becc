package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// notifier tells the service manager how the process is (sd_notify(3)). A nil one tells nobody.
type notifier struct {
	address  *net.UnixAddr
	watchdog time.Duration // how often it wants to hear; 0: never
}

// newNotifier reads what the service manager has left in the environment; nil if it wants to hear nothing. A
// process that another one has started to take its place is watched as that one was.
func newNotifier() *notifier {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	if strings.HasPrefix(name, "@") { // of the abstract namespace
		name = "\x00" + name[1:]
	}
	n := &notifier{address: &net.UnixAddr{Name: name, Net: "unixgram"}}
	if usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 && forThisProcess("WATCHDOG_PID") {
		n.watchdog = time.Duration(usec) * time.Microsecond
	}
	return n
}

// forThisProcess reports whether a variable is this process's number, or is not there.
func forThisProcess(variable string) bool {
	pid := os.Getenv(variable)
	return pid == "" || pid == strconv.Itoa(os.Getpid())
}

// tell sends assignments, one for each line.
func (n *notifier) tell(lines ...string) error {
	if n == nil {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, n.address)
	if err == nil {
		_, err = c.Write([]byte(strings.Join(lines, "\n")))
		err = errors.Join(err, c.Close())
	}
	if err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	return nil
}

// ready says that the process serves, and how it is.
func (n *notifier) ready(status string) error { return n.tell("READY=1", "STATUS="+status) }

// reloading says that a reload has begun; ready ends it.
func (n *notifier) reloading() error {
	if n == nil {
		return nil
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return os.NewSyscallError("clock_gettime", err)
	}
	return n.tell("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/int64(time.Microsecond)))
}

// stopping says that the process is on its way out.
func (n *notifier) stopping(status string) error { return n.tell("STOPPING=1", "STATUS="+status) }

// replaced says that another process is the service from now on.
func (n *notifier) replaced(pid int) error { return n.tell("MAINPID=" + strconv.Itoa(pid)) }

// alive feeds the watchdog.
func (n *notifier) alive(status string) error { return n.tell("WATCHDOG=1", "STATUS="+status) }
