package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/api"
)

func newStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [POOL | POOL/BACKEND]",
		Short: "Show listeners, pools and backends of a running weir, with the reason for each state",
		Long: `Show listeners, pools and backends of a running weir, with the reason for each state.
WEIGHT shows effective/configured while they differ; STATE ends in * when an operator's override is in force;
ACTIVE shows the limit of a backend that has one, and QUEUED who waits because all have reached theirs. A listener
that was removed is shown with the connections that it has left.
With POOL it shows that pool, with POOL/BACKEND that backend, its override and its last probes with what came back.
The forms json and yaml are the document of GET /v1/status, or of the backend.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%s takes one pool or backend (found %d words)", cmd.CommandPath(), len(args))
			}
			return nil
		},
	}
	where, form := addLocator(cmd, adminTimeout), addOutput(cmd)
	cmd.ValidArgsFunction = completeFirst(where.backends)
	cmd.RunE = verb(func(cmd *cobra.Command, args []string) error {
		a, err := where.admin()
		if err != nil {
			return err
		}
		if len(args) == 1 && strings.Contains(args[0], "/") {
			n, err := parseBackend(args[0])
			if err != nil {
				return err
			}
			return a.showBackend(cmd, n, form.value)
		}
		var status api.Status
		document, err := a.get(cmd.Context(), "/v1/status", &status)
		if err != nil {
			return err
		}
		if form.value != formTable && len(args) == 0 {
			return writeDocument(cmd.OutOrStdout(), document, form.value)
		}
		if len(args) == 1 {
			if err := narrow(&status, args[0]); err != nil {
				return err
			}
		}
		if form.value != formTable {
			document, err := json.MarshalIndent(status, "", "  ")
			if err != nil {
				return err
			}
			return writeDocument(cmd.OutOrStdout(), append(document, '\n'), form.value)
		}
		return writeStatus(cmd.OutOrStdout(), status, time.Now())
	})
	return cmd
}

// writeStatus prints the tables.
func writeStatus(w io.Writer, status api.Status, now time.Time) error {
	word := "ready"
	switch {
	case status.Draining:
		word = "draining"
	case !status.Ready:
		word = "NOT READY (weir health says why)"
	}
	uptime := time.Duration(status.UptimeSeconds * float64(time.Second))
	former := formerLine(status)
	if former != "" {
		former += ", which are not shown here\n"
	}
	if _, err := fmt.Fprintf(w, "weir %s, pid %d, up %s, generation %d, %s\n%s\n",
		status.Version, status.PID, age(uptime), status.Generation, word, former); err != nil {
		return err
	}
	if err := writeTable(w, []string{"LISTENER", "PROTOCOL", "ADDRESS", "POOL", "CONNECTIONS"}, listenerRows(status)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	if err := writeTable(w, []string{"POOL", "PROTOCOL", "ALGORITHM", "UP", "QUEUED", "SERVED BY"}, poolRows(status)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return writeTable(w, backendHeading, backendRows(status, now))
}

// backendHeading is that of backendRows.
var backendHeading = []string{"BACKEND", "ADDRESS", "HEALTH", "SINCE", "STATE", "WEIGHT", "ACTIVE", "PICKS", "REASON"}

func listenerRows(status api.Status) (rows [][]string) {
	for _, l := range status.Listeners {
		rows = append(rows, []string{l.Name, l.Protocol, strings.Join(l.Addresses, ","), l.Pool,
			strconv.FormatInt(l.ConnectionsActive, 10)})
	}
	for _, l := range status.Leaving {
		rows = append(rows, []string{l.Name, l.Protocol, "removed", l.Pool, strconv.FormatInt(l.ConnectionsActive, 10)})
	}
	return rows
}

func poolRows(status api.Status) (rows [][]string) {
	for _, p := range status.Pools {
		rows = append(rows, []string{p.Name, p.Protocol, p.Algorithm, fmt.Sprintf("%d/%d", p.Up, len(p.Backends)),
			strconv.FormatInt(p.Queued, 10), p.Tier})
	}
	return rows
}

func backendRows(status api.Status, now time.Time) (rows [][]string) {
	for _, p := range status.Pools {
		for _, b := range p.Backends {
			rows = append(rows, []string{p.Name + "/" + b.Name, b.Address, b.Health, age(now.Sub(b.Since)), stateCell(b),
				weightCell(b), activeCell(b), strconv.FormatUint(b.Picks, 10), b.Reason})
		}
		rows = append(rows, nameRows(p, now)...)
	}
	return rows
}

// activeCell is what a backend is busy with, and the most that it may be.
func activeCell(b api.BackendStatus) string {
	if b.MaxConnections == 0 {
		return strconv.FormatInt(b.Active, 10)
	}
	return fmt.Sprintf("%d/%d", b.Active, b.MaxConnections)
}

// stateCell is what the operator wants of a backend.
func stateCell(b api.BackendStatus) string {
	cell := b.State
	if b.Backup {
		cell += ",backup"
	}
	if b.Ejection != nil {
		cell += ",ejected"
	}
	if b.Overridden {
		cell += "*"
	}
	return cell
}

// weightCell shows both weights while they differ.
func weightCell(b api.BackendStatus) string {
	if b.EffectiveWeight == float64(b.Weight) {
		return strconv.Itoa(b.Weight)
	}
	tenths := math.Round(b.EffectiveWeight*10) / 10
	return strconv.FormatFloat(tenths, 'f', -1, 64) + "/" + strconv.Itoa(b.Weight)
}
