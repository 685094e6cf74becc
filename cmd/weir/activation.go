package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"weir/proxy/handover"
)

// firstActivated is the first descriptor that a service manager passes (sd_listen_fds(3)).
const firstActivated = 3

// activated lists the sockets that the service manager has passed, each named for a listener, and takes the
// word of it out of the environment, which child processes get.
func activated() ([]handover.Socket, error) {
	count, names := os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	mine := forThisProcess("LISTEN_PID") && os.Getenv("LISTEN_PID") != ""
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if err := os.Unsetenv(name); err != nil {
			return nil, err
		}
	}
	if !mine || count == "" {
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("LISTEN_FDS is %q: want a number", count)
	}
	var list []handover.Socket
	var errs []error
	for i := range n {
		fd := firstActivated + i
		s := handover.Socket{ID: i, Listener: nth(names, i), Activated: true, FD: fd}
		unix.CloseOnExec(fd)
		switch kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); {
		case err != nil:
			errs = append(errs, fmt.Errorf("descriptor %d that the service manager passes: %w", fd, os.NewSyscallError("getsockopt", err)))
		case s.Listener == "":
			errs = append(errs, fmt.Errorf("descriptor %d that the service manager passes has no name: give its unit FileDescriptorName= with the name of a listener", fd))
		case kind == unix.SOCK_DGRAM:
			s.Network = handover.UDP
		default:
			s.Network = handover.TCP
		}
		list = append(list, s)
	}
	if err := errors.Join(errs...); err != nil {
		closeSockets(list)
		return nil, err
	}
	return list, nil
}

// nth is the i-th of names between colons.
func nth(names string, i int) string {
	all := strings.Split(names, ":")
	if i >= len(all) || all[i] == "unknown" { // what systemd says of sockets without a name
		return ""
	}
	return all[i]
}

// closeSockets closes the descriptors of sockets that nobody takes.
func closeSockets(list []handover.Socket) {
	for _, s := range list {
		handover.CloseAll([]int{s.FD})
	}
}
