package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/api"
)

// drainPause is between two looks at a backend that drains.
const drainPause = 200 * time.Millisecond

// stateVerb is a verb that sets the state of a backend.
type stateVerb struct {
	name, short, long string
	state             string
	becomes           string // what is said of the backend
}

func newDrain() *cobra.Command {
	v := stateVerb{name: "drain", state: "drain", becomes: "drains",
		short: "Give a backend no new flows but those of its sessions",
		long: `Give a backend no new flows but those of its sessions, so that it can be taken away without loss. It holds over
reloads and restarts until weir ready, or weir override --clear. With --wait it returns when nothing is left on the
backend, with exit code 1 if something still is after --timeout: the backend goes on draining then. What is left
after the drain_timeout of the pool is cut by weir. After an upgrade it also waits for the processes before, which
alone know what they have on the backend.`}
	cmd, where := v.command()
	wait := cmd.Flags().Bool("wait", false, "wait until nothing is left on it, for at most --timeout if that is given")
	run := cmd.RunE
	cmd.RunE = verb(func(cmd *cobra.Command, args []string) error {
		limit := time.Duration(0)
		if *wait && cmd.Flags().Changed("timeout") {
			if limit = where.timeout; limit <= 0 {
				return usage("--timeout %s: a time-out is more than 0", limit)
			}
			where.timeout = adminTimeout
		}
		if err := run(cmd, args); err != nil || !*wait {
			return err
		}
		n, err := parseBackend(args[0])
		if err != nil {
			return err
		}
		a, err := where.admin()
		if err != nil {
			return err
		}
		return a.awaitDrained(cmd.Context(), cmd.OutOrStdout(), n, limit)
	})
	return cmd
}

func newReady() *cobra.Command {
	v := stateVerb{name: "ready", state: "ready", becomes: "is ready",
		short: "Let a backend take flows again",
		long: `Let a backend take flows again that was drained or put into maintenance. Its health check has the last word. Where the
configuration says drain or maintenance, that is overridden.`}
	cmd, _ := v.command()
	return cmd
}

func newMaintenance() *cobra.Command {
	v := stateVerb{name: "maintenance", state: "maintenance", becomes: "is in maintenance",
		short: "Take a backend out of service at once, sessions included",
		long: `Take a backend out of service at once: it gets nothing new, and its sessions go elsewhere. It holds over reloads and
restarts until weir ready, or weir override --clear. weir drain lets its sessions finish.`}
	cmd, _ := v.command()
	return cmd
}

// command is the verb.
func (v stateVerb) command() (*cobra.Command, *locator) {
	cmd := &cobra.Command{
		Use: v.name + " POOL/BACKEND", Short: v.short, Long: v.long,
		Example: "weir " + v.name + " web/b1",
		Args:    oneBackend(),
	}
	where := addLocator(cmd, adminTimeout)
	cmd.ValidArgsFunction = completeFirst(where.backends)
	cmd.RunE = verb(func(cmd *cobra.Command, args []string) error {
		n, err := parseBackend(args[0])
		if err != nil {
			return err
		}
		a, err := where.admin()
		if err != nil {
			return err
		}
		before, changed, err := a.override(cmd.Context(), n, v.edit)
		if err != nil {
			return err
		}
		return v.report(cmd, where, a, n, before, changed)
	})
	return cmd, where
}

// edit wants the state. If the configuration does too, an override of it is taken back, and one is made only
// if the state is another one all the same: an address of a name can inherit that.
func (v stateVerb) edit(b api.BackendObject, o *api.Override) {
	state, _ := configured(b)
	switch {
	case state != v.state:
		o.State = &v.state
	case o.State != nil:
		o.State = nil
	case b.Status != nil && b.Status.State != v.state:
		o.State = &v.state
	}
}

// report says what was done and how to undo it.
func (v stateVerb) report(cmd *cobra.Command, where *locator, a *admin, n backendName, before api.BackendObject, changed bool) error {
	out := cmd.OutOrStdout()
	former, _ := inForceOf(before)
	if !changed || former == v.state {
		_, err := fmt.Fprintf(out, "%s %s already\n", n, v.becomes)
		return err
	}
	after, err := a.backend(cmd.Context(), n)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "%s %s: %s. Undo: %s\n", n, v.becomes, nowOn(after), where.undo(former, n.String())); err != nil {
		return err
	}
	if occupationOf(after).serving && v.state == "drain" {
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "%s goes on taking flows: no other backend of %s can serve\n", n, n.pool)
	}
	return err
}

// occupation is what is on a backend, or on the addresses of one that is a name.
type occupation struct {
	active    int64
	serving   bool // new flows may go to it
	states    []string
	inService bool
}

func occupationOf(b api.BackendObject) (l occupation) {
	list := b.Addresses
	if b.Status != nil {
		list = append(list, *b.Status)
	}
	for _, s := range list {
		l.active, l.serving, l.inService = l.active+s.Active, l.serving || s.Eligible, true
		if !slices.Contains(l.states, s.State) {
			l.states = append(l.states, s.State)
		}
	}
	return l
}

// nowOn is how much a backend is busy with.
func nowOn(b api.BackendObject) string {
	l := occupationOf(b)
	switch {
	case !l.inService:
		return "it is not in service"
	case b.Status == nil:
		return fmt.Sprintf("%s on its addresses (%d)", flows(l.active), len(b.Addresses))
	}
	return fmt.Sprintf("%s on it, %s", flows(l.active), b.Status.Health)
}

// flows counts connections, requests or sessions.
func flows(n int64) string {
	if n == 1 {
		return "1 flow"
	}
	return fmt.Sprintf("%d flows", n)
}

// awaitDrained waits until nothing is left on a backend; limit 0: without bound.
func (a *admin) awaitDrained(ctx context.Context, out io.Writer, n backendName, limit time.Duration) error {
	began, last := time.Now(), int64(-1)
	for {
		b, err := a.backend(ctx, n)
		if err != nil {
			return err
		}
		l := occupationOf(b)
		if l.active == 0 {
			if err := a.awaitFormers(ctx, out, n, began, limit); err != nil {
				return err
			}
			_, err := fmt.Fprintf(out, "%s is drained after %s\n", n, age(time.Since(began)))
			return err
		}
		if !slices.Contains(l.states, "drain") {
			return fmt.Errorf("%s does not drain any more: it is %s, with %s", n, strings.Join(l.states, ", "), flows(l.active))
		}
		if l.active != last {
			last = l.active
			if _, err := fmt.Fprintf(out, "%s: %d left\n", n, last); err != nil {
				return err
			}
		}
		if limit > 0 && time.Since(began) >= limit {
			return fmt.Errorf("%s still has %s after %s; it goes on draining", n, flows(last), age(limit))
		}
		select {
		case <-time.After(drainPause):
		case <-ctx.Done():
			return fmt.Errorf("%s still has %s; it goes on draining", n, flows(last))
		}
	}
}

// awaitFormers waits until processes that an upgrade has replaced have ended: what they have on a backend only
// they know.
func (a *admin) awaitFormers(ctx context.Context, out io.Writer, n backendName, began time.Time, limit time.Duration) error {
	for told := ""; ; {
		var status api.Status
		if _, err := a.get(ctx, "/v1/status", &status); err != nil {
			return err
		}
		line := formerLine(status)
		if line == "" {
			return nil
		}
		if line != told {
			told = line
			if _, err := fmt.Fprintf(out, "%s: 0 left; %s, perhaps to it\n", n, line); err != nil {
				return err
			}
		}
		if limit > 0 && time.Since(began) >= limit {
			return fmt.Errorf("%s after %s, perhaps to %s; it goes on draining", line, age(limit), n)
		}
		select {
		case <-time.After(drainPause):
		case <-ctx.Done():
			return fmt.Errorf("%s, perhaps to %s; it goes on draining", line, n)
		}
	}
}
