package config

import (
	"crypto/tls"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// every has all features on.
func every() features { return features{true, true, true, true, true, true, true, true} }

// listenerTLSText is a listener's tls with a certificate.
const listenerTLSText = "tls: { certificates: [{ cert: a.crt, key: a.key }] }"

// TestFeatures switches each feature on alone: what is behind it loads then, and is an error that
// says so otherwise.
func TestFeatures(t *testing.T) {
	listener := func(keys string) string {
		return "listeners: { web: { protocol: http, address: \":80\", pool: app, " + keys + " } }\n" + appPool
	}
	route := func(keys string) string { return listener("routes: [{ " + keys + " }]") }
	pool := func(keys string) string {
		return webListener + "pools: { app: { backends: [\"10.0.0.11:8080\"], " + keys + " } }\n"
	}
	stream := func(l, p string) string {
		return "listeners: { web: { address: \":80\", pool: app, " + l + " } }\npools: { app: { backends: [\"10.0.0.11:8080\"], " + p + " } }\n"
	}
	defaults := func(keys string) string { return "defaults: { " + keys + " }\n" + webListener + appPool }
	tests := []struct {
		name  string
		on    features
		texts []string
	}{
		{"tlsListeners", features{tlsListeners: true}, []string{
			"listeners: { web: { protocol: https, address: \":443\", pool: app, " + listenerTLSText + " } }\n" + appPool,
			"listeners: { web: { protocol: https, address: \":443\", pool: app, timeouts: { client_tls: 1s }, " + listenerTLSText + " } }\n" + appPool, defaults("timeouts: { client_tls: 1s }"),
		}},
		{"persistence", features{persistence: true}, []string{pool("session_persistence: source_ip"), pool("session_persistence: { type: app_cookie, cookie: { name: S } }")}},
		{"admission", features{admission: true}, []string{
			listener("allow: 10.0.0.0/8"), listener("deny: [10.0.0.0/8]"), listener("rate_limit: { rate: 5 }"),
			listener("limits: { new_connections_per_second: 1 }"), listener("limits: { per_client_connections: 1 }"), listener("limits: { min_body_rate: 1KiB }"),
			defaults("limits: { min_body_rate: 1KiB, per_client_connections: 1, new_connections_per_second: 1 }"),
		}},
		{"routesFull", features{routesFull: true}, []string{
			route("path_regex: ^/x, pool: app"), route("headers: { X-A: b }, pool: app"), route("query: { a: b }, pool: app"), route("source: 10.0.0.0/8, pool: app"),
			route("path: /a, split: [{ pool: app }]"), route("path: /a, redirect: { to: /b }"), route("path: /a, respond: { status: 404 }"),
			route("strip_prefix: /a, pool: app"), route("rewrite: /a, pool: app"), route("request_headers: { remove: X }, pool: app"), route("response_headers: { remove: X }, pool: app"),
			listener("request_id: true"), listener("error_pages: { 503: a.html }"),
		}},
		{"upgrade", features{upgrade: true}, []string{pool("timeouts: { tunnel_idle: 1s }"), pool("timeouts: { half_close: 1s }"), defaults("timeouts: { tunnel_idle: 1s, half_close: 1s }")}},
		{"retryConditions", features{retryConditions: true}, []string{
			pool("retries: { on: timeout }"), pool("retries: { on: 502 }"), pool("retries: { on: \"503\" }"), pool("retries: { on: [reset, 504] }"),
		}},
		{"layer4", features{layer4: true}, []string{
			stream("protocol: tcp", "protocol: tcp"), stream("protocol: tcp, tcp: { keepalive: 5s }", "protocol: tcp"), stream("protocol: udp, udp: { responses: 1 }", "protocol: udp"),
			stream("protocol: udp, limits: { max_sessions: 5 }, timeouts: { udp_idle: 5s }", "protocol: udp"), stream("protocol: tcp, timeouts: { tcp_idle: 5s }", "protocol: tcp"),
			stream("protocol: tcp, routes: [{ sni: a.example, alpn: h2, pool: app }]", "protocol: tcp"),
			listener("accept_proxy_protocol: { from: 10.0.0.0/8 }"), pool("send_proxy_protocol: v2"), stream("protocol: tcp", "protocol: tcp, target_rebalance: true, rebalance_rate: 5"),
			stream("protocol: udp", "protocol: udp, health_check: { protocol: udp }"), pool("health_check: { protocol: tls }"),
			defaults("timeouts: { tcp_idle: 1s, udp_idle: 1s }, limits: { max_sessions: 5 }"),
		}},
		{"capacity", features{capacity: true}, []string{
			pool("max_connections: 5, queue: { max: 5 }"), pool("queue: { timeout: 1s }"), pool("drain_timeout: 5s"), defaults("timeouts: { drain: 5s }"),
		}},
	}
	if got, want := len(tests), reflect.TypeFor[features]().NumField(); got != want {
		t.Errorf("%d features are tested, want %d", got, want)
	}
	for _, tt := range tests {
		for _, text := range tt.texts {
			if _, report := LoadBytes("x.yaml", []byte(text), withFeatures(tt.on)); len(report.Diagnostics) > 0 {
				t.Errorf("%s is on: %v\n%s", tt.name, report.Diagnostics, text)
			}
			_, report := LoadBytes("x.yaml", []byte(text), withFeatures(features{}))
			if report.Errors() == 0 || strings.Count(fmt.Sprint(report.Err()), " is not supported by this version") != report.Errors() {
				t.Errorf("%s is off: got %v\n%s", tt.name, report.Err(), text)
			}
		}
	}
}

// TestFeaturesInSchema wants the schema and the reference to know of a key exactly when it is on.
func TestFeaturesInSchema(t *testing.T) {
	off, on := vocabularyOf(features{}), vocabularyOf(every())
	for _, name := range []string{"session_persistence", "rate_limit", "path_regex", "tunnel_idle", "client_tls", "request_headers", "min_body_rate",
		"sni", "accept_proxy_protocol", "target_rebalance", "udp_idle", "max_sessions", "drain_timeout", "send_proxy_protocol"} {
		property, row := fmt.Sprintf("%q: {", name), "| `"+name+"` | "
		if strings.Contains(string(schemaFor(off)), property) || !strings.Contains(string(schemaFor(on)), property) {
			t.Errorf("the schema does not follow the switch of %s", name)
		}
		if strings.Contains(string(referenceFor(off)), row) || !strings.Contains(string(referenceFor(on)), row) {
			t.Errorf("the reference does not follow the switch of %s", name)
		}
	}
}

// TestFeaturesTogether loads a file that uses all of them, without a warning.
func TestFeaturesTogether(t *testing.T) {
	data, err := os.ReadFile("testdata/good/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := loadAll(t, string(data))
	if l := c.Listeners["shop"]; len(l.Routes) != 6 || l.TLS == nil || l.Limits.PerClient != 200 {
		t.Errorf("got %+v", l)
	}
}

// TestCipherSuites compares the words of the table with the suites that there are.
func TestCipherSuites(t *testing.T) {
	known := map[string]bool{}
	for _, s := range tls.CipherSuites() {
		known[s.Name] = slices.Contains(s.SupportedVersions, tls.VersionTLS12)
	}
	for _, name := range cipherSuites() {
		if !known[name] {
			t.Errorf("%s is not a secure suite of TLS 1.2", name)
		}
	}
}
