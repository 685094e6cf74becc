package route

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"weir/config"
)

func TestDescribe(t *testing.T) {
	at := func(line int) config.Origin { return config.Origin{File: "weir.yaml", Line: line, Column: 9} }
	l := &config.Listener{Origin: at(3), Pool: "web", Routes: []config.Route{
		{Origin: at(5), Host: "*.shop.example", PathPrefix: "/api/", Methods: []string{"GET", "HEAD"}, Pool: "api", StripPrefix: "/api", Rewrite: "/v2{path}"},
		{Origin: at(6), PathRegex: "^/[0-9]+$", Headers: []config.Header{{Name: "X-A", Value: "b c"}}, Query: []config.Parameter{{Name: "q", Value: ""}},
			Source: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}, Split: []config.Arm{{Pool: "a", Weight: 9}, {Pool: "b", Weight: 1}}},
		{Origin: at(7), Path: "/old", Redirect: &config.Redirect{To: "https://{host}/new", Status: 308}},
		{Origin: at(8), Respond: &config.Respond{Status: 405}, ResponseHeaders: config.HeaderChange{Add: []config.Header{{Name: "Allow", Value: "GET"}}}},
		{Origin: at(10), SNI: []string{"a.example", "*.b.example"}, ALPN: []string{"h2", "imap"}, Pool: "mail"},
		{Origin: at(9), Pool: "web", RequestHeaders: config.HeaderChange{Remove: []string{"X-B"}, Set: []config.Header{{Name: "Authorization", Value: "secret"}}}},
	}}
	want := []string{
		`weir.yaml:5: host *.shop.example, path_prefix /api/, method GET or HEAD → pool api, strip_prefix /api, rewrite /v2{path}`,
		`weir.yaml:6: path_regex ^/[0-9]+$, header X-A = "b c", query q = "", source 10.0.0.0/8 or ::1/128 → split a 9 : b 1`,
		`weir.yaml:7: path /old → redirect 308 to https://{host}/new`,
		`weir.yaml:8: everything → respond 405, response add Allow`,
		`weir.yaml:10: sni a.example or *.b.example, alpn h2 or imap → pool mail`,
		`weir.yaml:9: everything → pool web, request remove X-B, request set Authorization`,
		`weir.yaml:3: everything else → pool web`,
	}
	if got := Describe(l); !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	if got := Describe(&config.Listener{Origin: at(3)}); !slices.Equal(got, []string{"weir.yaml:3: everything else → refused, for there is no default pool"}) {
		t.Errorf("without a pool: %q", got)
	}
}

func TestDescribeOrder(t *testing.T) {
	tests := []struct {
		name          string
		first, second config.Route
		want          bool // the first is named
	}{
		{"shorter prefix", config.Route{PathPrefix: "/a", Methods: []string{"GET"}}, config.Route{PathPrefix: "/a/b"}, true},
		{"shorter prefix in another spelling", config.Route{PathPrefix: "/%61"}, config.Route{PathPrefix: "/x/../a/b"}, true},
		{"longer prefix", config.Route{PathPrefix: "/a/b"}, config.Route{PathPrefix: "/a"}, false},
		{"prefix before path", config.Route{PathPrefix: "/a"}, config.Route{Path: "/a/b"}, true},
		{"prefix before its own path", config.Route{PathPrefix: "/a"}, config.Route{Path: "/a"}, true},
		{"part of a segment", config.Route{PathPrefix: "/a"}, config.Route{Path: "/ab"}, false},
		{"path before prefix", config.Route{Path: "/a"}, config.Route{PathPrefix: "/a"}, false},
		{"same path", config.Route{Path: "/a", Headers: []config.Header{{Name: "X", Value: "y"}}}, config.Route{Path: "/a"}, false},
		{"any path", config.Route{Headers: []config.Header{{Name: "X", Value: "y"}}}, config.Route{Path: "/a"}, true},
		{"any path before an expression", config.Route{Methods: []string{"GET"}}, config.Route{PathRegex: "^/a"}, true},
		{"expression before path", config.Route{PathRegex: "^/a"}, config.Route{Path: "/a"}, false},
		{"prefix before an expression", config.Route{PathPrefix: "/a"}, config.Route{PathRegex: "^/a"}, false},
		{"wildcard before host", config.Route{Host: "*.a.example"}, config.Route{Host: "b.A.example"}, true},
		{"shorter wildcard", config.Route{Host: "*.example"}, config.Route{Host: "*.a.example"}, true},
		{"host before wildcard", config.Route{Host: "b.a.example"}, config.Route{Host: "*.a.example"}, false},
		{"another host", config.Route{Host: "a.example"}, config.Route{Host: "b.example", Path: "/a"}, false},
		{"any host", config.Route{PathPrefix: "/a"}, config.Route{Host: "a.example", PathPrefix: "/a"}, true},
		{"any host, longer path", config.Route{PathPrefix: "/a/b"}, config.Route{Host: "a.example", PathPrefix: "/a"}, false},
		{"other methods", config.Route{PathPrefix: "/a", Methods: []string{"GET"}}, config.Route{PathPrefix: "/a/b", Methods: []string{"POST"}}, false},
		{"everything twice", config.Route{Methods: []string{"GET"}}, config.Route{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.first.Origin.Line, tt.second.Origin.Line = 5, 6
			line := Describe(&config.Listener{Routes: []config.Route{tt.first, tt.second}})[1]
			if got := strings.HasSuffix(line, " (behind :5, which is less specific)"); got != tt.want {
				t.Errorf("got %q: a hint is %v, want %v", line, got, tt.want)
			}
		})
	}
}
