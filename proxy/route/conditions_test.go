package route

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"weir/config"
	"weir/proxy/http1"
	"weir/proxy/message"
)

// parseHead is the head of a request to host a, as a codec reads it.
func parseHead(t testing.TB, method, target string, lines ...string) *message.Head {
	t.Helper()
	text := method + " " + target + " HTTP/1.1\r\nHost: a\r\n"
	for _, line := range lines {
		text += line + "\r\n"
	}
	h := &message.Head{}
	if n, err := http1.ParseRequest([]byte(text+"\r\n"), h, http1.Limits{}); err != nil || n == 0 {
		t.Fatalf("parse %q: %d, %v", text, n, err)
	}
	return h
}

func TestMatchConditions(t *testing.T) {
	fields := []config.Header{{Name: "X-Canary", Value: "Yes"}, {Name: "accept", Value: "a, b"}}
	query := []config.Parameter{{Name: "v", Value: "2 x"}, {Name: "empty", Value: ""}}
	source := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("2001:db8::/32")}
	tests := []struct {
		name   string
		route  config.Route
		target string
		lines  []string
		client string
		want   bool
	}{
		{"expression", config.Route{PathRegex: `^/user/[0-9]+$`}, "/user/42?x", nil, "", true},
		{"expression that does not match", config.Route{PathRegex: `^/user/[0-9]+$`}, "/user/42/x", nil, "", false},
		{"expression without anchors", config.Route{PathRegex: `user`}, "/my/users", nil, "", true},
		{"expression on the plain form", config.Route{PathRegex: `^/user/[0-9]+$`}, "/x/../us%65r/%34", nil, "", true},
		{"expression not on the raw form", config.Route{PathRegex: `^/public/`}, "/public/../admin", nil, "", false},
		{"expression and an encoded slash", config.Route{PathRegex: `^/a(%2F|/)b$`}, "/a%2fb", nil, "", true},
		{"expression for an encoded slash alone", config.Route{PathRegex: `^/a%2Fb$`}, "/a%2fb", nil, "", false},
		{"expression not on the query", config.Route{PathRegex: `x`}, "/?x", nil, "", false},

		{"fields", config.Route{Headers: fields}, "/", []string{"x-cAnary: Yes", "Accept:  a, b "}, "", true},
		{"one field of two", config.Route{Headers: fields}, "/", []string{"X-Canary: Yes"}, "", false},
		{"field in a later line", config.Route{Headers: fields[:1]}, "/", []string{"X-Canary: No", "X-Other: Yes", "X-Canary: Yes"}, "", true},
		{"field with a longer value", config.Route{Headers: fields[:1]}, "/", []string{"X-Canary: Yes, really"}, "", false},
		{"field in another case of the value", config.Route{Headers: fields[:1]}, "/", []string{"X-Canary: yes"}, "", false},
		{"value of another field", config.Route{Headers: fields[:1]}, "/", []string{"X-Canar: Yes", "X-Canaryy: Yes"}, "", false},
		{"no field", config.Route{Headers: fields[:1]}, "/", nil, "", false},
		{"field without a value", config.Route{Headers: []config.Header{{Name: "X"}}}, "/", []string{"X:"}, "", true},
		{"field that is not there has no empty value", config.Route{Headers: []config.Header{{Name: "X"}}}, "/", nil, "", false},

		{"parameters", config.Route{Query: query}, "/?empty=&v=2%20x", nil, "", true},
		{"parameters, plus and no equals sign", config.Route{Query: query}, "/?v=2+x&empty", nil, "", true},
		{"one of two parameters", config.Route{Query: query}, "/?v=2+x", nil, "", false},
		{"one of several values", config.Route{Query: query[:1]}, "/?v=1&v=2+x&v=3", nil, "", true},
		{"encoded name", config.Route{Query: query[:1]}, "/?%76=%32%20x", nil, "", true},
		{"value of another name", config.Route{Query: query[:1]}, "/?w=2+x&vv=2+x&V=2+x", nil, "", false},
		{"longer and shorter values", config.Route{Query: query[:1]}, "/?v=2+xx&v=2+&v", nil, "", false},
		{"bad escape", config.Route{Query: []config.Parameter{{Name: "v", Value: "%zz"}}}, "/?v=%zz", nil, "", false},
		{"bad escape as the byte that its digits would make", config.Route{Query: []config.Parameter{{Name: "v", Value: "\xff"}}}, "/?v=%zz&v=%fg&v=%gf", nil, "", false},
		{"escape of a byte that is no text", config.Route{Query: []config.Parameter{{Name: "v", Value: "\xff"}}}, "/?v=%fF", nil, "", true},
		{"cut escape", config.Route{Query: []config.Parameter{{Name: "v", Value: "%2"}}}, "/?v=%2", nil, "", false},
		{"escape of a percent sign", config.Route{Query: []config.Parameter{{Name: "v", Value: "%2"}}}, "/?v=%252", nil, "", true},
		{"behind a bad escape", config.Route{Query: query[:1]}, "/?%=1&v=2+x", nil, "", true},
		{"equals sign in the value", config.Route{Query: []config.Parameter{{Name: "v", Value: "a=b"}}}, "/?v=a=b", nil, "", true},
		{"semicolon is data", config.Route{Query: []config.Parameter{{Name: "v", Value: "1;w=2"}}}, "/?v=1;w=2", nil, "", true},
		{"question mark in the query", config.Route{Query: []config.Parameter{{Name: "v", Value: "?"}}}, "/?v=?", nil, "", true},
		{"query in the path", config.Route{Query: query[:1]}, "/v=2+x", nil, "", false},

		{"source", config.Route{Source: source}, "/", nil, "10.1.255.1", true},
		{"second source", config.Route{Source: source}, "/", nil, "2001:db8::7", true},
		{"IPv4 in IPv6", config.Route{Source: source}, "/", nil, "::ffff:10.1.0.1", true},
		{"with a zone", config.Route{Source: source}, "/", nil, "2001:db8::7%eth0", true},
		{"another source", config.Route{Source: source}, "/", nil, "10.2.0.1", false},
		{"no address", config.Route{Source: source}, "/", nil, "", false},

		{"all kinds", config.Route{Path: "/a", PathRegex: "a", Headers: fields, Query: query[:1], Source: source}, "/a?v=2+x", []string{"X-Canary: Yes", "Accept: a, b"}, "10.1.0.1", true},
		{"all but the path", config.Route{Path: "/b", Headers: fields[:1]}, "/a", []string{"X-Canary: Yes"}, "", false},
		{"all but the source", config.Route{Path: "/a", Headers: fields[:1], Source: source}, "/a", []string{"X-Canary: Yes"}, "192.0.2.1", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.route.Pool = "a"
			var client netip.Addr
			if tt.client != "" {
				client = netip.MustParseAddr(tt.client)
			}
			m := New([]config.Route{tt.route}, "", identity).Match(parseHead(t, "GET", tt.target, tt.lines...), client)
			if m.Found != tt.want {
				t.Errorf("found is %v, want %v", m.Found, tt.want)
			}
		})
	}
}

// TestFirstMatchWins has a matcher of each kind that fails in front of the route that takes it.
func TestFirstMatchWins(t *testing.T) {
	routes := []config.Route{
		{PathRegex: "^/b", Pool: "expression"}, {Headers: []config.Header{{Name: "X", Value: "2"}}, Pool: "field"},
		{Query: []config.Parameter{{Name: "q", Value: "2"}}, Pool: "parameter"}, {PathPrefix: "/a", Pool: "first"}, {Path: "/a", Pool: "second"},
	}
	m := New(routes, "default", identity).Match(parseHead(t, "GET", "/a?q=1", "X: 1"), nobody)
	if m != to("first") {
		t.Errorf("got %+v, want the first that matches", m)
	}
}

// FuzzQuery compares with what net/url decodes of each parameter.
func FuzzQuery(f *testing.F) {
	for _, query := range []string{"a=b", "a=b&a=c", "%61=%62", "a+b=c+d", "a", "a=", "=a", "&&", "a=%", "a=%2", "a=%zz&a=b", "a==b", "a=b?c", "a;b=c"} {
		f.Add(query, "a", "b")
	}
	f.Fuzz(func(t *testing.T, query, name, value string) {
		if name == "" {
			return
		}
		want := false
		for pair := range strings.SplitSeq(query, "&") {
			k, v, _ := strings.Cut(pair, "=")
			key, err1 := url.QueryUnescape(k)
			val, err2 := url.QueryUnescape(v)
			want = want || (err1 == nil && err2 == nil && key == name && val == value)
			if err1 == nil && err2 == nil && key != "" && !hasParameters([]byte("/?"+query), []config.Parameter{{Name: key, Value: val}}) {
				t.Fatalf("%q does not have %q = %q", query, key, val)
			}
		}
		if got := hasParameters([]byte("/?"+query), []config.Parameter{{Name: name, Value: value}}); got != want {
			t.Fatalf("%q has %q = %q: %v, want %v", query, name, value, got, want)
		}
	})
}
