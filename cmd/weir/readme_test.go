package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"weir/config"
)

// TestReadme holds the README against the program: its configurations load without a remark, and the verbs
// that it lists are those that there are.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile(readmeFile())
	if err != nil {
		t.Fatal(err)
	}
	readme := string(text)
	blocks := regexp.MustCompile("(?s)(?:```yaml\n|<<'EOF'\n)(.*?)(?:```|EOF)").FindAllStringSubmatch(readme, -1)
	if len(blocks) < 2 {
		t.Fatalf("found %d configurations, want 2", len(blocks))
	}
	for _, b := range blocks {
		_, report := config.LoadBytes("README.md", []byte(b[1]))
		for _, d := range report.Diagnostics {
			t.Errorf("%s: %s in\n%s", d.Message, d.Hint, b[1])
		}
	}

	listed := regexp.MustCompile("\\| Command line \\| `([a-z ]+)` \\| `([a-z ]+)` \\|").FindStringSubmatch(readme)
	if listed == nil {
		t.Fatal("found no list of verbs")
	}
	root := newRoot()
	for _, name := range strings.Fields(listed[1]) {
		if !has(root, name) {
			t.Errorf("the README lists %q as working", name)
		}
	}
	for _, name := range strings.Fields(listed[2]) {
		if has(root, name) {
			t.Errorf("the README lists %q as missing", name)
		}
	}
	for _, cmd := range root.Commands() {
		if !cmd.Hidden && !strings.Contains(" "+listed[1]+" ", " "+cmd.Name()+" ") {
			t.Errorf("the README does not list %q", cmd.Name())
		}
	}
}

func has(root *cobra.Command, name string) bool {
	cmd, _, err := root.Find([]string{name})
	return err == nil && cmd.Name() == name
}
