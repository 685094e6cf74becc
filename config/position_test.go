package config

import (
	"strings"
	"testing"
)

// TestPositions marks in each text what its only diagnostic must mark.
func TestPositions(t *testing.T) {
	const listener = "listeners: { web: { protocol: http, address: \":80\", pool: app } }\n"
	tests := []struct{ name, text string }{
		{"block key", listener + "pools:\n  app:\n    «algo»: x\n    backends: [\"10.0.0.1:80\"]\n"},
		{"block value", listener + "pools:\n  app:\n    algorithm: «x»\n    backends: [\"10.0.0.1:80\"]\n"},
		{"flow value", listener + "pools: { app: { algorithm: «x», backends: [\"10.0.0.1:80\"] } }\n"},
		{"double quotes", listener + "pools: { app: { algorithm: «\"x\"», backends: [\"10.0.0.1:80\"] } }\n"},
		{"single quotes", listener + "pools: { app: { algorithm: «'x'», backends: [\"10.0.0.1:80\"] } }\n"},
		{"after other letters", listener + "pools: { app: { health_check: { protocol: http, host: \"\", body: \"äöü→\", rise: «0» }, backends: [\"10.0.0.1:80\"] } }\n"},
		{"after a literal block", listener + "pools:\n  app:\n    health_check:\n      protocol: http\n      body: |\n        one\n\n        two\n      rise: «0»\n    backends: [\"10.0.0.1:80\"]\n"},
		{"after a folded block", listener + "pools:\n  app:\n    health_check:\n      protocol: http\n      body: >-\n        one\n        two\n\n      rise: «0»\n    backends: [\"10.0.0.1:80\"]\n"},
		{"after a folded text", listener + "pools:\n  app:\n    health_check:\n      protocol: http\n      body: 'one\n        two'\n      rise: «0»\n    backends: [\"10.0.0.1:80\"]\n"},
		{"folded text of other letters", listener + "pools:\n  app:\n    health_check:\n      protocol: http\n      method: «\"äöü»\n        two three four\"\n    backends: [\"10.0.0.1:80\"]\n"},
		{"after comments", "# one\n\n" + listener + "# two\npools: # three\n  # four\n  app:\n    min_healthy: «-1» # five\n    backends: [\"10.0.0.1:80\"]\n"},
		{"list item", listener + "pools:\n  app:\n    backends:\n      - 10.0.0.1:80\n      - «x»\n"},
		{"compact list", listener + "pools:\n  app:\n    backends:\n    - 10.0.0.1:80\n    - «10.0.0.1»\n"},
		{"carriage returns", strings.ReplaceAll(listener+"pools:\n  app:\n    min_healthy: «-1»\n    backends: [\"10.0.0.1:80\"]\n", "\n", "\r\n")},
		{"byte order mark", "\ufeff" + "«x»: 1\n" + listener + "pools: { app: { backends: [\"10.0.0.1:80\"] } }\n"},
		{"document start", "---\n" + listener + "pools: { app: { «x»: 1, backends: [\"10.0.0.1:80\"] } }\n"},
		{"alias", listener + "pools:\n  app: &app\n    min_healthy: «-1»\n    backends: [\"10.0.0.1:80\"]\n"},
		{"explicit key", listener + "pools:\n  app:\n    ? min_healthy\n    : «-1»\n    backends: [\"10.0.0.1:80\"]\n"},
		{"JSON", "{\"listeners\": {\"web\": {\"protocol\": \"http\", \"address\": \":80\", \"pool\": \"app\"}},\n\t\"pools\": {\"app\": {\"backends\": [\"10.0.0.1:80\"], «\"x\"»: 1}}}"},
		{"last line", listener + "pools: { app: { backends: [\"10.0.0.1:80\"] } }\n«x»: 1"},
		{"end of file", listener + "pools:\n  app: { backends: [\"10.0.0.1:80\"] }\n«log»:"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text, line, column, width := unmark(t, tt.text)
			_, report := LoadBytes("x.yaml", []byte(text))
			if len(report.Diagnostics) != 1 {
				t.Fatalf("got %d diagnostics, want 1: %v", len(report.Diagnostics), report.Err())
			}
			d := report.Diagnostics[0]
			if d.Line != line || d.Column != column || d.Width != width {
				t.Errorf("got %d:%d width %d, want %d:%d width %d (%s)", d.Line, d.Column, d.Width, line, column, width, d.Message)
			}
		})
	}
}

// unmark takes « and » out of a text and returns where they stood.
func unmark(t *testing.T, marked string) (text string, line, column, width int) {
	t.Helper()
	before, rest, ok1 := strings.Cut(marked, "«")
	what, after, ok2 := strings.Cut(rest, "»")
	if !ok1 || !ok2 {
		t.Fatalf("no marks in %q", marked)
	}
	line = 1 + strings.Count(before, "\n")
	start := strings.TrimPrefix(before[strings.LastIndexByte(before, '\n')+1:], "\ufeff")
	return before + what + after, line, len([]rune(start)) + 1, len([]rune(what))
}
