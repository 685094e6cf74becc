package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

// tree writes files below a new directory and returns it.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	webListener = "listeners: { web: { protocol: http, address: \":80\", pool: app } }\n"
	appPool     = "pools: { app: { backends: [\"10.0.0.11:8080\"] } }\n"
)

func TestIncludes(t *testing.T) {
	dir := tree(t, map[string]string{
		"weir.yaml":       "include: [conf.d/*.yaml, conf.d/b.yaml, \"none/*.yaml\", weir.yaml]\n" + webListener,
		"conf.d/a.yaml":   appPool,
		"conf.d/b.yaml":   "# no pools here\nlisteners:\n  two: { protocol: http, address: \":81\", pool: more }\npools:\n  more: { protocol: https, tls: { ca: ca.pem }, backends: [\"10.0.0.12:8080\"] }\n",
		"conf.d/c.yaml":   "version: 1\nlog: { access: { output: access.log } }\nadmin: { socket: admin.sock }\n",
		"conf.d/skip.yml": "nonsense: true\n",
	})
	main := filepath.Join(dir, "weir.yaml")
	c, report := Load(main)
	if len(report.Diagnostics) > 0 {
		t.Fatal(report.Err(), report.Diagnostics)
	}
	want := []string{main, filepath.Join(dir, "conf.d/a.yaml"), filepath.Join(dir, "conf.d/b.yaml"), filepath.Join(dir, "conf.d/c.yaml")}
	if !reflect.DeepEqual(c.Files, want) {
		t.Errorf("files: got %v, want %v", c.Files, want)
	}
	if got, want := c.Listeners["two"].Origin, (Origin{File: want[2], Line: 3, Column: 3}); got != want {
		t.Errorf("origin: got %v, want %v", got, want)
	}
	if got, want := c.Pools["more"].TLS.CA, filepath.Join(dir, "conf.d/ca.pem"); got != want {
		t.Errorf("a path of an include: got %s, want %s", got, want)
	}
	if got, want := c.Admin.Socket, filepath.Join(dir, "conf.d/admin.sock"); got != want {
		t.Errorf("socket: got %s, want %s", got, want)
	}
	if got, want := c.Log.Access.Output, filepath.Join(dir, "conf.d/access.log"); got != want {
		t.Errorf("access log: got %s, want %s", got, want)
	}
	if got, want := report.Summary, (Summary{2, 2, 2, c.Digest}); got != want {
		t.Errorf("summary: got %+v, want %+v", got, want)
	}
}

func TestDigest(t *testing.T) {
	files := map[string]string{
		"weir.yaml": "include: [more.yaml]\n" + webListener, "more.yaml": "pools: { app: { backends: [\"${file:secret}\"] } }\n",
		"secret": "10.0.0.11:8080\n",
	}
	load := func() *Config {
		c, report := Load(filepath.Join(tree(t, files), "weir.yaml"))
		if err := report.Err(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := load()
	if got := first.Pools["app"].Backends[0].Name; got != "10.0.0.11:8080" {
		t.Errorf("name: %q", got)
	}
	if again := load(); again.Digest != first.Digest || len(first.Digest) != 64 {
		t.Errorf("the digest of the same files: %s and %s", first.Digest, again.Digest)
	}
	for name, text := range map[string]string{"weir.yaml": "# x\n", "more.yaml": "# y\n", "secret": "\n"} {
		before := files[name]
		files[name] = text + before
		if name == "secret" {
			files[name] = "10.0.0.12:8080\n"
		}
		if load().Digest == first.Digest {
			t.Errorf("a change of %s does not change the digest", name)
		}
		files[name] = before
	}
}

func TestUnreadableFiles(t *testing.T) {
	dir := tree(t, map[string]string{
		"dir.yaml":  "include: [conf.d]\n" + webListener + appPool,
		"pipe.yaml": "include: [pipe]\nlisteners: { web: { protocol: http, address: \"${file:pipe}\", pool: app } }\n" + appPool,
		"conf.d/x":  "",
	})
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ file, want string }{
		{"none.yaml", "none.yaml cannot be read: no such file or directory"},
		{"conf.d", "conf.d cannot be read: is a directory"},
		{"dir.yaml", "conf.d cannot be read: is a directory"},
		{"pipe.yaml", "pipe cannot be read: is not a regular file"},
	}
	for _, tt := range tests {
		c, report := Load(filepath.Join(dir, tt.file))
		err := report.Err()
		if c != nil || err == nil || !strings.Contains(err.Error(), tt.want) || !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want %q", tt.file, err, tt.want)
		}
	}
	if _, report := Load(filepath.Join(dir, "pipe.yaml")); report.Errors() != 2 {
		t.Errorf("the pipe: %v", report.Err())
	}
}

func TestExpansion(t *testing.T) {
	dir := tree(t, map[string]string{"secret": "from file\r\n", "sub/empty": ""})
	environ := func(name string) (string, bool) {
		v, ok := map[string]string{"A": "alpha", "EMPTY": "", "ODD": "x: {y} # z"}[name]
		return v, ok
	}
	e := expander{lookup: environ, in: newInputs()}
	src := newSource(filepath.Join(dir, "weir.yaml"), 0, nil)
	tests := []struct {
		text, want string
		changed    bool
		problem    string
	}{
		{text: "", want: ""},
		{text: "plain", want: "plain"},
		{text: "${A}", want: "alpha", changed: true},
		{text: "<${A}-${A}>", want: "<alpha-alpha>", changed: true},
		{text: "${A:-b}", want: "alpha", changed: true},
		{text: "${B:-b}", want: "b", changed: true},
		{text: "${B:-}", want: "", changed: true},
		{text: "${EMPTY}", want: "", changed: true},
		{text: "${EMPTY:-b}", want: "b", changed: true},
		{text: "${B:-:8080}", want: ":8080", changed: true},
		{text: "${ODD}", want: "x: {y} # z", changed: true},
		{text: "$$", want: "$"},
		{text: "$${A}", want: "${A}"},
		{text: "$$$${A}", want: "$${A}"},
		{text: "^ok$", want: "^ok$"},
		{text: "a$b$", want: "a$b$"},
		{text: "${file:secret}", want: "from file", changed: true},
		{text: "${file:sub/empty}", want: "", changed: true},
		{text: "${file:" + dir + "/secret}", want: "from file", changed: true},
		{text: "${B}", problem: "${B} is not set"},
		{text: "${A", problem: "no closing }"},
		{text: "${}", problem: "not a reference"},
		{text: "${A-b}", problem: "not a reference"},
		{text: "${9}", problem: "not a reference"},
		{text: "${file:none}", problem: "cannot be read: no such file"},
		{text: "${file:sub}", problem: "cannot be read: is a directory"},
	}
	for _, tt := range tests {
		got := e.expand(tt.text, src)
		switch {
		case tt.problem != "":
			if got.problem == nil || !strings.Contains(got.problem.text, tt.problem) || got.problem.hint == "" {
				t.Errorf("%q: got %+v, want the problem %q", tt.text, got.problem, tt.problem)
			}
		case got.problem != nil:
			t.Errorf("%q: %s", tt.text, got.problem.text)
		case got.text != tt.want || got.changed != tt.changed:
			t.Errorf("%q: got %q %v, want %q %v", tt.text, got.text, got.changed, tt.want, tt.changed)
		}
	}
}

func TestExpansionInFile(t *testing.T) {
	environ := func(name string) (string, bool) {
		v, ok := map[string]string{"WEIGHT": "7", "BACKUP": "true", "POOL": "app", "NONE": "none", "LEVEL": "WARN", "ON": "reset"}[name]
		return v, ok
	}
	c := mustLoad(t, `
log: { level: "${LEVEL}" }
listeners: { web: { protocol: http, address: ":${PORT:-80}", pool: "${POOL}" } }
pools:
  app:
    health_check: ${NONE}
    retries: { on: "${ON}", budget: "${BUDGET:-5}%" }
    backends:
      b1: { address: "${ADDRESS:-10.0.0.11:8080}", weight: "${WEIGHT}" }
      b2: "10.0.0.12:${PORT:-80}"
      b3: { address: 10.0.0.13:80, backup: "${BACKUP}" }
`, Environ(environ))
	p := c.Pools["app"]
	if p.Health != nil || p.Backends[0].Weight != 7 || !p.Backends[2].Backup || p.Retries.Budget != 0.05 || c.Log.Level != "warn" {
		t.Errorf("got %+v, %+v", p, c.Log)
	}
	if got := c.Listeners["web"].Addresses[0] + " " + p.Backends[1].Address.String(); got != ":80 10.0.0.12:80" {
		t.Errorf("got %s", got)
	}
}

// TestSecretsStayOutOfMessages uses the content of a file where each kind refuses it.
func TestSecretsStayOutOfMessages(t *testing.T) {
	dir := tree(t, map[string]string{"secret": "hunter2 (", "hex": strings.Repeat("hunter2 ", 8), "weir.yaml": strings.NewReplacer("\"S\"", "\"${file:secret}\"", "\"H\"", "\"${file:hex}\"").Replace(`
log: { level: "S", access: { sample: "S" } }
admin: { listen: "S" }
listeners: { web: { protocol: "S", address: "S", pool: "S", routes: [{ host: "S", path: "S", method: "S", pool: "S" }], forwarded: { trust: "S" },
  allow: "S", deny: ["S"], rate_limit: { key: "S", rate: "S", burst: "S" }, request_id: "S", error_pages: { 503: "S" },
  tls: { certificates: [{ cert: "S", key: "S" }], min_version: "S", max_version: "S", cipher_suites: "S", alpn: "S", ticket_keys: ["S", "H"], client_auth: "S", client_cert_headers: "S" } },
  split: { protocol: http, address: ":80", routes: [{ host: a, path_regex: "S", source: "S", split: [{ pool: "S", weight: "S" }], strip_prefix: "S", rewrite: "S", request_headers: { remove: ["S"], set: { Host: "S" } } },
    { host: b, redirect: { to: "S", status: "S" } }, { host: c, respond: { status: "S" } }] } }
pools:
  app:
    algorithm: "S"
    session_persistence: { type: "S", timeout: "S", fallback: "S", cookie: { name: "S", domain: "S", path: "S", max_age: "S", secure: "S", http_only: "S", same_site: "S", keys: ["S", "H"] } }
    required: "S"
    min_healthy: "S"
    retries: { budget: "S", on: "S" }
    tls: { server_name: "S" }
    timeouts: { connect: "S" }
    limits: { max_response_header: "S" }
    health_check: { protocol: http, path: "S", method: "S", host: "S", body: "S", status: "S" }
    backends: { b1: "S", b2: { address: "S", health_check: { address: "S" } } }
  other: { health_check: "S", backends: ["S", "10.0.0.1:80"] }
`)})
	_, report := Load(filepath.Join(dir, "weir.yaml"), withFeatures(every()))
	if report.Errors() < 50 {
		t.Errorf("only %d errors", report.Errors())
	}
	var b strings.Builder
	for _, write := range []func() error{
		func() error { return report.Text(&b, true) }, func() error { return report.JSON(&b) },
		func() error { return report.GitHub(&b) },
	} {
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	b.WriteString(report.Err().Error())
	if i := strings.Index(b.String(), "hunter2"); i >= 0 {
		t.Errorf("a message shows the content of a file: …%s", b.String()[max(0, i-300):min(b.Len(), i+100)])
	}
}

func TestAnchorsAndMergeKeys(t *testing.T) {
	c := mustLoad(t, `
listeners:
  web: { protocol: http, address: ":80", pool: a, routes: [{ path: /b, pool: b }, { path: /c, pool: c }] }
pools:
  a: &a
    algorithm: least_connections
    min_healthy: 1
    health_check: &check { protocol: http, path: /a }
    backends: &backends ["10.0.0.11:8080"]
  b:
    <<: *a
    algorithm: source_ip
  c:
    health_check: { <<: [{ path: /c }, *check], rise: 3 }
    backends: *backends
`)
	a, b, third := c.Pools["a"], c.Pools["b"], c.Pools["c"]
	if b.Algorithm != SourceIP || b.MinHealthy != 1 || b.Health.Path != "/a" || a.Algorithm != LeastConnections {
		t.Errorf("b: got %+v", b)
	}
	if third.Health.Path != "/c" || third.Health.Protocol != HTTP || third.Health.Rise != 3 || third.MinHealthy != 0 || len(third.Backends) != 1 {
		t.Errorf("c: got %+v", third.Health)
	}
}

func TestJSONIsAccepted(t *testing.T) {
	mustLoad(t, `{
	"listeners": {"web": {"protocol": "http", "address": ":80", "pool": "app"}},
	"pools": {"app": {"hash": {"seed": 9007199254740993}, "algorithm": "source_ip", "backends": ["10.0.0.11:8080"]}}
}`)
}
