package config

import (
	"errors"
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

// A text of somebody else's reads no file that is not in force, and shows no variable.
func TestForeign(t *testing.T) {
	dir := tree(t, map[string]string{
		"shadow": "root:hunter2:1::\n", "pools.yaml": "pools: { web: { backends: [\"10.0.0.1:80\"] } }\n",
	})
	main := func(more string) []byte {
		return []byte("include: [pools.yaml]\nlisteners: { web: { protocol: http, address: \":80\", pool: web } }\n" + more)
	}
	tests := []struct {
		name, text, says string
	}{
		{"in force", string(main("")), ""},
		{"other file", "include: [shadow]\n", "include[0]: only files that are in force"},
		{"pattern", "include: [\"sh*\"]\n", "include[0]: only files that are in force"},
		{"way around", "include: [\"../" + filepath.Base(dir) + "/shadow\"]\n", "include[0]: only files that are in force"},
		{"variable", string(main("log: { level: \"${TOKEN}\" }\n")), `"${TOKEN}"`},
		{"default", string(main("log: { level: \"${NONE:-debug}\" }\n")), ""},
	}
	environ := Environ(func(name string) (string, bool) { return "hunter2", name == "TOKEN" })
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, report := LoadBytes(filepath.Join(dir, "weir.yaml"), []byte(tt.text), Foreign([]string{filepath.Join(dir, "pools.yaml")}), environ)
			var b strings.Builder
			if err := errors.Join(report.JSON(&b), report.Text(&b, false)); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(b.String(), "hunter2") || strings.Contains(b.String(), "root:") {
				t.Errorf("it tells: %s", b.String())
			}
			if (report.Errors() == 0) != (tt.says == "") || !strings.Contains(b.String(), strings.ReplaceAll(tt.says, `"`, "")) {
				t.Errorf("want %q: %s", tt.says, b.String())
			}
		})
	}
}

// What stands for a secret is none: whoever sends back what was shown must not lose the secret by it. And a
// reference that is none shows nothing.
func TestMaskIsNoSecret(t *testing.T) {
	text := func(value string) []byte {
		return []byte(`
listeners: { http: { protocol: http, address: ":81", pool: http } }
pools: { http: { health_check: { protocol: http, headers: { Authorization: "` + value + `", Accept: "[secret]" } }, backends: ["10.0.0.1:80"] } }
`)
	}
	_, report := LoadBytes("weir.yaml", text(Masked))
	if report.Errors() != 1 || !strings.Contains(report.Err().Error(), "stands for a secret") {
		t.Errorf("got %v", report.Diagnostics)
	}
	c, report := LoadBytes("weir.yaml", text("Bearer hunter2 $${file:x}"))
	if c == nil {
		t.Fatal(report.Diagnostics)
	}
	if spec, _ := c.Spec("pools", "http"); strings.Contains(string(spec), "hunter2") {
		t.Errorf("shown: %s", spec)
	}
}

// Through the API, no file gets to clients that does not do so already.
func TestErrorPagesOfTheAPI(t *testing.T) {
	dir := tree(t, map[string]string{"page.html": "sorry", "shadow": "root:hunter2", "weir.yaml": `
listeners: { web: { protocol: http, address: ":80", pool: web, error_pages: { 503: page.html } } }
pools: { web: { backends: ["10.0.0.1:80"] } }
`})
	for path, want := range map[string]bool{"page.html": true, filepath.Join(dir, "page.html"): true, "shadow": false, "../shadow": false, "/etc/shadow": false} {
		object := Object{Section: "listeners", Name: "api", JSON: []byte(`{"protocol": "http", "address": ":81", "pool": "web", "error_pages": {"502": "` + path + `"}}`)}
		_, report := Load(filepath.Join(dir, "weir.yaml"), Objects([]Object{object}))
		if got := report.Errors() == 0; got != want {
			t.Errorf("%s: got %v, want %v: %v", path, got, want, report.Diagnostics)
		}
	}
}

func TestFieldsOfCredentials(t *testing.T) {
	for name, want := range map[string]bool{"Authorization": true, "cookie": true, "X-Vault-Token": true, "X-API-Key": true, "Private-Token": true,
		"X-Auth-User": true, "X-Client-Secret": true, "Accept": false, "Host": false, "X-Request-ID": false, "Cache-Control": false} {
		v := &value{key: &key{kind: kindFieldValue}, name: name}
		if got := v.secret(); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}
