package healthcheck

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestExcerpt(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"db pool exhausted\n", "db pool exhausted"},
		{"  a\r\n\t b  ", "a b"},
		{"\x1b[31mred\x00", "[31mred"},
		{"caf\u00e9 ✓", "café ✓"},
		{"a\xffb", "a\ufffdb"},
		{"evil\u202etxt", "evil\ufffdtxt"}, // right-to-left override
		{"zero\u200bwidth", "zero\ufffdwidth"},
		{strings.Repeat("x", 300), strings.Repeat("x", 128)},
		{strings.Repeat("x", 127) + "é", strings.Repeat("x", 127)}, // cut within é
		{strings.Repeat("x", 126) + "é!", strings.Repeat("x", 126) + "é"},
		{strings.Repeat("x", 127) + "\xc3", strings.Repeat("x", 127) + "\ufffd"}, // not cut: broken
	}
	for _, tt := range tests {
		if got := excerpt([]byte(tt.in)); got != tt.want {
			t.Errorf("excerpt(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzExcerpt(f *testing.F) {
	f.Add([]byte("db pool exhausted\n"))
	f.Add([]byte("\xff\xfe\x00\u202e" + strings.Repeat("é", 100)))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := excerpt(b)
		if !utf8.ValidString(s) || len(s) > 3*ExcerptSize || utf8.RuneCountInString(s) > ExcerptSize {
			t.Fatalf("excerpt(%q) = %q: not valid, or too long", b, s)
		}
		if strings.TrimSpace(s) != s || strings.Contains(s, "  ") {
			t.Fatalf("excerpt(%q) = %q: blanks to spare", b, s)
		}
		for _, r := range s {
			if r != utf8.RuneError && !unicode.IsGraphic(r) || unicode.IsControl(r) || r != ' ' && unicode.IsSpace(r) {
				t.Fatalf("excerpt(%q) = %q: %q is not printable", b, s, r)
			}
		}
		if again := excerpt([]byte(s)); len(s) <= ExcerptSize && again != s {
			t.Fatalf("excerpt of %q is %q", s, again)
		}
	})
}
