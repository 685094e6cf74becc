package route

import (
	"net/netip"
	"strings"
	"testing"

	"weir/config"
	"weir/internal/sniff"
)

func TestExplain(t *testing.T) {
	l := &config.Listener{Pool: "rest", Origin: config.Origin{File: "w.yaml", Line: 2, Column: 3}, Routes: []config.Route{
		{Host: "*.shop.example", PathPrefix: "/api/", Pool: "api"},
		{Path: "/old", Redirect: &config.Redirect{To: "/new", Status: 308}},
		{Methods: []string{"PUT"}, Source: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Pool: "put"},
		{Headers: []config.Header{{Name: "X-A", Value: "1"}}, Query: []config.Parameter{{Name: "q", Value: "v"}}, PathRegex: "^/z", Pool: "odd"},
		{PathPrefix: "/split", Split: []config.Arm{{Pool: "blue", Weight: 1}}},
	}}
	src := netip.MustParseAddr("192.0.2.1")
	tests := []struct {
		name, method, target, host string
		pool                       string
		taken                      int
		why                        []string // of the verdicts, from the first on
	}{
		{"wildcard host", "GET", "/api/x", "a.shop.example:80", "api", 0, []string{"matches", "not reached"}},
		{"host and path", "GET", "/apis", "shop.example", "rest", 5, []string{
			`the host is "shop.example"; the path "/apis" is not below it`, `the path is "/apis"`, "the method is GET; the client is 192.0.2.1",
			`no field X-A has that value; no parameter q has that value; the path "/apis" does not match the expression`, "is not below it", "no route matches"}},
		{"answered", "GET", "/old?x", "x", "", 1, []string{"the host", "matches", "not reached", "", "", "not reached: a route matches"}},
		{"split", "GET", "/split/1", "x", "blue", 4, []string{"", "", "", "", "matches; the address of the client falls to blue"}},
		{"plain form", "GET", "/api/../%6fld", "x", "", 1, []string{"the host", "matches"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := requestHead(tt.method, tt.host, tt.target)
			e := Explain(l, h, src)
			if e.Pool != tt.pool || e.Refused != NotRefused || len(e.Verdicts) != 6 {
				t.Fatalf("got pool %q, refused %v, %d verdicts, want %q", e.Pool, e.Refused, len(e.Verdicts), tt.pool)
			}
			for i, v := range e.Verdicts {
				if v.Taken != (i == tt.taken) || v.Why == "" || v.Does == "" {
					t.Errorf("verdict %d: %+v", i, v)
				}
				if i < len(tt.why) && !strings.Contains(v.Why, tt.why[i]) {
					t.Errorf("verdict %d: got %q, want %q", i, v.Why, tt.why[i])
				}
			}
			m := New(l.Routes, l.Pool, func(pool string) string { return pool }).Match(h, src)
			if m.Target != e.Pool {
				t.Errorf("the table says %q", m.Target)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		e := Explain(l, requestHead("GET", "a.shop.example", "/api/..%2fold"), src)
		if e.Refused != AmbiguousPath || e.Pool != "" || e.Verdicts[0].Taken || !strings.Contains(e.Verdicts[0].Why, "another way") {
			t.Errorf("got %+v", e)
		}
	})
}

func TestExplainStream(t *testing.T) {
	l := &config.Listener{Routes: []config.Route{
		{SNI: []string{"*.bank.example"}, Pool: "bank"},
		{ALPN: []string{"h2"}, Source: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Pool: "two"},
		{Source: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Split: []config.Arm{{Pool: "blue", Weight: 1}}},
	}}
	client := netip.MustParseAddr("10.1.2.3")
	tests := []struct {
		name, sni string
		src       netip.Addr
		pool, why string
		taken     int
	}{
		{"named", "a.bank.example", client, "bank", "matches", 0},
		{"not named", "", client, "blue", "the client names no server", 2},
		{"another name", "bank.example", client, "blue", `the client asks for "bank.example"`, 2},
		{"nowhere", "x", netip.MustParseAddr("192.0.2.1"), "", "", -1},
	}
	for _, tt := range tests {
		e := ExplainStream(l, &sniff.Hello{ServerName: []byte(tt.sni)}, tt.src)
		if e.Pool != tt.pool || !strings.Contains(e.Verdicts[0].Why, tt.why) {
			t.Errorf("%s: got %q, %q", tt.name, e.Pool, e.Verdicts[0].Why)
		}
		for i, v := range e.Verdicts {
			if v.Taken != (i == tt.taken) {
				t.Errorf("%s: verdict %d: %+v", tt.name, i, v)
			}
		}
	}
	if why := ExplainStream(l, &sniff.Hello{}, netip.MustParseAddr("192.0.2.1")).Verdicts[1].Why; why != "the client is 192.0.2.1; the client does not offer that protocol" {
		t.Errorf("got %q", why)
	}
}
