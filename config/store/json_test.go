package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Whoever changes something holds up everybody else, so the work for a body grows with its length alone: a
// search for each name among all others took 18 s of 100,000 names.
func TestManyNames(t *testing.T) {
	const names = 50_000
	list := func(prefix, value string) json.RawMessage {
		var b strings.Builder
		for i := range names {
			fmt.Fprintf(&b, `,"%s%d":%s`, prefix, i, value)
		}
		return json.RawMessage("{" + b.String()[1:] + "}")
	}
	tests := []struct {
		name  string
		patch json.RawMessage
		want  int
	}{
		{"changes", list("a", `{"weight":2}`), names},
		{"more", list("b", "1"), 2 * names},
		{"removes", list("a", "null"), 0},
		{"removes others", list("b", "null"), names},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			began := time.Now()
			merged, err := mergePatch(list("a", `{"weight":1}`), tt.patch)
			if err != nil {
				t.Fatal(err)
			}
			o, err := parseObject(merged)
			if err != nil || len(o) != tt.want {
				t.Errorf("got %d names, %v; want %d", len(o), err, tt.want)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// RFC 7396, appendix A, for objects, and the order of entries.
func TestMergePatch(t *testing.T) {
	tests := []struct{ target, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{`{"a":1,"b":2,"c":3}`, `{"c":4,"a":null,"d":5}`, `{"b":2,"c":4,"d":5}`},
		{`{"a":1}`, `{"a":null,"b":{"c":null,"d":1}}`, `{"b":{"d":1}}`},
		{`{"a":1}`, `[2]`, `[2]`},
	}
	for _, tt := range tests {
		got, err := mergePatch(json.RawMessage(tt.target), json.RawMessage(tt.patch))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s with %s: got %s, %v; want %s", tt.target, tt.patch, got, err, tt.want)
		}
	}
}
