package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// FuzzLoad looks for panics, for problems without a place or a remedy, and for configurations that
// load in two ways.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml", "testdata/bad/*.json", "testdata/features/*.yaml", "testdata/good/*.yaml", "../examples/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(strings.ReplaceAll(string(data), "include", "x-include"))
		}
	}
	f.Add("a: &a [*a]\n? [x]\n: {<<: 3}\n--- |\n x\n")
	environ := Environ(func(name string) (string, bool) { return "value", name == "SET" })
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "include") || strings.Contains(text, "file:") {
			t.Skip("would read files of this machine")
		}
		start := time.Now()
		c, report := LoadBytes("x.yaml", []byte(text), environ, withFeatures(every()))
		if took := time.Since(start); took > hostileBound {
			t.Errorf("%d bytes took %v", len(text), took)
		}
		again, second := LoadBytes("x.yaml", []byte(text), environ, withFeatures(every()))
		if !reflect.DeepEqual(report, second) || !reflect.DeepEqual(bare(c), bare(again)) {
			t.Error("it loads in two ways")
		}
		if (c == nil) != (report.Errors() > 0) {
			t.Errorf("a configuration: %v, errors: %d", c != nil, report.Errors())
		}
		wellFormed(t, report)
		var b strings.Builder
		if err := report.Text(&b, false); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(b.String(), "\n") || strings.Contains(b.String(), "\x1b") {
			t.Errorf("the report is %q", b.String())
		}
	})
}

// bare is c without what it was made of, which has pointers to itself.
func bare(c *Config) *Config {
	if c == nil {
		return nil
	}
	s := *c
	s.made = nil
	return &s
}
