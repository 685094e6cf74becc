package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// The forms in which a verb that reads can print.
const (
	formTable = "table"
	formJSON  = "json"
	formYAML  = "yaml"
)

// choice is a flag with a fixed set of words.
type choice struct {
	value string
	words []string
}

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return strings.Join(c.words, "|") }

// Set takes one of the words.
func (c *choice) Set(s string) error {
	if !slices.Contains(c.words, s) {
		return fmt.Errorf("choose one of %s", strings.Join(c.words, ", "))
	}
	c.value = s
	return nil
}

// addChoice adds a flag with a fixed set of words, the first of which is the default.
func addChoice(cmd *cobra.Command, name, short, meaning string, words ...string) *choice {
	c := &choice{value: words[0], words: words}
	cmd.Flags().VarP(c, name, short, meaning)
	if err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic("flag " + name + ": " + err.Error()) // only for a flag that does not exist, or twice
	}
	return c
}

// addOutput adds -o.
func addOutput(cmd *cobra.Command) *choice {
	return addChoice(cmd, "output", "o", "form of the output", formTable, formJSON, formYAML)
}

// writeDocument prints a JSON document as JSON or YAML, with its fields in their order.
func writeDocument(w io.Writer, document []byte, form string) error {
	if form == formYAML {
		text, err := yaml.JSONToYAML(document)
		if err != nil {
			return fmt.Errorf("convert to YAML: %w", err)
		}
		document = text
	}
	_, err := w.Write(document)
	return err
}

// writeTable aligns rows under a heading. Empty cells become a dash, so that columns can be cut.
func writeTable(w io.Writer, heading []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, row := range slices.Concat([][]string{heading}, rows) {
		cells := make([]string, len(row))
		for i, cell := range row {
			// A tab or newline from outside would break the table.
			cells[i] = oneLine(cell)
			if cells[i] == "" {
				cells[i] = "-"
			}
		}
		if _, err := fmt.Fprintln(t, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return t.Flush()
}

// oneLine is a text from outside, without what could move a cursor or break a table.
func oneLine(text string) string {
	return strings.Map(printable, strings.Join(strings.Fields(text), " "))
}

// colourful reports whether w is a terminal whose owner has nothing against colour (no-color.org).
func colourful(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// age is a duration in its two largest units: 12d4h, 3m20s, 850ms.
func age(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "0s"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
}
