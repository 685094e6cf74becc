package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestEffectiveMeansTheSame: what is shown, loaded anew, is the same configuration.
func TestEffectiveMeansTheSame(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Glob("../examples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, file := range append(files, examples...) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c, report := Load(file, withFeatures(every()), Environ(testEnviron))
			if report.Err() != nil {
				t.Skip(report.Err())
			}
			compared++
			text := c.Effective()
			if !json.Valid(text) {
				t.Fatalf("not JSON: %s", text)
			}
			again, report := LoadBytes(file, withoutMask(text, t), withFeatures(every()), Environ(testEnviron))
			if err := report.Err(); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			for name, l := range c.Listeners {
				m := again.Listeners[name]
				if l.TLS != nil && m.TLS != nil && len(l.TLS.TicketKeys) == len(m.TLS.TicketKeys) {
					l.TLS.TicketKeys, m.TLS.TicketKeys = nil, nil // masked
				}
				if !l.Equal(m) {
					t.Errorf("listener %s: got %+v, want %+v", name, m, l)
				}
			}
			for name, p := range c.Pools {
				q := again.Pools[name]
				for _, pool := range []*Pool{p, q} {
					if pool.Persistence != nil && len(pool.Persistence.Cookie.Keys) > 0 {
						pool.Persistence.Cookie.Keys = [][]byte{} // masked
					}
				}
				if !p.Equal(q) {
					t.Errorf("pool %s: got %+v, want %+v", name, q, p)
				} else if len(p.Backends) != len(q.Backends) {
					t.Errorf("pool %s: got %d backends, want %d", name, len(q.Backends), len(p.Backends))
				} else {
					for i, b := range p.Backends {
						if !b.Equal(q.Backends[i]) {
							t.Errorf("backend %s: got %+v, want %+v", b.Name, q.Backends[i], b)
						}
					}
				}
			}
			c.Admin.Credentials, again.Admin.Credentials = nil, nil
			for _, pair := range [][2]any{{c.Admin, again.Admin}, {c.Log, again.Log}, {c.Process, again.Process}, {c.StateDir, again.StateDir}} {
				if !reflect.DeepEqual(pair[0], pair[1]) {
					t.Errorf("got %+v, want %+v", pair[1], pair[0])
				}
			}
		})
	}
	if compared < 3 {
		t.Errorf("%d files were compared", compared)
	}
}

// withoutMask takes masked keys out of a document, as somebody would who wants to load it, and dollars that
// would be replaced.
func withoutMask(text []byte, t *testing.T) []byte {
	t.Helper()
	if strings.Contains(string(text), "5e6b1b3a90cc4c36a4f9") {
		t.Error("a token is shown")
	}
	for i := 0; bytes.Contains(text, []byte(Masked)); i++ {
		text = bytes.Replace(text, []byte(Masked), fmt.Appendf(nil, "%064x", i+1), 1)
	}
	return text
}

func TestEffectiveShowsDefaults(t *testing.T) {
	c := mustLoad(t, "listeners: { web: { protocol: http, address: \":8080\", pool: app } }\npools: { app: { backends: [\"10.0.0.11:8080\"] } }\ndefaults: { timeouts: { connect: 7s } }\n")
	var got struct {
		Listeners map[string]struct {
			Timeouts map[string]any
			TCP      any
		}
		Pools map[string]struct {
			Algorithm string
			Timeouts  map[string]any
			Backends  map[string]map[string]any
		}
		Log struct{ Level string }
	}
	if err := json.Unmarshal(c.Effective(), &got); err != nil {
		t.Fatal(err)
	}
	app := got.Pools["app"]
	if app.Algorithm != "weighted_round_robin" || app.Timeouts["connect"] != "7s" || app.Timeouts["queue"] != "5s" {
		t.Errorf("pool: got %+v", app)
	}
	if b := app.Backends["10.0.0.11:8080"]; b["weight"] != 1.0 || b["state"] != "ready" {
		t.Errorf("backend: got %v", b)
	}
	if web := got.Listeners["web"]; web.Timeouts["client_idle"] != "75s" || web.TCP != nil || web.Timeouts["tcp_idle"] != nil {
		t.Errorf("listener: got %+v", web)
	}
	if got.Log.Level != "info" {
		t.Errorf("log: got %+v", got.Log)
	}
}

// TestEffectiveHidesSecrets looks for what must not be shown.
func TestEffectiveHidesSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("0123456789abcdef-from-a-file"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, report := LoadBytes("weir.yaml", []byte(`
listeners: { web: { protocol: http, address: ":8080", pool: app } }
pools: { app: { backends: ["10.0.0.11:8080"], health_check: { protocol: http, headers: { Authorization: Basic-secret, X-A: plain } } } }
admin: { listen: "127.0.0.1:9091", credentials: [{ name: a, token: written-0123456789 }, { name: b, token: "${file:`+file+`}" }, { name: c, token: "${TOKEN}" }] }
`), Environ(func(string) (string, bool) { return "environment-0123456789", true }))
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	text := string(c.Effective())
	for _, secret := range []string{"written-0123456789", "from-a-file", "environment-0123456789", "Basic-secret"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is shown in %s", secret, text)
		}
	}
	for _, want := range []string{"${file:" + file + "}", "plain", Masked} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not shown in %s", want, text)
		}
	}
}
