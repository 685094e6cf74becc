package message

import (
	"slices"
	"strings"
	"testing"
)

// headOf makes a head of field lines, without a parser.
func headOf(lines ...string) *Head {
	h := &Head{}
	h.Reset()
	buf := "GET / HTTP/1.1\r\n"
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		trimmed := strings.Trim(value, " \t")
		at := len(buf) + len(name) + 1 + strings.Index(value, trimmed)
		f := h.Add(NameOf([]byte(name)))
		f.Start, f.NameLen, f.End = uint32(len(buf)), uint32(len(name)), uint32(len(buf)+len(line)+2)
		f.Value, f.ValueEnd = uint32(at), uint32(at+len(trimmed))
		buf += line + "\r\n"
	}
	h.Buf = []byte(buf + "\r\n")
	h.Size = len(h.Buf)
	h.Interpret()
	return h
}

// kept is the lines that are forwarded.
func kept(h *Head) []string {
	lines := []string{}
	for i := range h.Fields {
		if f := &h.Fields[i]; !f.Drop {
			lines = append(lines, strings.TrimSuffix(string(h.Line(f)), "\r\n"))
		}
	}
	return lines
}

func TestStripHopByHop(t *testing.T) {
	tests := []struct {
		name string
		in   []string
		want []string
	}{
		{"nothing", []string{"Host: a", "X: y"}, []string{"Host: a", "X: y"}},
		{
			"the fixed set, any case",
			[]string{"CONNECTION: close", "keep-alive: 5", "Proxy-Connection: x", "proxy-AUTHENTICATE: x", "Proxy-Authorization: x", "te: gzip", "Transfer-Encoding: chunked", "upgrade: h2c", "A: 1"},
			[]string{"A: 1"},
		},
		{"named", []string{"A: 1", "Connection: a", "B: 2"}, []string{"B: 2"}},
		{"named in any case", []string{"X-fOO: 1", "connection: x-Foo"}, nil},
		{"named in several lines", []string{"Connection: a", "A: 1", "B: 2", "Connection: b", "C: 3"}, []string{"C: 3"}},
		{"named in a list with white space", []string{"Connection: ,\ta ,, b\t,", "A: 1", "B: 2", "C: 3"}, []string{"C: 3"}},
		{"every line of a name", []string{"A: 1", "B: 2", "A: 3", "Connection: a", "a: 4"}, []string{"B: 2"}},
		{"a part of a name", []string{"Connection: a", "Ab: 1", "B-a: 2"}, []string{"Ab: 1", "B-a: 2"}},
		{"a list element with parameters", []string{"Connection: a;q=1", "A: 1"}, []string{"A: 1"}},
		{"framing and routing stay", []string{"Connection: host, Content-Length", "Host: a", "Content-Length: 5"}, []string{"Host: a", "Content-Length: 5"}},
		{"forwarding fields can be named", []string{"Connection: x-forwarded-for", "X-Forwarded-For: 1.2.3.4"}, nil},
		{"end-to-end fields can be named", []string{"Connection: Cookie, authorization", "Cookie: a", "Authorization: b"}, nil},
		{"close and keep-alive name nothing", []string{"Connection: close, keep-alive", "Close: 1"}, []string{"Close: 1"}},
		{"Proxy-Connection names nothing", []string{"Proxy-Connection: a", "A: 1"}, []string{"A: 1"}},
		{"trailer announcements stay", []string{"Trailer: X-Sum", "TE: trailers"}, []string{"Trailer: X-Sum"}},
		{"empty Connection", []string{"Connection:", "A: 1"}, []string{"A: 1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := headOf(tt.in...)
			h.StripHopByHop()
			if got := kept(h); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestDropForwarded(t *testing.T) {
	h := headOf("x-forwarded-for: 1", "A: 1", "X-Forwarded-Proto: https", "X-FORWARDED-Anything: x", "Forwarded: for=1", "X-Real-IP: 1",
		"X-Forwarded-"+strings.Repeat("x", 100)+": 1", "X-Forwarde: 1", "X-Forwarded: 1", "X_Forwarded_For: 1", "x-forwarded-proto_: 1")
	h.DropForwarded()
	if got, want := kept(h), []string{"A: 1", "X-Forwarde: 1", "X-Forwarded: 1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, line := range []string{"X-Forwarded-For: 1", "X-Forwarded-Host: 1", "Forwarded: 1", "X-Real-Ip: 1", "X_Real_IP: 1", "x-forwarded_for: 1"} {
		h := headOf(line)
		if h.DropForwarded(); len(kept(h)) != 0 {
			t.Errorf("%q alone is kept", line)
		}
	}
}

func TestDropFolded(t *testing.T) {
	h := headOf("X-Request-ID: 1", "x_request_id: 2", "X-Request-IDs: 3", "X.Request.Id: 4", "A: 5")
	h.DropFolded("x-request-id")
	if got, want := kept(h), []string{"X-Request-IDs: 3", "A: 5"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDropAll(t *testing.T) {
	h := headOf("Expect: a", "A: 1", "expect: b", "B: 2")
	h.DropAll(Host)
	if got := kept(h); len(got) != 4 {
		t.Errorf("dropped a field that is not there: %q", got)
	}
	h.DropAll(Expect)
	if got, want := kept(h), []string{"A: 1", "B: 2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestInterpret(t *testing.T) {
	type meaning struct {
		close, keepAlive, upgrade, expect, trailers bool
		options                                     int
	}
	tests := []struct {
		in   []string
		want meaning
	}{
		{[]string{"Host: a"}, meaning{}},
		{[]string{"Connection: Close"}, meaning{close: true, options: 1}},
		{[]string{"Connection: a, b", "Connection: keep-alive,,close"}, meaning{close: true, keepAlive: true, options: 4}},
		{[]string{"Proxy-Connection: close, upgrade", "Upgrade: x"}, meaning{close: true}},
		{[]string{"Connection: UPGRADE", "upgrade: x"}, meaning{upgrade: true, options: 1}},
		{[]string{"Connection: upgrade"}, meaning{options: 1}},
		{[]string{"Upgrade: x"}, meaning{}},
		{[]string{"Expect: 100-CONTINUE"}, meaning{expect: true}},
		{[]string{"Expect: 100-continued"}, meaning{}},
		{[]string{"TE: gzip", "TE: Trailers"}, meaning{trailers: true}},
		{[]string{"TE: trailers2"}, meaning{}},
		{[]string{"Keep-Alive: close"}, meaning{}},
	}
	for _, tt := range tests {
		h := headOf(tt.in...)
		if got := (meaning{h.Close, h.KeepAlive, h.Upgrade, h.ExpectContinue, h.TETrailers, h.Options}); got != tt.want {
			t.Errorf("%q: got %+v, want %+v", tt.in, got, tt.want)
		}
	}
}

func TestHasProtocol(t *testing.T) {
	tests := []struct {
		list string
		want bool
	}{
		{"h2c", true},
		{"H2C", true},
		{"websocket, h2c/1", true},
		{"h2c /1,", true},
		{"h2c/", true},
		{"h2", false},
		{"h2cc", false},
		{"websocket/h2c", false},
		{"", false},
	}
	for _, tt := range tests {
		if got := HasProtocol([]byte(tt.list), "h2c"); got != tt.want {
			t.Errorf("%q: got %v, want %v", tt.list, got, tt.want)
		}
	}
}

func TestGetAndLookup(t *testing.T) {
	h := headOf("A: 1", "Host: \t a b \t", "a: 2", "Empty:")
	if got := string(h.Get(Host)); got != "a b" {
		t.Errorf("Host is %q", got)
	}
	if h.Get(Expect) != nil || h.Has(Expect) || !h.Has(Host) {
		t.Error("finds what is not there, or not what is")
	}
	if got := string(h.Lookup("a")); got != "1" {
		t.Errorf("a is %q, want the first value", got)
	}
	if h.Lookup("b") != nil || h.Lookup("") != nil {
		t.Error("finds a name that is not there")
	}
	if v := h.Lookup("empty"); v == nil || len(v) != 0 {
		t.Errorf("an empty value is %q, want one that is empty and not nil", v)
	}
	h.Fields[0].Drop = true
	h.Reset()
	if f := h.Add(Other); f.Drop || f.Name != Other {
		t.Errorf("a field that is used again is %+v", f)
	}
	h.Reset()
	if h.Has(Host) || len(h.Fields) != 0 || h.ContentLength != -1 || h.Buf != nil {
		t.Errorf("after Reset: %+v", h)
	}
}

func TestTokens(t *testing.T) {
	tests := []struct {
		in   string
		want []string
	}{
		{"", nil}, {",", nil}, {" , \t,", nil}, {"a", []string{"a"}}, {" a\t", []string{"a"}}, {"a,b", []string{"a", "b"}},
		{",a,,b c,", []string{"a", "b c"}}, {"a;x=y, b", []string{"a;x=y", "b"}},
	}
	for _, tt := range tests {
		var got []string
		for token := range tokens([]byte(tt.in)) {
			got = append(got, string(token))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("tokens of %q: %q, want %q", tt.in, got, tt.want)
		}
	}
	for token := range tokens([]byte("a,b,c")) {
		if string(token) == "b" {
			break // leaving early must not panic
		}
	}
}
