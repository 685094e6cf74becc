package config

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// TestCovers compares the rule for unreachable routes with what the routes match.
func TestCovers(t *testing.T) {
	hosts := []string{"", "a.example", "*.example", "*.a.example", "b.a.example"}
	paths := []Route{{}, {Path: "/a"}, {Path: "/a/b"}, {PathPrefix: "/"}, {PathPrefix: "/a"}, {PathPrefix: "/a/"}, {PathPrefix: "/ab"}, {PathPrefix: "/a/b"}}
	methods := [][]string{nil, {"GET"}, {"GET", "HEAD"}}
	var routes []Route
	for _, h := range hosts {
		for _, p := range paths {
			for _, m := range methods {
				routes = append(routes, Route{Host: h, Path: p.Path, PathPrefix: p.PathPrefix, Methods: m})
			}
		}
	}
	type request struct{ host, path, method string }
	var requests []request
	for _, h := range []string{"a.example", "b.a.example", "c.b.a.example", "d.example", "other"} {
		for _, p := range []string{"/", "/a", "/a/", "/a/b", "/a/b/c", "/a/c", "/ab", "/ab/c", "/b"} {
			for _, m := range []string{"GET", "HEAD", "POST"} {
				requests = append(requests, request{h, p, m})
			}
		}
	}
	matches := func(r Route, q request) bool {
		host := r.Host == "" || r.Host == q.host || strings.HasPrefix(r.Host, "*.") && strings.HasSuffix(q.host, r.Host[1:])
		path := r.Path == "" || r.Path == q.path
		prefix := r.PathPrefix == "" || hasSegments(q.path, r.PathPrefix)
		method := len(r.Methods) == 0 || strings.Contains(strings.Join(r.Methods, " "), q.method)
		return host && path && prefix && method
	}
	for _, a := range routes {
		for _, b := range routes {
			all := true
			for _, q := range requests {
				if matches(b, q) && !matches(a, q) {
					all = false
					break
				}
			}
			got := covers(a, b)
			if got && !all {
				t.Errorf("%+v is said to cover %+v", a, b)
			}
			// "/" covers everything too, but nobody need say so in another way.
			if !got && all && !(a.PathPrefix == "/" && b.Path == "" && b.PathPrefix == "") {
				t.Errorf("%+v covers %+v", a, b)
			}
		}
	}
}

// TestCoversMatchers does the same for the other matchers, of which some are left to the reader.
func TestCoversMatchers(t *testing.T) {
	var routes []Route
	for _, regex := range []string{"", "^/a", "^/ab"} {
		for _, headers := range [][]Header{nil, {{"X-A", "1"}}, {{"x-a", "1"}, {"X-B", "1"}}, {{"X-A", "2"}}} {
			for _, query := range [][]Parameter{nil, {{"a", "1"}}, {{"b", "1"}, {"a", "1"}}, {{"a", "2"}}} {
				for _, source := range [][]netip.Prefix{nil, prefixes("10.0.0.0/8"), prefixes("10.1.0.0/16", "10.2.0.0/16"), prefixes("10.1.2.3/32"), prefixes("::/0")} {
					routes = append(routes, Route{PathRegex: regex, Headers: headers, Query: query, Source: source})
				}
			}
		}
	}
	type request struct {
		path    string
		headers map[string]string
		query   map[string]string
		source  netip.Addr
	}
	var requests []request
	for _, path := range []string{"/", "/a", "/ab"} {
		for _, headers := range []map[string]string{{}, {"x-a": "1"}, {"x-a": "1", "x-b": "1"}, {"x-a": "2", "x-b": "1"}} {
			for _, query := range []map[string]string{{}, {"a": "1"}, {"a": "1", "b": "1"}, {"a": "2", "b": "1"}} {
				for _, source := range []string{"10.1.2.3", "10.2.0.1", "10.3.0.1", "192.0.2.1", "::1"} {
					requests = append(requests, request{path, headers, query, netip.MustParseAddr(source)})
				}
			}
		}
	}
	matches := func(r Route, q request) bool {
		for _, h := range r.Headers {
			if q.headers[strings.ToLower(h.Name)] != h.Value {
				return false
			}
		}
		for _, p := range r.Query {
			if q.query[p.Name] != p.Value {
				return false
			}
		}
		inside := len(r.Source) == 0
		for _, p := range r.Source {
			inside = inside || p.Contains(q.source)
		}
		return inside && strings.HasPrefix(q.path, strings.TrimPrefix(r.PathRegex, "^"))
	}
	matched := make([][]bool, len(routes)) // by route and request
	for i, r := range routes {
		for _, q := range requests {
			matched[i] = append(matched[i], matches(r, q))
		}
	}
	found := 0
	for i, a := range routes {
		for j, b := range routes {
			got := covers(a, b)
			if got {
				found++
			}
			// Of expressions, only the same one is known to cover.
			want := a.PathRegex == "" || a.PathRegex == b.PathRegex
			for q := range requests {
				want = want && (matched[i][q] || !matched[j][q])
			}
			if got != want {
				t.Fatalf("covers(%+v, %+v) = %v, want %v", a, b, got, want)
			}
		}
	}
	if found < 2*len(routes) {
		t.Errorf("only %d pairs", found)
	}
}

// TestEffort holds what bounds the search for unreachable routes against what it bounds.
func TestEffort(t *testing.T) {
	const n = 100
	for _, r := range []Route{{Methods: make([]string, n)}, {Headers: make([]Header, n)}, {Query: make([]Parameter, n)}, {Source: make([]netip.Prefix, n)}} {
		if got := effort(r, r); got < n*n {
			t.Errorf("%d comparisons, want at least %d", got, n*n)
		}
	}
	if got := effort(Route{}, Route{}); got != 1 {
		t.Errorf("%d comparisons of empty routes, want 1", got)
	}
}

func TestOverlap(t *testing.T) {
	ip := func(s string) netip.Addr {
		if s == "" {
			return netip.Addr{}
		}
		return netip.MustParseAddr(s)
	}
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"", "", true}, {"", "10.0.0.1", true}, {"", "::1", true}, {"0.0.0.0", "10.0.0.1", true}, {"0.0.0.0", "::1", false},
		{"10.0.0.1", "10.0.0.1", true}, {"10.0.0.1", "10.0.0.2", false}, {"::1", "::1", true},
	} {
		if overlap(ip(tt.a), ip(tt.b)) != tt.want || overlap(ip(tt.b), ip(tt.a)) != tt.want {
			t.Errorf("overlap(%q, %q): want %v", tt.a, tt.b, tt.want)
		}
	}
}

// TestMatrix pretends that there are more protocols than this version has.
func TestMatrix(t *testing.T) {
	v := func(k *key, raw any) *value { return &value{key: k, given: true, raw: raw, path: k.path} }
	pools, listeners := vocabulary().child("pools"), vocabulary().child("listeners")
	pool := &value{key: pools.item, name: "p", path: "pools.p", given: true, fields: map[string]*value{"protocol": v(pools.item.child("protocol"), "udp")}}
	listener := &value{key: listeners.item, path: "listeners.l", given: true, fields: map[string]*value{"protocol": v(listeners.item.child("protocol"), "http")}}
	all := &value{key: pools, given: true, fields: map[string]*value{"p": pool}, items: []*value{pool}}
	c := checker{root: &value{key: vocabulary(), fields: map[string]*value{"pools": all}}, found: &findings{}, used: map[string]bool{}}
	c.reference(v(listeners.item.child("pool"), "p"), listener)
	ds := c.found.sorted()
	if len(ds) != 1 || ds[0].Message != "listeners.l (http) cannot use pools.p (udp)" || !strings.Contains(ds[0].Hint, "http or https") {
		t.Errorf("got %+v", ds)
	}
}

func TestProbeResolution(t *testing.T) {
	load := func(pool string) *Pool {
		t.Helper()
		_, _, ok := strings.Cut(pool, ":")
		if !ok {
			t.Fatal(pool)
		}
		c, report := LoadBytes("x.yaml", []byte(webListener+"pools: { app: { "+pool+" } }\n"))
		if err := report.Err(); err != nil {
			t.Fatal(err)
		}
		return c.Pools["app"]
	}
	const https = `protocol: https, backends: ["10.0.0.1:8443"], health_check: `
	for pool, want := range map[string]Protocol{
		https + "{ protocol: http }":                                  HTTPS,
		https + "{ protocol: http, plaintext: true }":                 HTTP,
		https + "{ protocol: https, plaintext: true }":                HTTP,
		https + "{ protocol: https }":                                 HTTPS,
		https + "{}":                                                  TCP,
		`backends: ["10.0.0.1:80"], health_check: { protocol: http }`: HTTP,
		`backends: ["10.0.0.1:80"], tls: { server_name: x }, health_check: { protocol: https }`:       HTTPS,
		`backends: ["10.0.0.1:80"], health_check: { protocol: HTTPS, plaintext: true, path: /alive }`: HTTP,
	} {
		if got := load(pool).Health.Protocol; got != want {
			t.Errorf("%s: got %s, want %s", pool, got, want)
		}
	}
	for backends, want := range map[string]string{
		`health_check: {}, backends: { b: 10.0.0.1:80 }`:                                                             "10.0.0.1:80",
		`health_check: { port: 81 }, backends: { b: 10.0.0.1:80 }`:                                                   "10.0.0.1:81",
		`health_check: { port: 81 }, backends: { b: { address: 10.0.0.1:80, health_check: { port: 82 } } }`:          "10.0.0.1:82",
		`health_check: { port: 81 }, backends: { b: { address: 10.0.0.1:80, health_check: { address: 10.0.0.9 } } }`: "10.0.0.9:81",
		`backends: { b: { address: 10.0.0.1:80, health_check: { address: "::1" } } }`:                                "[::1]:80",
	} {
		if got := load(backends).Backends[0].ProbeAddress.String(); got != want {
			t.Errorf("%s: got %s, want %s", backends, got, want)
		}
	}
	if p := load(`health_check: None, backends: ["10.0.0.1:80"]`); p.Health != nil {
		t.Error("none has a health check")
	}
}

func TestBackendsKeepTheirOrder(t *testing.T) {
	var b strings.Builder
	b.WriteString(webListener + "pools:\n  app:\n    backends:\n")
	for i := range 50 {
		fmt.Fprintf(&b, "      z%d: 10.0.0.%d:80\n", 99-i, i+1)
	}
	for i, backend := range mustLoad(t, b.String()).Pools["app"].Backends {
		if want := fmt.Sprintf("z%d", 99-i); backend.Name != want {
			t.Fatalf("backend %d: got %s, want %s", i, backend.Name, want)
		}
	}
}
