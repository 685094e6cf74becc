package healthcheck

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dlclark/regexp2"
	"pgregory.net/rapid"
)

const documented = `^((?!false).|\s)*$` // Oracle's example

func TestExpression(t *testing.T) {
	tests := []struct {
		text, body string
		want       bool
	}{
		{"ok", "all ok here", true},
		{"ok", "ko", false},
		{"^ok$", "ok\n", false},
		{"(?i)OK", "ok", true},
		{`\bUP\b`, `{"status":"UP"}`, true},
		{documented, `{"db":true}`, true},
		{documented, `{"db":false}`, false},
		{documented, "", true},
		{documented, "line one\nline two\n", true},
		{documented, "line one\nfalse\n", false},
		{`^((?!(?i)fail|error).|\s)*$`, "all\nFine", true},
		{`^((?!(?i)fail|error).|\s)*$`, "one ERROR", false},
		{`^(?!.*false).*$`, "true", true},
		{`^(?!.*false).*$`, "a false b", false},
		{`(?<=status: )up`, "status: up", true},
		{`(?<=status: )up`, "up", false},
		{`(a+)b\1`, "aabaa", true},
		{`(a+)b\1$`, "ba", false},
	}
	for _, tt := range tests {
		e, err := compileExpression(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		got, err := e.match([]byte(tt.body))
		if err != nil || got != tt.want {
			t.Errorf("%s on %q: got %v %v, want %v", tt.text, tt.body, got, err, tt.want)
		}
	}
}

func TestExpressionChoosesItsEngine(t *testing.T) {
	const linear, absent, backtracking = "linear", "absent", "backtracking"
	tests := []struct{ text, want string }{
		{"ok", linear},
		{documented, absent},
		{`^((?!a|b).|\s)*$`, absent},
		{`^((?!(a)(b)).|\s)*$`, absent},
		{`^((?!).|\s)*$`, backtracking},         // nothing never occurs: not what it says
		{`^((?!(?=a)a).|\s)*$`, backtracking},   // Go cannot compile its X
		{`^((?!false).)*$`, backtracking},       // means one line only
		{`^((?!false).|\s)*$|ok`, backtracking}, // more than the idiom
		{`^((?!a).|\s)*$|^((?!b).|\s)*$`, backtracking},
		{`^((?!a)b).|\s)*$`, ""}, // unbalanced
	}
	for _, tt := range tests {
		e, err := compileExpression(tt.text)
		got := ""
		switch {
		case err != nil:
		case e.backtracking != nil:
			got = backtracking
		case e.absent:
			got = absent
		default:
			got = linear
		}
		if got != tt.want {
			t.Errorf("%s: %q (%v), want %q", tt.text, got, err, tt.want)
		}
	}
}

func TestExpressionErrors(t *testing.T) {
	for _, text := range []string{"(", "[a", "a**", `(?!`, `\`} {
		if e, err := compileExpression(text); err == nil {
			t.Errorf("%s compiled to %+v", text, e)
		}
	}
	_, err := compileExpression("a(b")
	if err == nil || !strings.Contains(err.Error(), "missing closing )") {
		t.Errorf("got %v, want the words of Go's engine", err)
	}
}

// A literal reading of the documented example needs time exponential in the length of a run of
// blanks, because both branches match a blank. Ours does not.
func TestDocumentedExampleOnItsWorstBodies(t *testing.T) {
	e, err := compileExpression(documented)
	if err != nil {
		t.Fatal(err)
	}
	blanks := strings.Repeat(" ", 256<<10)
	for body, want := range map[string]bool{blanks: true, blanks + "false": false, blanks + "\x00": true} {
		got, err := e.match([]byte(body))
		if err != nil || got != want {
			t.Errorf("%d blanks: got %v %v, want %v", len(body), got, err, want)
		}
	}
}

func TestCatastrophicBodyEndsAtTheLimit(t *testing.T) {
	e, err := compileExpression(`^(?=x)(x+x+)+y$`)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	found, err := e.match(bytes.Repeat([]byte("x"), 4096))
	if found || !errors.Is(err, errBacktrack) {
		t.Errorf("got %v %v, want %v", found, err, errBacktrack)
	}
	if took := time.Since(start); took < backtrackLimit/2 || took > 10*time.Second {
		t.Errorf("gave up after %v, want about %v", took, backtrackLimit)
	}
}

// The short cut for the idiom must agree with what the expression says literally, as long as X
// neither begins with nor is made of white space (there the literal one may step over it).
func TestIdiomAgreesWithItsLiteralReading(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.StringMatching(`[ab](c|[ab]{1,2}|a?b)?`).Draw(t, "x")
		body := rapid.StringMatching(`[abc \n]{0,10}`).Draw(t, "body")
		text := absentPrefix + x + absentSuffix
		e, err := compileExpression(text)
		if err != nil || !e.absent {
			t.Fatalf("%s: %+v %v, want the short cut", text, e, err)
		}
		got, err := e.match([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		want, err := regexp2.MustCompile(text, regexp2.RE2).MatchString(body)
		if err != nil || got != want {
			t.Fatalf("%s on %q: got %v, want %v %v", text, body, got, want, err)
		}
	})
}

func FuzzExpression(f *testing.F) {
	for _, text := range []string{
		"ok", documented, `^((?!a).|\s)*$`, `^(?!.*false).*$`, `(a+)+b\1`, "(", `^((?!(`, `\Q`, `(?<n>a)\k<n>`,
	} {
		f.Add(text, []byte("a false body \xff\n"))
	}
	f.Fuzz(func(t *testing.T, text string, body []byte) {
		if len(text) > 200 || len(body) > 1000 {
			return
		}
		e, err := compileExpression(text)
		if err != nil {
			return
		}
		found, err := e.match(body)
		if err != nil && !errors.Is(err, errBacktrack) {
			t.Fatalf("%q: error %v", text, err)
		}
		if re, err := regexp.Compile(text); err == nil && re.Match(body) != found {
			t.Fatalf("%q on %q: %v, Go's engine says otherwise", text, body, found)
		}
	})
}
