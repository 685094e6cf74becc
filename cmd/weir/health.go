package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"weir/api"
)

func newHealth() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a running weir whether it is ready: exit 0 ready, 1 not ready, 2 draining",
		Long: `Ask a running weir whether traffic should be sent to it, as /readyz does, and print the conditions
that do not hold. Exit codes: 0 ready, 1 not ready, 2 draining, 3 no weir there.
It is made for container health checks.`,
		Args: noArgs,
	}
	where := addLocator(cmd)
	cmd.RunE = verb(func(cmd *cobra.Command, _ []string) error {
		a, err := where.admin(cmd)
		if err != nil {
			return err
		}
		var readiness api.Readiness
		if _, err := a.get(cmd.Context(), "/readyz", &readiness, http.StatusServiceUnavailable); err != nil {
			return err
		}
		return printReadiness(cmd.OutOrStdout(), readiness)
	})
	return cmd
}

// printReadiness prints the verdict, a line per missing condition, and gives the exit code.
func printReadiness(out io.Writer, readiness api.Readiness) error {
	word, code := "not ready", exitInvalid
	switch {
	case readiness.Ready:
		word, code = "ready", 0
	case readiness.Draining:
		word, code = "draining", exitUsage
	}
	if _, err := fmt.Fprintln(out, word); err != nil {
		return err
	}
	for _, c := range readiness.Checks {
		if c.OK {
			continue
		}
		if _, err := fmt.Fprintf(out, "  %s: %s\n", c.Name, c.Detail); err != nil {
			return err
		}
	}
	if code == 0 {
		return nil
	}
	return &failure{code, nil}
}
