package main

import (
	"strings"
	"testing"

	"weir/config"
)

func TestSection(t *testing.T) {
	const text = "# admin: no\nlisteners: [\nadmin: &x\n  # of weir\n\n\tsocket: a\n- item\n}\npools:\n  admin: b\nadministration: c\n---\nadmin: d\n"
	if got, want := string(section([]byte(text), "admin")), "admin: &x\n  # of weir\n\n\tsocket: a\n- item\n}\nadmin: d\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzExcerpt: whatever an editor left, the reader comes to an end; and where the whole configuration is
// valid, it finds the same socket as a load.
func FuzzExcerpt(f *testing.F) {
	const valid = "listeners: { web: { protocol: http, address: \":8080\", pool: app } }\npools: { app: { backends: [\"10.0.0.1:80\"] } }\n"
	for _, seed := range []string{
		"", "#\n", valid, valid + "admin: { socket: /a.sock }\n", valid + "admin:\n  socket: run/b.sock\n", valid + "admin: { listen: \":1\" }\n",
		valid + "admin: { socket: ~ }\n", valid + "admin: { socket: 3 }\n", valid + "admin: &a { socket: /x }\n", "{\"admin\":{\"socket\":\"/x\"}}",
		"admin: [\n", "include: [a, b]\nadmin:\n", "admin: { socket: *x }\n", "pools: [\nadmin:\n  socket: /y\n", "admin: 3\n", "\xff\nadmin: { socket: /z }\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e := excerptOf([]byte(text))
		if strings.Contains(text, "include") || strings.Contains(text, "$") {
			return // what those lead to is not in the text
		}
		c, report := config.LoadBytes("weir.yaml", []byte(text))
		if report.Errors() > 0 {
			return
		}
		want, got := c.Admin.Socket, defaultSocket
		if e.given {
			var err error
			if got, err = resolveSocket("weir.yaml", e.socket); err != nil && want != "" {
				t.Fatalf("got %v, want %q", err, want)
			}
		}
		if e.err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, e.err, want)
		}
	})
}
