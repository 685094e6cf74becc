package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"weir/api"
)

// healthPause is between two questions of `weir health --wait`.
const healthPause = 100 * time.Millisecond

func newHealth() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a running weir whether it is ready: exit 0 ready, 1 not ready, 2 draining",
		Long: `Ask a running weir whether traffic should be sent to it, as /readyz does, and print the conditions
that do not hold. Exit codes: 0 ready, 1 not ready, 2 draining (or a wrong command line), 3 no weir there,
or none that answers. It is made for container health checks; with --wait, for scripts that start weir.`,
		Example: "weir health -c weir.yaml --wait 10s",
		Args:    noArgs,
	}
	where := addLocator(cmd, healthTimeout)
	wait := cmd.Flags().Duration("wait", 0, "ask again until it is ready, for at most this time (0: ask once)")
	cmd.RunE = verb(func(cmd *cobra.Command, _ []string) error {
		if *wait < 0 {
			return usage("--wait %s: a time is 0 or more", *wait)
		}
		a, err := where.admin()
		if err != nil {
			return err
		}
		readiness, err := a.readiness(cmd.Context(), *wait)
		if err != nil {
			return err
		}
		return printReadiness(cmd.OutOrStdout(), readiness)
	})
	return cmd
}

// readiness asks until the daemon is ready or wait is over, and returns the last answer.
func (a *admin) readiness(ctx context.Context, wait time.Duration) (readiness api.Readiness, err error) {
	end := time.Now().Add(wait)
	for {
		readiness = api.Readiness{}
		_, err = a.get(ctx, "/readyz", &readiness, http.StatusServiceUnavailable)
		if err != nil && !isFailure(err) {
			// Exit code 1 says that weir is not ready, which is not known.
			err = &failure{exitUnreachable, err}
		}
		if err == nil && readiness.Ready || time.Until(end) < healthPause {
			return readiness, err
		}
		select {
		case <-time.After(healthPause):
		case <-ctx.Done():
			return readiness, err
		}
	}
}

// printReadiness prints the verdict, a line per missing condition, and gives the exit code, which holds
// even if printing fails.
func printReadiness(out io.Writer, readiness api.Readiness) error {
	word, code := "not ready", exitInvalid
	switch {
	case readiness.Ready:
		word, code = "ready", 0
	case readiness.Draining:
		word, code = "draining", exitUsage
	}
	text := word + "\n"
	for _, c := range readiness.Checks {
		if !c.OK {
			text += fmt.Sprintf("  %s: %s\n", c.Name, c.Detail)
		}
	}
	if _, err := io.WriteString(out, text); err != nil || code != 0 {
		return &failure{code, err}
	}
	return nil
}
