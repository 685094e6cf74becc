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

// TestBadConfigurations loads broken files: those of bad with the features of this version, those
// of features with all of them.
func TestBadConfigurations(t *testing.T) {
	for _, dir := range []struct {
		name  string
		on    features
		least int
	}{{"bad", built, 40}, {"features", every(), 20}} {
		var files []string
		for _, pattern := range []string{"/*.yaml", "/*.json"} {
			matches, err := filepath.Glob("testdata/" + dir.name + pattern)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, matches...)
		}
		if len(files) < dir.least {
			t.Fatalf("%d files in %s, want at least %d", len(files), dir.name, dir.least)
		}
		for _, file := range files {
			t.Run(dir.name+"/"+filepath.Base(file), func(t *testing.T) { badConfiguration(t, file, dir.on) })
		}
	}
}

// badConfiguration compares the report about a file with the golden one.
func badConfiguration(t *testing.T, file string, on features) {
	c, report := Load(file, Environ(testEnviron), withFeatures(on))
	var b bytes.Buffer
	if err := report.Text(&b, false); err != nil {
		t.Fatal(err)
	}
	golden(t, strings.TrimSuffix(file, filepath.Ext(file))+".golden", b.Bytes())
	if warnings := strings.HasSuffix(file, "warnings.yaml"); (c != nil) != warnings || (report.Err() == nil) != warnings {
		t.Errorf("loads: %v, error: %v", c != nil, report.Err())
	}
	wellFormed(t, report)
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
