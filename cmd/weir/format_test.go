package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestFormat(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"empty", "", "\n"},
		{"spaces", "a:   1   \nb:  [1,2 ,  3]\nc: {x: 1,y:  2}\n\n\n\nd: {}\ne: []  # none\n", "a: 1\nb: [1, 2, 3]\nc: { x: 1, y: 2 }\n\nd: {}\ne: []  # none\n"},
		{"levels", "a:\n    b:\n       - c:  1\n         d: 2\n       -   e\n    f:\n     g: 3\n", "a:\n  b:\n    - c: 1\n      d: 2\n    - e\n  f:\n    g: 3\n"},
		{"a list below its key", "a:\n- 1\n- b: 2\n  c: 3\nd: 4\n", "a:\n- 1\n- b: 2\n  c: 3\nd: 4\n"},
		{"a list in a list", "a:\n    -   - 1\n        - 2\n    - 3\n", "a:\n  - - 1\n    - 2\n  - 3\n"},
		{"comments", "# one\n\n\n# two\na:\n      # of b\n      b: 1 # same line\n   \n# end", "# one\n\n# two\na:\n  # of b\n  b: 1  # same line\n\n# end\n"},
		{"comments in columns", "a: 1      # x\nb:  22    # y\n", "a: 1      # x\nb: 22    # y\n"},
		{"quotes", "a: \"x  #  y: {z}\"   \nb: 'it''s  [1,2]'\n'c d':   1\n", "a: \"x  #  y: {z}\"\nb: 'it''s  [1,2]'\n'c d': 1\n"},
		{"plain text", "a: ${HOST:-x}:80\nb: http://h/p#q\nc: a {b} [c], d\ne: x  y\nf: -1\n", "a: ${HOST:-x}:80\nb: http://h/p#q\nc: a {b} [c], d\ne: x  y\nf: -1\n"},
		{"plain text in brackets", "a: [ http://h:80/p , a  b, \"q,r\" , it's ]\n", "a: [http://h:80/p, a  b, \"q,r\", it's]\n"},
		{"blocks", "a:\n    b: |\n        one\n          two\n\n        three\n    c:  >-   # folded\n        x\nd: 1\n", "a:\n  b: |\n      one\n        two\n\n      three\n  c: >-  # folded\n      x\nd: 1\n"},
		{"a block in a list", "a:\n    - |\n      text\n    -   b: |\n            text\n        c: 1\n", "a:\n  - |\n    text\n  - b: |\n          text\n    c: 1\n"},
		{"brackets over lines", "a:\n    b: { c: 1,   # one\n         d: [1,\n             2] }\n    e: 1\n", "a:\n  b: { c: 1,   # one\n       d: [1,\n           2] }\n  e: 1\n"},
		{"quotes over lines", "a: \"x\n   y  \n\n  z\"\nb:  1\n", "a: \"x\n   y  \n\n  z\"\nb: 1\n"},
		{"text over lines", "a: one\n    two\nb: 1\n", "a: one\n  two\nb: 1\n"},
		{"ends of lines", "a: 1\r\nb:  2\r\n", "a: 1\nb: 2\n"},
		{"JSON", "{\n  \"a\": {\"b\": [1,2]}\n}\n", "{\n  \"a\": { \"b\": [1, 2] }\n}\n"},
		{"key without value", "a:\nb: # nothing\n", "a:\nb:  # nothing\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := formatYAML([]byte(tt.text))
			if err != nil || string(got) != tt.want {
				t.Fatalf("got %q, %v\nwant %q", got, err, tt.want)
			}
			again, err := formatYAML(got)
			if err != nil || string(again) != string(got) {
				t.Errorf("a second time: got %q, %v", again, err)
			}
		})
	}
}

// The examples are laid out as fmt does it.
func TestExamplesAreFormatted(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "examples", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := formatYAML(text); err != nil || string(got) != string(text) {
			t.Errorf("%s: %v, got\n%s", file, err, got)
		}
	}
}

// The time that it takes grows with the length of a line, not with its square.
func TestFormatLongLine(t *testing.T) {
	text := "{\"a\": [" + strings.Repeat("1,", 200_000) + "1]}\n"
	began := time.Now()
	got, comments := layOut([]byte(text))
	if len(got) < len(text) || comments != nil {
		t.Errorf("%d bytes became %d, comments %v", len(text), len(got), comments)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestFormatRefuses(t *testing.T) {
	for _, text := range []string{"a: [1, 2", "a: 1\n b: 2: 3\n", "\tx: 1\n"} {
		if got, err := formatYAML([]byte(text)); err == nil {
			t.Errorf("%q: got %q", text, got)
		}
	}
}

// Whatever is laid out says the same, which formatYAML itself holds against the original, and stays as it is
// the second time.
func FuzzFormat(f *testing.F) {
	for _, seed := range []string{"a:   1\nb: {x: 1,y: [1 ,2]} # c\n", "a:\n    - b: |\n        x\n      c: 'q' # d\n", "a: \"x\n y\"\n", "? a\n: b\n", "a: &x 1\nb: *x\n", "--- \na: 1\n...\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		out, err := formatYAML([]byte(text))
		if err != nil {
			return
		}
		again, err := formatYAML(out)
		if err != nil || string(again) != string(out) {
			t.Fatalf("%q became %q, and that %q, %v", text, out, again, err)
		}
	})
}
