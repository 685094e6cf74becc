package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"weir/config"
	"weir/proxy/route"
)

// The forms in which check reports.
const (
	checkText   = "text"
	checkJSON   = "json"
	checkGitHub = "github"
)

func newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Check a configuration and report everything that is wrong with it",
		Long: `Check a configuration and report everything that is wrong with it, with place and remedy. It reads the
file, its includes and the files of ${file:…}; it binds, resolves and writes nothing, so it can run
anywhere. Exit codes: 0 valid (perhaps with warnings), 1 not valid, 2 usage.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("name one file to check (found %d)", len(args))
			}
			return nil
		},
	}
	files := cmd.Flags().Bool("files", false, "load certificates, keys and CAs as well, as a start does, and look whether state_dir can be used")
	routes := cmd.Flags().Bool("routes", false, "also print the routes of each listener in the order in which they are tried")
	form := addChoice(cmd, "format", "", "form of the report; github: annotations of a workflow", checkText, checkJSON, checkGitHub)
	cmd.RunE = verb(func(cmd *cobra.Command, args []string) error {
		var options []config.Option
		if *files {
			options = append(options, config.CheckFiles())
		}
		c, report := config.Load(args[0], options...)
		if err := writeReport(cmd, report, form.value); err != nil {
			return err
		}
		if *routes && c != nil && form.value == checkText {
			printRoutes(cmd.OutOrStdout(), c)
		}
		if report.Errors() > 0 {
			return &failure{exitInvalid, nil}
		}
		return nil
	})
	return cmd
}

// printRoutes prints where the requests of each listener go; the first line that matches decides.
func printRoutes(out io.Writer, c *config.Config) {
	for _, name := range slices.Sorted(maps.Keys(c.Listeners)) {
		fmt.Fprintf(out, "\nlistener %s\n", name)
		for i, line := range route.Describe(c.Listeners[name]) {
			fmt.Fprintf(out, "%4d  %s\n", i+1, line)
		}
	}
}

// writeReport prints a report. Text about an invalid file is an error message, so it goes to standard
// error; the forms for programs are the result and always go to standard output.
func writeReport(cmd *cobra.Command, report config.Report, form string) error {
	out := cmd.OutOrStdout()
	switch form {
	case checkJSON:
		return report.JSON(out)
	case checkGitHub:
		return report.GitHub(out)
	}
	if report.Errors() > 0 {
		out = cmd.ErrOrStderr()
	}
	return report.Text(out, colourful(out))
}
