package config

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// sample is a report with an error, a warning and a problem of a whole file.
func sample(t *testing.T) Report {
	t.Helper()
	_, report := LoadBytes("dir/weir.yaml", []byte("admin: { listen: \":9091\" }\nlisteners:\n  web: { protocol: http, address: \":80\", pool: \"a%b\" }\npools: { app: { backends: [\"10.0.0.1:80\"] } }\ninclude: none.yaml\n"))
	if report.Errors() != 1 || report.Warnings() != 1 {
		t.Fatalf("got %v", report.Diagnostics)
	}
	return report
}

func TestReportJSON(t *testing.T) {
	var b strings.Builder
	if err := sample(t).JSON(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/report.json", []byte(b.String()))
	var back struct {
		Valid       bool
		Errors      int
		Diagnostics []Diagnostic
	}
	if err := json.Unmarshal([]byte(b.String()), &back); err != nil {
		t.Fatal(err)
	}
	if back.Valid || back.Errors != 1 || len(back.Diagnostics) != 2 || back.Diagnostics[0].Line != 1 {
		t.Errorf("got %+v", back)
	}
	b.Reset()
	if err := (Report{Name: "x"}).JSON(&b); err != nil || !strings.Contains(b.String(), `"diagnostics": []`) {
		t.Errorf("an empty report: %v %s", err, b.String())
	}
}

func TestReportGitHub(t *testing.T) {
	var b strings.Builder
	report := sample(t)
	report.Diagnostics = append(report.Diagnostics, Diagnostic{
		Severity: Error, Place: Place{File: "a,b:c%.yaml"}, Message: "100% wrong\r\nreally", Hint: "x",
	})
	if err := report.GitHub(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/report.github", []byte(b.String()))
	if lines := strings.Count(b.String(), "\n"); lines != 3 {
		t.Errorf("%d lines, want one for each of 3 problems", lines)
	}
}

func TestReportText(t *testing.T) {
	var plain, colour strings.Builder
	report := sample(t)
	if err := errors.Join(report.Text(&plain, false), report.Text(&colour, true)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") {
		t.Error("colours in plain text")
	}
	stripped := colour.String()
	for _, code := range []string{red, yellow, cyan, bold, reset} {
		if !strings.Contains(stripped, code) {
			t.Errorf("no %q in coloured text", code)
		}
		stripped = strings.ReplaceAll(stripped, code, "")
	}
	if stripped != plain.String() {
		t.Errorf("colours change the text:\n%s", stripped)
	}
	if !strings.HasSuffix(plain.String(), "dir/weir.yaml is not valid: 1 error, 1 warning.\n") {
		t.Errorf("the verdict is not last: %s", plain.String())
	}
}

// TestReportIsSafeForTerminals puts control characters where they can get into a report.
func TestReportIsSafeForTerminals(t *testing.T) {
	text := "listeners: { \"a\\e[31mb\\u009b\": 1, web: { protocol: \"\\e]0;x\\a\", address: \"${X}\", pool: app } }\n" + appPool
	_, report := LoadBytes("x.yaml", []byte(text), Environ(func(string) (string, bool) { return "\x1b[2J\u009b:80", true }))
	var b strings.Builder
	if err := report.Text(&b, false); err != nil {
		t.Fatal(err)
	}
	if report.Errors() < 3 || strings.ContainsAny(b.String(), "\x1b\x07\u009b") {
		t.Errorf("got %q", b.String())
	}
}

func TestWindow(t *testing.T) {
	long := strings.Repeat("x", 300)
	tests := []struct {
		name   string
		at     Place
		column int
		width  int
		chars  int
	}{
		{"short", Place{Column: 3, Width: 2, Excerpt: "abcdef"}, 3, 2, 6},
		{"end", Place{Column: 7, Width: 1, Excerpt: "abcdef"}, 7, 1, 6},
		{"empty", Place{Column: 1, Width: 1}, 1, 1, 0},
		{"long, at the start", Place{Column: 5, Width: 3, Excerpt: long}, 5, 3, 101},
		{"long, in the middle", Place{Column: 150, Width: 3, Excerpt: long}, 52, 3, 102},
		{"long, at the end", Place{Column: 300, Width: 1, Excerpt: long}, 101, 1, 101},
		{"wider than the line", Place{Column: 2, Width: 50, Excerpt: "abc"}, 2, 2, 3},
	}
	for _, tt := range tests {
		line, column, width := window(tt.at)
		if column != tt.column || width != tt.width || len([]rune(line)) != tt.chars {
			t.Errorf("%s: got column %d, width %d, %d characters; want %d, %d, %d", tt.name, column, width, len([]rune(line)), tt.column, tt.width, tt.chars)
		}
	}
}

func TestErrNamesEveryError(t *testing.T) {
	_, report := LoadBytes("x.yaml", []byte("a: 1\nb: 2\n"))
	err := report.Err()
	if !errors.Is(err, ErrInvalid) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"x.yaml:1:1: unknown key \"a\"", "x.yaml:2:1: unknown key \"b\"", "x.yaml is not valid: 2 errors, 0 warnings."} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
}
