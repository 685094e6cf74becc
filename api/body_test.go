package api

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// TestBodyPlaces: a fault in a body has a line and a column.
func TestBodyPlaces(t *testing.T) {
	tests := []struct {
		body         string
		line, column int
		detail, path string
	}{
		{"{\n  \"a\": 1,\n  \"a\": 2\n}", 3, 5, `repeated key "a"`, "a"},
		{`{"a": {"b": [{"c": 1, "c": 2}]}}`, 1, 25, `repeated key "c"`, "a.b[0].c"},
		{"{\"a\": 1}\n{}", 2, 1, "something follows", ""},
		{"{\"a\":\n  nul}", 2, 6, "is not JSON", ""},
		{"{\"ä\": x}", 1, 7, "is not JSON", ""},
		{"{\"a\": \"\xff\"}", 1, 8, "is not UTF-8", ""},
		{`{"a": 1`, 1, 8, "ends too early", ""},
		{`{"a": 1,}`, 1, 9, "is not JSON", ""},
		{`{"a" 1}`, 1, 6, "is not JSON", ""},
		{`"text"`, 1, 1, "is not an object", ""},
		{`null`, 1, 1, "is not an object", ""},
		{" \n", 0, 0, "is empty", ""},
		{strings.Repeat(`{"a":`, maxDepth+1) + "1" + strings.Repeat("}", maxDepth+1), 1, 5*maxDepth + 2, "nests deeper", ""},
	}
	for _, tt := range tests {
		p, ok := checkJSON([]byte(tt.body), '{').(*Problem)
		if !ok || p.Status != 400 || p.Line != tt.line || p.Column != tt.column || !strings.Contains(p.Detail, tt.detail) || p.Path != tt.path {
			t.Errorf("%.60q: got %+v, want %d:%d %q at %q", tt.body, p, tt.line, tt.column, tt.detail, tt.path)
		}
	}
	if err := checkJSON([]byte(strings.Repeat(`{"a":`, maxDepth)+"1"+strings.Repeat("}", maxDepth)), '{'); err != nil {
		t.Errorf("as deep as it may: %v", err)
	}
}

// FuzzBody: what passes is one JSON object without repeated keys, and nothing that is one is refused but for
// its depth.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{}`, aPool, `{"a": 1, "a": 2}`, `{"a": [{}, [], null, true, -1.5e3, "\u00e4\ud83d"]}`, `[{}]`, "{\"a\":\n", `{"a"`, `{"":{"":{}}}`,
		"{\"\xff\": 1}", `{"a": 1} `, `{"a": 1}x`, ` {"a":01}`, `{"\u0061": 1, "a": 2}`, `}`, strings.Repeat("[", 100),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		err := checkJSON(body, '{')
		if err == nil {
			var object map[string]any
			if json.Unmarshal(body, &object) != nil || object == nil {
				t.Fatalf("%q passes", body)
			}
			// Encoded anew, an object with a key that stood twice has fewer quotes of keys.
			if keys(body) != keysOf(object) {
				t.Fatalf("%q has repeated keys and passes", body)
			}
			return
		}
		p, ok := err.(*Problem)
		if !ok || p.Status != 400 || p.Detail == "" {
			t.Fatalf("got %v", err)
		}
		lines := bytes.Count(body, []byte{'\n'}) + 1
		if p.Line > lines {
			t.Fatalf("line %d of %d", p.Line, lines)
		}
		usual := !strings.Contains(p.Detail, "repeated key") && !strings.Contains(p.Detail, "nests deeper") && !strings.Contains(p.Detail, "UTF-8")
		if trimmed := bytes.TrimSpace(body); usual && json.Valid(body) && len(trimmed) > 0 && trimmed[0] == '{' {
			t.Fatalf("%q is refused: %v", body, err)
		}
	})
}

// keys counts the keys of a valid document, as they stand.
func keys(body []byte) (n int) {
	d := json.NewDecoder(bytes.NewReader(body))
	var open []bool // whether it is an object, and then whether a key comes next
	next := []bool{}
	for {
		token, err := d.Token()
		if err != nil {
			return n
		}
		isKey := len(open) > 0 && open[len(open)-1] && next[len(next)-1]
		switch token {
		case json.Delim('{'), json.Delim('['):
			open, next = append(open, token == json.Delim('{')), append(next, true)
			continue
		case json.Delim('}'), json.Delim(']'):
			open, next = open[:len(open)-1], next[:len(next)-1]
			isKey = false
		}
		if isKey {
			n++
		}
		if len(next) > 0 {
			next[len(next)-1] = !isKey
		}
	}
}

// keysOf counts those of a value.
func keysOf(value any) (n int) {
	switch v := value.(type) {
	case map[string]any:
		n = len(v)
		for _, below := range v {
			n += keysOf(below)
		}
	case []any:
		for _, below := range v {
			n += keysOf(below)
		}
	}
	return n
}
