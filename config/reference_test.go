package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReference(t *testing.T) {
	golden(t, "../docs/config.md", Reference())
}

// TestReferenceExamples loads every example of the reference page.
func TestReferenceExamples(t *testing.T) {
	parts := strings.Split(string(Reference()), "```yaml\n")
	if len(parts) != 3 {
		t.Fatalf("%d examples, want 2", len(parts)-1)
	}
	for _, part := range parts[1:] {
		text, _, closed := strings.Cut(part, "```")
		if !closed {
			t.Fatal("an example is not closed")
		}
		mustLoad(t, text)
	}
}

func TestReferenceNamesEveryKey(t *testing.T) {
	for _, root := range []*key{vocabulary(), vocabularyOf(every())} {
		page := string(referenceFor(root))
		for path, k := range allKeys(root) {
			switch {
			case k.name == "*" || k.name == "[]" || k.parent.planned:
			case k.planned && !strings.Contains(page, "| `"+display(path)+"` | "):
				t.Errorf("%s is not listed as planned", path)
			case !k.planned && !strings.Contains(page, "| `"+k.name+"` | "):
				t.Errorf("%s is not described", path)
			}
		}
	}
}

func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../examples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 3 {
		t.Fatalf("%d examples, want at least 3", len(files))
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c := mustLoad(t, string(data), Environ(func(string) (string, bool) { return "", false }))
		if len(c.Listeners) == 0 || len(c.Pools) == 0 {
			t.Errorf("%s has nothing to run", file)
		}
	}
}
