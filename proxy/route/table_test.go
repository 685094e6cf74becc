package route

import (
	"net/netip"
	"strings"
	"testing"

	"weir/config"
	"weir/proxy/message"
)

func requestHead(method, host, target string) *message.Head {
	return &message.Head{Method: []byte(method), Authority: []byte(host), Target: []byte(target)}
}

func identity(pool string) string { return pool }

// nobody is the client where it does not matter.
var nobody netip.Addr

// refused stands for a path that does not lead to the same in both of its forms.
const refused = "refused"

func to(target string) Match[string] {
	return Match[string]{Target: target, HasTarget: true, Found: true}
}

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
		{"prefix with an encoded slash behind it", "GET", "x", "/admin%2fx", refused},
		{"dots behind an encoded slash", "GET", "x", "/public%2f..%2fadmin", refused},
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
			want, wantBare := to(tt.want), to(tt.want)
			switch tt.want {
			case "":
				want, wantBare = to("default"), Match[string]{}
			case refused:
				want = Match[string]{Refused: AmbiguousPath}
				wantBare = want
			}
			if got := table.Match(h, nobody); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if got := bare.Match(h, nobody); got != wantBare {
				t.Errorf("without a default: got %+v, want %+v", got, wantBare)
			}
			if string(h.Target) != tt.target {
				t.Errorf("the target became %q", h.Target)
			}
		})
	}
}

func TestMatchWithoutRoutes(t *testing.T) {
	if got := New(nil, "default", identity).Match(requestHead("GET", "", "/"), nobody); got != to("default") {
		t.Errorf("got %+v", got)
	}
	var zero Table[string]
	if got := zero.Match(requestHead("GET", "", "/"), nobody); got != (Match[string]{}) {
		t.Errorf("the zero table matches: %+v", got)
	}
	all := New([]config.Route{{Pool: "all"}, {Host: "a", Pool: "never"}}, "default", identity)
	if got := all.Match(requestHead("GET", "a", "/"), nobody); got != to("all") {
		t.Errorf("got %+v, want the route that matches everything", got)
	}
}

// TestMatchKinds is about which fields of a Match belong to which action.
func TestMatchKinds(t *testing.T) {
	routes := []config.Route{
		{Path: "/pool", Pool: "a"},
		{Path: "/split", Split: []config.Arm{{Pool: "a", Weight: 1}, {Pool: "b", Weight: 0}}},
		{Path: "/redirect", Redirect: &config.Redirect{To: "/x", Status: 301}},
		{Path: "/respond", Respond: &config.Respond{Status: 405}},
		{Path: "/strip", Pool: "a", StripPrefix: "/strip"},
		{Path: "/rewrite", Pool: "a", Rewrite: "/x"},
		{Path: "/request", Pool: "a", RequestHeaders: config.HeaderChange{Remove: []string{"X"}}},
		{Path: "/response", Pool: "a", ResponseHeaders: config.HeaderChange{Add: []config.Header{{Name: "X", Value: "y"}}}},
		{Path: "/nothing", Pool: "a", StripPrefix: "/"},
	}
	asked := map[string]int{}
	table := New(routes, "", func(pool string) string { asked[pool]++; return pool })
	if asked[""] != 0 || asked["a"] == 0 || asked["b"] != 0 {
		t.Errorf("targets asked for: %v, want no empty one and none without weight", asked)
	}
	tests := []struct {
		path           string
		target, action bool
	}{
		{"/pool", true, false}, {"/split", true, false}, {"/redirect", false, true}, {"/respond", false, true}, {"/strip", true, true},
		{"/rewrite", true, true}, {"/request", true, true}, {"/response", true, true}, {"/nothing", true, false},
	}
	for _, tt := range tests {
		m := table.Match(requestHead("GET", "a", tt.path), nobody)
		if !m.Found || m.HasTarget != tt.target || (m.Target == "a") != tt.target || (m.Action != nil) != tt.action {
			t.Errorf("%s: got %+v, want found, target %v, action %v", tt.path, m, tt.target, tt.action)
		}
	}
	m := table.Match(requestHead("GET", "a", "/redirect"), nobody)
	if m.Action.Redirect != routes[2].Redirect || m.Action.Respond != nil {
		t.Errorf("the redirection is %+v", m.Action)
	}
	m = table.Match(requestHead("GET", "a", "/respond"), nobody)
	if m.Action.Respond != routes[3].Respond || m.Action.Redirect != nil {
		t.Errorf("the response is %+v", m.Action)
	}
}

func TestMatchAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("with the race detector pools lose what was put back, and expressions use one")
	}
	table := New([]config.Route{
		{Host: "*.example.com", PathPrefix: "/api", Methods: []string{"POST"}, Pool: "a"},
		{Path: "/x", Pool: "b"},
		{PathRegex: "^/[0-9]+/(a|b)*$", Pool: "c"},
		{Headers: []config.Header{{Name: "X-A", Value: "1"}}, Pool: "d"},
		{Query: []config.Parameter{{Name: "a b", Value: "c"}}, Pool: "e"},
		{Source: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Pool: "f"},
		{Path: "/split", Split: []config.Arm{{Pool: "a", Weight: 2}, {Pool: "b", Weight: 1}}},
	}, "default", identity)
	heads := []*message.Head{
		requestHead("GET", "www.example.com:80", "/api/x?y&a+b=%63d&a%20=c"),
		requestHead("POST", "www.example.com", "/%61pi/../api/x"),
		requestHead("GET", "a", "/%20"+strings.Repeat("x", 10_000)),
		requestHead("GET", "a", "/a%2fb//c;d/e\\f/%25"+strings.Repeat("x", 10_000)),
		requestHead("GET", "a", "/42/abc//"),
		requestHead("GET", "a", "/split"),
		requestHead("GET", "a", "/42/abc"),
		parseHead(t, "GET", "/", "X-A: 2", "X-B: 1"),
	}
	client := netip.MustParseAddr("::ffff:192.0.2.1")
	allocs := testing.AllocsPerRun(100, func() {
		for _, h := range heads {
			if !table.Match(h, client).Found {
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
	for name, target := range map[string]string{"plain": "/api/v1/things/42?x=y", "escaped": "/api/v1/%74hings/42?x=y", "odd": "/api/v1/a%2fb/42?x=y"} {
		b.Run(name, func(b *testing.B) {
			h := requestHead("GET", "d.example", target)
			b.ReportAllocs()
			for b.Loop() {
				table.Match(h, nobody)
			}
		})
	}
}
