package route

import (
	"strings"
	"testing"

	"weir/config"
	"weir/proxy/message"
)

func requestHead(method, host, target string) *message.Head {
	return &message.Head{Method: []byte(method), Authority: []byte(host), Target: []byte(target)}
}

func identity(pool string) string { return pool }

func TestMatch(t *testing.T) {
	routes := []config.Route{
		{Host: "exact.example", Path: "/only", Pool: "exact-only"},
		{Host: "Exact.Example", PathPrefix: "/api/", Pool: "exact-api"},
		{Host: "*.wild.example", Pool: "wild"},
		{Host: "[2001:db8::1]", Pool: "ipv6"},
		{Host: "10.0.0.1", Pool: "ipv4"},
		{PathPrefix: "/admin", Pool: "admin"},
		{Path: "/write", Methods: []string{"POST", "PUT"}, Pool: "write"},
		{Path: "/write", Pool: "read"},
		{Path: "/with%20space/caf%C3%A9", Pool: "escaped"},
		{PathPrefix: "/pre%66ix", Pool: "escaped-prefix"},
		{Path: "/a%2Fb", Pool: "slash"},
		{Path: "/dots/../here", Pool: "dots"},
		{Path: "*", Pool: "asterisk"},
		{Host: "exact.example", Pool: "exact"},
	}
	tests := []struct {
		name   string
		method string
		host   string
		target string
		want   string // "" for the default pool
	}{
		{"first of several", "GET", "exact.example", "/only", "exact-only"},
		{"later one of the same host", "GET", "exact.example", "/onlyx", "exact"},
		{"host in any case", "GET", "EXACT.example", "/only", "exact-only"},
		{"port", "GET", "exact.example:8080", "/only", "exact-only"},
		{"empty port", "GET", "exact.example:", "/only", "exact-only"},
		{"final dot", "GET", "exact.example.", "/only", "exact-only"},
		{"final dot and port", "GET", "exact.example.:80", "/only", "exact-only"},
		{"two final dots", "GET", "exact.example..", "/only", ""},
		{"longer host", "GET", "xexact.example", "/only", ""},
		{"below an exact host", "GET", "a.exact.example", "/only", ""},
		{"no host", "GET", "", "/only", ""},
		{"wildcard", "GET", "a.wild.example", "/", "wild"},
		{"wildcard at any depth", "GET", "A.b.WILD.example:1", "/", "wild"},
		{"wildcard but nothing below", "GET", "wild.example", "/", ""},
		{"wildcard with an empty label", "GET", ".wild.example", "/", ""},
		{"wildcard without the dot", "GET", "xwild.example", "/", ""},
		{"wildcard in the middle", "GET", "a.wild.example.org", "/", ""},
		{"IPv6", "GET", "[2001:DB8::1]", "/", "ipv6"},
		{"IPv6 and port", "GET", "[2001:db8::1]:80", "/", "ipv6"},
		{"IPv4 and port", "GET", "10.0.0.1:80", "/", "ipv4"},
		{"prefix with a slash", "GET", "exact.example", "/api/x", "exact-api"},
		{"prefix with a slash, itself", "GET", "exact.example", "/api/", "exact-api"},
		{"prefix with a slash, without it", "GET", "exact.example", "/api", "exact"},
		{"prefix", "GET", "x", "/admin", "admin"},
		{"prefix, below", "GET", "x", "/admin/", "admin"},
		{"prefix, deeper", "GET", "x", "/admin/a/b", "admin"},
		{"prefix, not on a segment", "GET", "x", "/administrator", ""},
		{"prefix and query", "GET", "x", "/admin?x=/", "admin"},
		{"prefix in the query", "GET", "x", "/?/admin", ""},
		{"prefix in another case", "GET", "x", "/Admin", ""},
		{"prefix reached by dots", "GET", "x", "/public/../admin/x", "admin"},
		{"prefix reached by encoded dots", "GET", "x", "/public/%2e%2E/admin/x", "admin"},
		{"prefix reached by half encoded dots", "GET", "x", "/public/.%2e/admin", "admin"},
		{"prefix reached from above the root", "GET", "x", "/../../admin", "admin"},
		{"prefix reached by a dot", "GET", "x", "/./admin", "admin"},
		{"prefix in other words", "GET", "x", "/%61dm%69n", "admin"},
		{"prefix left by dots", "GET", "x", "/admin/..", ""},
		{"prefix left by dots at the end", "GET", "x", "/admin/../", ""},
		{"prefix with an encoded slash behind it", "GET", "x", "/admin%2fx", ""},
		{"dots behind an encoded slash", "GET", "x", "/public%2f..%2fadmin", ""},
		{"encoded query mark", "GET", "x", "/admin%3Fx", ""},
		{"twice encoded", "GET", "x", "/%2561dmin", ""},
		{"method", "POST", "x", "/write", "write"},
		{"another method", "PUT", "x", "/write", "write"},
		{"method that is not listed", "GET", "x", "/write", "read"},
		{"method in another case", "post", "x", "/write", "read"},
		{"escaped path", "GET", "x", "/with%20space/caf%c3%A9", "escaped"},
		{"escaped prefix", "GET", "x", "/prefix/y", "escaped-prefix"},
		{"encoded slash", "GET", "x", "/a%2Fb", "slash"},
		{"encoded slash in another case", "GET", "x", "/a%2fb", "slash"},
		{"slash that is not encoded", "GET", "x", "/a/b", ""},
		{"dots of a route", "GET", "x", "/here", "dots"},
		{"asterisk", "OPTIONS", "x", "*", "asterisk"},
		{"long path", "GET", "x", "/%61dmin/" + strings.Repeat("a", 5000), "admin"},
	}
	table := New(routes, "default", identity)
	bare := New(routes, "", identity)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := requestHead(tt.method, tt.host, tt.target)
			want := tt.want
			if want == "" {
				want = "default"
			}
			if got, ok := table.Match(h); got != want || !ok {
				t.Errorf("got %q, %v, want %q", got, ok, want)
			}
			if got, ok := bare.Match(h); got != tt.want || ok != (tt.want != "") {
				t.Errorf("without a default: got %q, %v, want %q", got, ok, tt.want)
			}
			if string(h.Target) != tt.target {
				t.Errorf("the target became %q", h.Target)
			}
		})
	}
}

func TestMatchWithoutRoutes(t *testing.T) {
	if got, ok := New(nil, "default", identity).Match(requestHead("GET", "", "/")); got != "default" || !ok {
		t.Errorf("got %q, %v", got, ok)
	}
	var zero Table[string]
	if got, ok := zero.Match(requestHead("GET", "", "/")); got != "" || ok {
		t.Errorf("the zero table matches: %q", got)
	}
	all := New([]config.Route{{Pool: "all"}, {Host: "a", Pool: "never"}}, "default", identity)
	if got, ok := all.Match(requestHead("GET", "a", "/")); got != "all" || !ok {
		t.Errorf("got %q, %v, want the route that matches everything", got, ok)
	}
}

func TestMatchAllocs(t *testing.T) {
	table := New([]config.Route{{Host: "*.example.com", PathPrefix: "/api", Methods: []string{"POST"}, Pool: "a"}, {Path: "/x", Pool: "b"}}, "c", identity)
	heads := []*message.Head{
		requestHead("GET", "www.example.com:80", "/api/x?y"),
		requestHead("POST", "www.example.com", "/%61pi/../api/x"),
		requestHead("GET", "a", "/%20"+strings.Repeat("x", scratchSize-10)),
	}
	allocs := testing.AllocsPerRun(100, func() {
		for _, h := range heads {
			if _, ok := table.Match(h); !ok {
				panic("no match")
			}
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}

func BenchmarkMatch(b *testing.B) {
	var routes []config.Route
	for _, host := range []string{"a.example", "b.example", "*.c.example", "d.example"} {
		routes = append(routes, config.Route{Host: host, PathPrefix: "/api", Pool: host}, config.Route{Host: host, Pool: host})
	}
	table := New(routes, "default", identity)
	for name, target := range map[string]string{"plain": "/api/v1/things/42?x=y", "escaped": "/api/v1/%74hings/42?x=y"} {
		b.Run(name, func(b *testing.B) {
			h := requestHead("GET", "d.example", target)
			b.ReportAllocs()
			for b.Loop() {
				table.Match(h)
			}
		})
	}
}
