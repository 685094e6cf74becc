package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"weir/api"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show the configuration in force, or what a reload would change",
		Long: `Show the configuration in force, or what a reload would change.

weir config show prints everything that is in force, defaults included and secrets masked: what the files say and what was
made through the API. weir config diff compares the files with it, and reads them as a reload does; exit code 1 says
that they are not valid.`,
		Example: "weir config show -o json\nweir config diff",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("say which: show or diff")
			}
			return fmt.Errorf("unknown command %q%s", args[0], didYouMean(args[0], []string{"show", "diff"}))
		},
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	cmd.AddCommand(newConfigShow(), newConfigDiff())
	return cmd
}

func newConfigShow() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show", Short: "Print the configuration in force, defaults included, secrets masked", Args: noArgs,
	}
	where := addLocator(cmd, adminTimeout)
	form := addChoice(cmd, "output", "o", "form of the output", formYAML, formJSON)
	cmd.RunE = verb(func(cmd *cobra.Command, _ []string) error {
		a, err := where.admin()
		if err != nil {
			return err
		}
		var all api.Effective
		if _, err := a.get(cmd.Context(), "/v1/config", &all); err != nil {
			return err
		}
		document, err := json.MarshalIndent(all.Config, "", "  ")
		if err != nil {
			return err
		}
		return writeDocument(cmd.OutOrStdout(), append(document, '\n'), form.value)
	})
	return cmd
}

func newConfigDiff() *cobra.Command {
	cmd := &cobra.Command{Use: "diff", Short: "Show what a reload would change", Args: noArgs}
	where, form := addLocator(cmd, adminTimeout), addOutput(cmd)
	cmd.RunE = verb(func(cmd *cobra.Command, _ []string) error {
		a, err := where.admin()
		if err != nil {
			return err
		}
		var d api.Difference
		document, err := a.get(cmd.Context(), "/v1/diff", &d)
		if err != nil {
			return err
		}
		if form.value != formTable {
			if err := writeDocument(cmd.OutOrStdout(), document, form.value); err != nil {
				return err
			}
		} else if err := writeDifference(cmd.OutOrStdout(), cmd.ErrOrStderr(), d); err != nil {
			return err
		}
		if !d.Valid {
			return &failure{exitInvalid, nil}
		}
		return nil
	})
	return cmd
}

// writeDifference prints the changes, and the faults where errors go.
func writeDifference(out, faults io.Writer, d api.Difference) error {
	for _, f := range d.Diagnostics {
		if _, err := fmt.Fprintln(faults, diagnosticLine(f)); err != nil {
			return err
		}
	}
	if err := writeChanges(out, d.Changes); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, d.Summary)
	return err
}

// diagnosticLine is file:line:column: severity: message; hint.
func diagnosticLine(d api.Diagnostic) string {
	var line strings.Builder
	if d.File != "" {
		line.WriteString(d.File)
		if d.Line > 0 {
			fmt.Fprintf(&line, ":%d:%d", d.Line, d.Column)
		}
		line.WriteString(": ")
	}
	line.WriteString(d.Severity + ": " + d.Message)
	if d.Hint != "" {
		line.WriteString("; " + d.Hint)
	}
	return line.String()
}

// changeSigns are the first characters of the lines of changes.
var changeSigns = map[string]string{"added": "+", "removed": "-", "changed": "~"}

// writeChanges prints a line for each change: + what is added, - what is removed, ~ what is otherwise.
func writeChanges(out io.Writer, changes []api.Change) error {
	for _, c := range changes {
		name := c.Kind + " " + c.Name
		if c.Field != "" {
			name += " " + c.Field
		}
		values := ""
		switch before, after := valueText(c.Before), valueText(c.After); c.Action {
		case "added":
			values = after
		case "removed":
			values = before
		default:
			values = orDash(before) + " → " + orDash(after)
		}
		if _, err := fmt.Fprintln(out, strings.TrimRight(changeSigns[c.Action]+" "+name+"  "+values, " ")); err != nil {
			return err
		}
	}
	return nil
}

// valueText is a value of the configuration in one line, not too long.
func valueText(raw json.RawMessage) string {
	const most = 100
	text := string(raw)
	var word string
	if json.Unmarshal(raw, &word) == nil {
		text = word
	}
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return text
}
