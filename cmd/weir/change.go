package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"

	"weir/config"
)

// fixed is the settings that a process keeps from its start to its end.
type fixed struct {
	socket, listen string
	stateDir       string
}

// fixedBy reads them from a configuration. Its paths must be absolute, so that equal ones are the same.
func fixedBy(c *config.Config) fixed {
	return fixed{c.Admin.Socket, c.Admin.Listen, c.StateDir}
}

// differences lists what c says otherwise.
func (f fixed) differences(c *config.Config) (lines []string) {
	wanted := fixedBy(c)
	differs := func(name, running, wanted string) {
		if running != wanted {
			lines = append(lines, fmt.Sprintf("%s is %q in the configuration and %q in this process; it takes effect at the next start", name, wanted, running))
		}
	}
	differs("admin.socket", f.socket, wanted.socket)
	differs("admin.listen", f.listen, wanted.listen)
	differs("state_dir", f.stateDir, wanted.stateDir)
	return lines
}

// explainBind adds what to do to the usual errors of binding an address, each of those that were joined.
func explainBind(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all := slices.Clone(joined.Unwrap())
		for i, e := range all {
			all[i] = explainBind(e)
		}
		return errors.Join(all...)
	}
	switch {
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w — give the binary CAP_NET_BIND_SERVICE, run as root, or use a port of 1024 or above", err)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w — %s", err, explainTaken(err))
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w — this machine has no such address; use one of its own, or :PORT for all", err)
	}
	return err
}

// explainTaken says who is in the way of a bind and what to do about it.
func explainTaken(err error) string {
	var who holder
	if op, ok := errors.AsType[*net.OpError](err); ok {
		who = owner(op.Addr)
	}
	switch who.pid {
	case 0:
		return "another process ('ss -ltnp' shows which) has the address; stop it or choose another port"
	case os.Getpid():
		return "this very process has it: another listener, or the admin address, is on that port; use another one"
	}
	return who.String() + " has the address; stop it or choose another port"
}
