package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "rewrite golden files and generated pages")

// golden compares got with a file.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is out of date, run 'make docs'; got:\n%s", path, got)
	}
}

// TestCLIReference keeps docs/cli.md equal to what the verbs say of themselves.
func TestCLIReference(t *testing.T) {
	golden(t, filepath.Join("..", "..", "docs", "cli.md"), cliReference(newRoot()))
}

// TestEveryVerbIsDescribed: a verb without words would leave a hole in the page.
func TestEveryVerbIsDescribed(t *testing.T) {
	all := newRoot().Commands()
	for _, cmd := range slices.Clone(all) {
		all = append(all, cmd.Commands()...)
	}
	for _, cmd := range all {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: the short description is %q, want words without a full stop", cmd.Name(), cmd.Short)
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s has no description", cmd.Name(), f.Name)
			}
		})
	}
}

// cliReference is the page about the command line.
func cliReference(root *cobra.Command) []byte {
	var page bytes.Buffer
	page.WriteString("# Command line\n\n<!-- Made by `make docs` from the program itself; edit cmd/weir instead. -->\n\n")
	page.WriteString(root.Long + "\n\n| verb | |\n|---|---|\n")
	verbs := root.Commands()
	for _, cmd := range verbs {
		fmt.Fprintf(&page, "| [`%s`](#weir-%s) | %s |\n", cmd.Name(), cmd.Name(), cell(cmd.Short))
	}
	page.WriteString(`
## Conventions

- Results go to standard output, everything else to standard error. Colour is used on a terminal only, and not if ` + "`NO_COLOR`" + ` is set.
- Verbs that ask a running weir find it by ` + "`--socket`" + `, or by the configuration of ` + "`-c`" + `, else at ` + "`" + defaultSocket + "`" + `.
  Of that configuration nothing but ` + "`admin.socket`" + ` needs to be valid. They wait for an answer as long as ` + "`--timeout`" + ` says.
- ` + "`-o json`" + ` is stable: fields are added, not renamed or removed.

| exit code | meaning |
|---|---|
| 0 | fine |
| 1 | a configuration is not valid, weir is not ready, or the work went wrong |
| 2 | the command line is wrong; of ` + "`weir health`" + `: draining |
| 3 | no weir could be reached |
| 4 | weir refused |
`)
	for _, cmd := range verbs {
		writeVerb(&page, cmd)
		for _, sub := range cmd.Commands() {
			writeVerb(&page, sub)
		}
	}
	return page.Bytes()
}

func writeVerb(page *bytes.Buffer, cmd *cobra.Command) {
	fmt.Fprintf(page, "\n## %s\n\n", cmd.CommandPath())
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	fmt.Fprintf(page, "%s\n\n```\n%s\n```\n", text, cmd.UseLine())
	if cmd.Example != "" {
		fmt.Fprintf(page, "\n```console\n%s\n```\n", cmd.Example)
	}
	if !cmd.LocalFlags().HasAvailableFlags() {
		return
	}
	page.WriteString("\n| flag | default | |\n|---|---|---|\n")
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		value := ""
		if f.DefValue != "" && f.DefValue != "[]" {
			value = "`" + f.DefValue + "`"
		}
		fmt.Fprintf(page, "| %s %s | %s | %s |\n", name, cell(f.Value.Type()), value, cell(f.Usage))
	})
}

// cell makes a text fit for a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
