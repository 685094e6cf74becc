package config

import (
	"bytes"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// loadAll loads a configuration of any feature without errors or warnings.
func loadAll(t *testing.T, text string) *Config {
	t.Helper()
	return mustLoad(t, text, withFeatures(every()))
}

const onesKey = "0101010101010101010101010101010101010101010101010101010101010101"

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func TestResolveListenerTLS(t *testing.T) {
	load := func(keys string) *Listener {
		return loadAll(t, "listeners: { web: { protocol: https, address: \":443\", pool: app, timeouts: { client_tls: 3s }, tls: { "+keys+" } } }\n"+appPool).Listeners["web"]
	}
	l := load("certificates: [{ cert: a.crt, key: /b/a.key }]")
	want := &ListenerTLS{Certificates: []Certificate{{"a.crt", "/b/a.key"}}, MinVersion: TLS12, MaxVersion: TLS13, ALPN: []string{"http/1.1"}}
	if !reflect.DeepEqual(l.TLS, want) || l.Protocol != HTTPS || l.Timeouts.TLS != 3*time.Second {
		t.Errorf("defaults: got %+v, want %+v", l.TLS, want)
	}
	got := load("certificates: [{ cert: a.crt, key: a.key }, { cert: b.crt, key: b.key }], alpn: [], client_ca: ca.pem, ticket_keys: " + onesKey)
	if got.TLS.ClientAuth != ClientAuthRequire || len(got.TLS.ALPN) != 1 || len(got.TLS.Certificates) != 2 || !bytes.Equal(got.TLS.TicketKeys[0], bytes.Repeat([]byte{1}, 32)) {
		t.Errorf("got %+v", got.TLS)
	}
	if c := mustLoad(t, webListener+appPool); c.Listeners["web"].TLS != nil {
		t.Errorf("an http listener has %+v", c.Listeners["web"].TLS)
	}
}

func TestResolvePersistence(t *testing.T) {
	key := [][]byte{bytes.Repeat([]byte{1}, 32)}
	tests := []struct {
		name, text string
		want       *Persistence
	}{
		{"defaults", "{ cookie: { keys: " + onesKey + " } }", &Persistence{PersistHTTPCookie, 24 * time.Hour,
			SessionCookie{Name: "WEIR", Path: "/", Secure: SecureAuto, HTTPOnly: true, SameSite: SameSiteLax, Keys: key}, FallbackRebalance}},
		{"attributes", "{ timeout: 5m, fallback: fail, cookie: { name: __Host-S, max_age: 90s, secure: always, http_only: false, same_site: NONE, keys: [" + onesKey + "] } }",
			&Persistence{PersistHTTPCookie, 5 * time.Minute,
				SessionCookie{Name: "__Host-S", Path: "/", MaxAge: 90 * time.Second, Secure: SecureAlways, SameSite: SameSiteNone, Keys: key}, FallbackFail}},
		{"app_cookie", "{ type: app_cookie, cookie: { name: \"*\" } }", &Persistence{Type: PersistAppCookie, Timeout: 24 * time.Hour, Cookie: SessionCookie{Name: "*"}, Fallback: FallbackRebalance}},
		{"one word", "source_ip", &Persistence{Type: PersistSourceIP, Timeout: 24 * time.Hour, Fallback: FallbackRebalance}},
	}
	for _, tt := range tests {
		c := loadAll(t, webListener+"pools: { app: { session_persistence: "+tt.text+", backends: [\"10.0.0.11:8080\"] } }\n")
		if got := c.Pools["app"].Persistence; !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
	if c := mustLoad(t, webListener+appPool); c.Pools["app"].Persistence != nil {
		t.Errorf("without the key there is %+v", c.Pools["app"].Persistence)
	}
}

func TestResolveAdmission(t *testing.T) {
	for text, want := range map[string]RateLimit{
		"{ rate: 2.5 }": {RateClientIP, 2.5, 3}, "{ rate: 0.1 }": {RateClientIP, 0.1, 1}, "{ rate: 2, burst: 50 }": {RateClientIP, 2, 50}, "{ rate: 0 }": {Key: RateClientIP},
	} {
		l := loadAll(t, "listeners: { web: { protocol: http, address: \":80\", pool: app, rate_limit: "+text+" } }\n"+appPool).Listeners["web"]
		if l.RateLimit != want {
			t.Errorf("%s: got %+v, want %+v", text, l.RateLimit, want)
		}
	}
	l := loadAll(t, `
defaults: { limits: { min_body_rate: 1KiB, per_client_connections: 7 } }
listeners:
  web:
    protocol: http
    address: ":80"
    pool: app
    allow: ["::ffff:10.0.0.0/104", 2001:db8::/32]
    deny: 10.0.0.1
    limits: { new_connections_per_second: 5, per_client_connections: 0 }
    error_pages: { 503: a.html, "404": /b.html }
`+appPool).Listeners["web"]
	if want := (Access{prefixes("10.0.0.0/8", "2001:db8::/32"), prefixes("10.0.0.1/32")}); !reflect.DeepEqual(l.Access, want) {
		t.Errorf("got %v, want %v", l.Access, want)
	}
	if m := l.Limits; m.NewConnections != 5 || m.PerClient != 0 || m.MinBodyRate != 1024 {
		t.Errorf("got %+v", m)
	}
	if want := map[int]string{503: "a.html", 404: "/b.html"}; !reflect.DeepEqual(l.ErrorPages, want) {
		t.Errorf("got %v, want %v", l.ErrorPages, want)
	}
}

func TestResolveRoutes(t *testing.T) {
	routes := loadAll(t, `
listeners:
  web:
    protocol: http
    address: ":80"
    routes:
      - { path_regex: "^/a", headers: { X-B: "1", x-a: two words }, query: { q: "", "a b": 1 }, source: 10.0.0.0/8, pool: app }
      - { path_prefix: /b, split: [{ pool: app, weight: 9 }, { pool: other }], strip_prefix: /b, rewrite: "/c{path}",
          request_headers: { set: { Host: "a.example:80", X-Z: z, X-Y: y }, add: { Via: weir }, remove: [X-Q, X-P] }, response_headers: { remove: Server } }
      - { path: /c, redirect: { to: "/d{path}{query}" } }
      - { path: /d, redirect: { to: "https://{host}/", status: 301 } }
      - { path: /e, respond: { status: 404, body: gone }, response_headers: { set: { X: y } } }
pools:
  app: { backends: ["10.0.0.11:8080"] }
  other: { backends: ["10.0.0.12:8080"] }
`).Listeners["web"].Routes
	want := []Route{
		{PathRegex: "^/a", Headers: []Header{{"X-B", "1"}, {"x-a", "two words"}}, Query: []Parameter{{"q", ""}, {"a b", "1"}}, Source: prefixes("10.0.0.0/8"), Pool: "app"},
		{
			PathPrefix: "/b", Split: []Arm{{"app", 9}, {"other", 1}}, StripPrefix: "/b", Rewrite: "/c{path}",
			RequestHeaders:  HeaderChange{[]string{"X-Q", "X-P"}, []Header{{"Host", "a.example:80"}, {"X-Z", "z"}, {"X-Y", "y"}}, []Header{{"Via", "weir"}}},
			ResponseHeaders: HeaderChange{Remove: []string{"Server"}},
		},
		{Path: "/c", Redirect: &Redirect{"/d{path}{query}", 302}},
		{Path: "/d", Redirect: &Redirect{"https://{host}/", 301}},
		{Path: "/e", Respond: &Respond{404, "gone", "text/plain; charset=utf-8"}, ResponseHeaders: HeaderChange{Set: []Header{{"X", "y"}}}},
	}
	for i := range routes {
		routes[i].Origin = Origin{}
		if !reflect.DeepEqual(routes[i], want[i]) {
			t.Errorf("route %d: got %+v, want %+v", i, routes[i], want[i])
		}
	}
}

func TestResolveConditionsAndTunnels(t *testing.T) {
	p := loadAll(t, webListener+"defaults: { timeouts: { half_close: 5s } }\npools: { app: { timeouts: { tunnel_idle: 0 }, retries: { on: [Timeout, 502, reset] }, backends: [\"10.0.0.11:8080\"] } }\n").Pools["app"]
	if want := []RetryOn{RetryTimeout, Retry502, RetryReset}; !reflect.DeepEqual(p.Retries.On, want) {
		t.Errorf("got %v, want %v", p.Retries.On, want)
	}
	if p.Timeouts.Tunnel != 0 || p.Timeouts.HalfClose != 5*time.Second {
		t.Errorf("got %+v", p.Timeouts)
	}
}

// TestUnusedPoolsOfSplits wants an arm to count as a use of its pool, and an unreadable one as a
// possible one.
func TestUnusedPoolsOfSplits(t *testing.T) {
	text := "listeners: { web: { protocol: http, address: \":80\", routes: [{ split: ARMS }] } }\npools: { app: { backends: [\"10.0.0.11:8080\"] }, other: { backends: [\"10.0.0.12:8080\"] } }\n"
	for arms, warned := range map[string]bool{
		"[{ pool: app }, { pool: other }]": false, "[{ pool: app }, { pol: other }]": false, "[{ pool: app }, x]": false, "x": false, "[{ pool: app }]": true,
	} {
		_, report := LoadBytes("x.yaml", []byte(strings.Replace(text, "ARMS", arms, 1)), withFeatures(every()))
		if got := report.Warnings() > 0; got != warned {
			t.Errorf("%s: got %v", arms, report.Diagnostics)
		}
	}
}
