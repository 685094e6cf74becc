package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// cell is what the report says of a message and a proxy: the outcome, and how what the origin saw, or
// what the client got, differs from what was sent.
func (s *observation) cell() string {
	text := s.summary()
	if fault := s.fault(); fault != "" {
		return text + "; " + fault
	}
	if s.m.reply != "" || s.m.finish != keep {
		return text + s.changedContent()
	}
	var seen []arrival
	for _, a := range s.requests() {
		if a.whole {
			seen = append(seen, a)
		}
	}
	if len(seen) == 0 {
		return text
	}
	sent := readable(s.m.send + s.m.then)
	if len(sent) != len(seen) {
		sent = nil
	}
	var changes []string
	for i := range seen {
		plain := arrival{method: seen[i].method, target: "/case", fields: [][2]string{{"host", "a.example"}}, body: seen[i].body}
		if sent != nil {
			plain = sent[i]
		}
		if c := change(&plain, &seen[i]); c != "" {
			changes = append(changes, c)
		}
	}
	if len(changes) == 0 {
		return text
	}
	return text + "; as " + strings.Join(changes, ", then ")
}

// readable are the requests of bytes that the strict parser can read to their end; nil if it cannot.
func readable(b string) (list []arrival) {
	for b != "" {
		a, _, done := readArrival(b)
		if !done || a.fault != "" {
			return nil
		}
		list, b = append(list, a), b[len(a.raw):]
	}
	return list
}

// framing are fields that a proxy writes for itself; what they say shows in the body.
var framing = []string{"connection", "content-length", "transfer-encoding", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}

// change says how a request that was seen differs from one that was sent, apart from framing and
// from the order and case of names.
func change(sent, seen *arrival) string {
	var words []string
	if sent.method != seen.method || sent.target != seen.target {
		words = append(words, code(seen.method+" "+seen.target))
	}
	before, after := plainFields(sent), plainFields(seen)
	for _, f := range after {
		if i := slices.Index(before, f); i >= 0 {
			before = slices.Delete(before, i, i+1)
			continue
		}
		words = append(words, "with "+code(f))
	}
	for _, f := range before {
		words = append(words, "without "+code(f))
	}
	if sent.body != seen.body {
		words = append(words, "with the body "+code(seen.body))
	}
	switch {
	case strings.EqualFold(sent.tail, seen.tail):
	case seen.tail == "":
		words = append(words, "without trailers")
	default:
		words = append(words, "with the trailers "+code(seen.tail))
	}
	return strings.Join(words, " ")
}

func plainFields(a *arrival) (list []string) {
	for _, f := range a.fields {
		if !slices.Contains(framing, f[0]) {
			list = append(list, f[0]+": "+f[1])
		}
	}
	return list
}

// changedContent says what the client got of the origin's reply, where that is not its content.
func (s *observation) changedContent() string {
	list, _ := s.responses()
	want := readResponses(s.m.reply, s.m, s.m.finish != reset)
	if len(list) != 1 || !list[0].whole || list[0].status == 101 || list[0].field("x-origin") == "" || len(want) == 0 || !want[0].whole || list[0].content == want[0].content {
		return ""
	}
	return "; with the content " + code(list[0].content)
}

// code is bytes as code of Markdown.
func code(s string) string { return ticked(quoted(s)) }

// ticked is a text, which may be long, as code of Markdown.
func ticked(q string) string {
	const most = 60
	if runes := []rune(q); len(runes) > most {
		q = string(runes[:most*2/3]) + "…" + string(runes[len(runes)-most/3:])
	}
	if strings.Contains(q, "`") {
		return "`` " + q + " ``"
	}
	return "`" + q + "`"
}

func TestChange(t *testing.T) {
	tests := []struct{ name, sent, seen, want string }{
		{"same", getCase, getCase, ""},
		{"case and order", get("A: 1\r\nB: 2\r\n"), get("b: 2\r\na:1\r\nX-Forwarded-For: x\r\n"), ""},
		{"framing", post("Content-Length: 5\r\n", "hello"), chunks("5\r\nhello\r\n0\r\n\r\n"), ""},
		{"target", line("GET http://b.example/ HTTP/1.1"), "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n", "`GET /` with `host: b.example` without `host: a.example`"},
		{"fields", get("A: 1\r\nB: 2\r\n"), get("B: 3\r\n"), "with `b: 3` without `a: 1` without `b: 2`"},
		{"body", post("Content-Length: 5\r\n", "hello"), post("Content-Length: 2\r\n", "he"), "with the body `he`"},
		{"trailers", chunks("0\r\nA: b\r\n\r\n"), chunks("0\r\n\r\n"), "without trailers"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sent, seen := readable(tt.sent), readable(tt.seen)
			if len(sent) != 1 || len(seen) != 1 {
				t.Fatal(fmt.Sprint(sent, seen))
			}
			if got := change(&sent[0], &seen[0]); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
