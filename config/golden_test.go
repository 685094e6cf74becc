package config

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite golden files")

// golden compares got with a file in the repository.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (run with -update and read the diff)\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// testEnviron is the environment of the golden tests.
func testEnviron(name string) (string, bool) {
	v, ok := map[string]string{"PORT": "8080x", "EMPTY": "", "WEIGHT": "3"}[name]
	return v, ok
}

func TestBadConfigurations(t *testing.T) {
	var files []string
	for _, pattern := range []string{"testdata/bad/*.yaml", "testdata/bad/*.json"} {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, matches...)
	}
	if len(files) < 40 {
		t.Fatalf("%d files, want at least 40", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c, report := Load(file, Environ(testEnviron))
			var b bytes.Buffer
			if err := report.Text(&b, false); err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(file, filepath.Ext(file))+".golden", b.Bytes())
			if warnings := strings.HasSuffix(file, "warnings.yaml"); (c != nil) != warnings || (report.Err() == nil) != warnings {
				t.Errorf("loads: %v, error: %v", c != nil, report.Err())
			}
			wellFormed(t, report)
		})
	}
}

// wellFormed wants a place, a path and a remedy in every diagnostic.
func wellFormed(t *testing.T, report Report) {
	t.Helper()
	for _, d := range report.Diagnostics {
		if d.Line < 1 || d.Column < 1 || d.Width < 1 || d.File == "" {
			t.Errorf("%q has no place: %+v", d.Message, d.Place)
		}
		if d.Column > len([]rune(d.Excerpt))+1 {
			t.Errorf("%q: column %d is outside of %q", d.Message, d.Column, d.Excerpt)
		}
		if d.Hint == "" || d.Message == "" {
			t.Errorf("%q has no remedy", d.Message)
		}
		if d.Path != "" && !strings.Contains(d.Message, "key") && !strings.Contains(d.Message, "name") &&
			!strings.Contains(d.Message, strings.SplitN(d.Path, "[", 2)[0]) && !strings.Contains(d.Message, "bind") && !strings.Contains(d.Message, "listener") && !strings.Contains(d.Message, "pools.") {
			t.Errorf("%q does not name its path %s", d.Message, d.Path)
		}
	}
}
