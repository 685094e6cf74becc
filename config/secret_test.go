package config

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What a check must not tell of itself is known: contents of files, in any form, and credentials.
func TestSecretsOfHealthChecks(t *testing.T) {
	dir := tree(t, map[string]string{"short": "abc\n", "long": "abcdef", "hex": "68756e74", "weir.yaml": `
listeners: { web: { protocol: tcp, address: ":80", pool: tcp }, http: { protocol: http, address: ":81", pool: http } }
pools:
  http:
    health_check: { protocol: http, path: "/?k=${file:short}", body: "${file:long}", headers: { Authorization: Bearer x, X-Other: "${file:short}", Accept: y } }
    backends: ["10.0.0.1:80"]
  tcp:
    protocol: tcp
    health_check: { protocol: tcp, send: "hex:${file:hex}", expect: "ok" }
    backends: ["10.0.0.1:80"]
  plain:
    protocol: tcp
    health_check: { protocol: tcp, send: "PING", expect: "${ANSWER:-ok}" }
    backends: ["10.0.0.1:80"]
`})
	c, report := Load(filepath.Join(dir, "weir.yaml"))
	if c == nil {
		t.Fatal(report.Diagnostics)
	}
	for pool, want := range map[string][]string{"http": {"Bearer x", "abcdef", "abc"}, "tcp": {"68756e74", "hunt"}, "plain": nil} {
		if got := c.Pools[pool].Health.Secrets; !slices.Equal(got, want) {
			t.Errorf("%s: got %s, want %s", pool, strings.Join(got, "|"), strings.Join(want, "|"))
		}
	}
}
