package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"weir/api"
)

// upgradeMargin is what the answer to an upgrade may take beyond the time of the new process.
const upgradeMargin = 15 * time.Second

func newUpgrade() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Put the binary that is installed in the place of the process that runs",
		Long: `Put the binary that is installed in the place of the process that runs, without a client noticing.

The running weir starts the program at its own path anew, with the same arguments and environment, and
hands over its sockets, the sessions of UDP, and what it knows of backends and clients. It then lets its own
connections come to their end, and ends. If the new process does not come into service within --timeout, for
whatever reason, nothing has changed: exit code 4, and the reason on standard error. SIGUSR2 does the same.`,
		Args: noArgs,
	}
	where := addLocator(cmd, api.DefaultUpgradeTime)
	cmd.RunE = verb(func(cmd *cobra.Command, _ []string) error {
		within := where.timeout
		where.timeout += upgradeMargin
		a, err := where.admin()
		if err != nil {
			return err
		}
		_, body, err := a.do(cmd.Context(), http.MethodPost, "/v1/upgrade?within="+url.QueryEscape(within.String()))
		if err != nil {
			return err
		}
		var done api.Upgraded
		if err := json.Unmarshal(body, &done); err != nil {
			return fmt.Errorf("answer of %s: %w", a.socket, err)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), upgraded(done))
		return err
	})
	return cmd
}

// upgraded says in a line what an upgrade has led to.
func upgraded(u api.Upgraded) string {
	line := fmt.Sprintf("pid %d → pid %d in %.0f ms, %s draining", u.OldPID, u.NewPID, u.TookMS, plural(u.Connections, "connection"))
	if u.OldVersion != u.NewVersion {
		line = fmt.Sprintf("weir %s → %s: %s", u.OldVersion, u.NewVersion, line)
	}
	return line
}
