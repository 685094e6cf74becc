package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"weir/api"
)

func newReload() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Make a running weir read its configuration again",
		Long: `Make a running weir read its configuration again, wait for the outcome and print it. An invalid
configuration changes nothing: exit code 4, and the reasons on standard error.`,
		Args: noArgs,
	}
	where := addLocator(cmd, adminTimeout)
	cmd.RunE = verb(func(cmd *cobra.Command, _ []string) error {
		a, err := where.admin()
		if err != nil {
			return err
		}
		began := time.Now()
		_, body, err := a.do(cmd.Context(), http.MethodPost, "/v1/reload")
		if err != nil {
			return err
		}
		var done api.Changed
		if err := json.Unmarshal(body, &done); err != nil {
			return fmt.Errorf("answer of %s: %w", a.socket, err)
		}
		for _, w := range done.Warnings {
			fmt.Fprintln(cmd.ErrOrStderr(), w)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "reloaded generation %d in %s: %s\n",
			done.Generation, age(time.Since(began)), done.Summary)
		return err
	})
	return cmd
}
