package route

import (
	"net/netip"
	"slices"
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
