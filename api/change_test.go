package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"weir/config"
	"weir/config/store"
)

// Bodies that these tests send.
const (
	aPool     = `{"backends": {"a1": {"address": "10.0.1.1:80"}, "a2": {"address": "10.0.1.2:80", "weight": 2}}}`
	aListener = `{"protocol": "http", "address": "127.0.0.1:8181", "pool": "api"}`
)

// withObjects makes a pool and a listener through the API.
func withObjects(t *testing.T) *rig {
	t.Helper()
	g := newRig(t, nil)
	g.do("PUT", "/v1/pools/api", aPool).must(t, 201)
	g.do("PUT", "/v1/listeners/api", aListener).must(t, 201)
	return g
}

// spec reads the spec of an object.
func (g *rig) spec(path string) string {
	g.t.Helper()
	o := decode[Object](g.t, g.do("GET", path, "").must(g.t, 200).body)
	var compact strings.Builder
	if err := json.NewEncoder(&compact).Encode(o.Spec); err != nil {
		g.t.Fatal(err)
	}
	return strings.TrimSpace(compact.String())
}

// TestChanges goes the life of objects, each step with what it answers and what is wanted afterwards.
func TestChanges(t *testing.T) {
	g := newRig(t, nil)
	steps := []struct {
		method, path, body string
		status             int
		summary            string
		read, spec         string // a path and its spec afterwards; empty: none
	}{
		{"PUT", "/v1/pools/api", aPool, 201, "1 pool added", "/v1/pools/api",
			`{"backends":{"a1":{"address":"10.0.1.1:80"},"a2":{"address":"10.0.1.2:80","weight":2}}}`},
		{"PUT", "/v1/pools/api", aPool, 200, "nothing changed", "", ""},
		{"PUT", "/v1/listeners/api", aListener, 201, "1 listener added", "/v1/listeners/api",
			`{"protocol":"http","address":"127.0.0.1:8181","pool":"api"}`},
		{"PATCH", "/v1/pools/api", `{"algorithm": "least_connections", "timeouts": {"connect": "2s"}}`, 200, "1 pool changed", "", ""},
		{"PATCH", "/v1/pools/api", `{"timeouts": null}`, 200, "1 pool changed", "/v1/pools/api",
			`{"algorithm":"least_connections","backends":{"a1":{"address":"10.0.1.1:80"},"a2":{"address":"10.0.1.2:80","weight":2}}}`},
		{"PUT", "/v1/pools/api/backends/a3", `{"address": "10.0.1.3:80"}`, 201, "1 backend added", "/v1/pools/api/backends/a3", `{"address":"10.0.1.3:80"}`},
		{"PATCH", "/v1/pools/api/backends/a3", `{"weight": 5}`, 200, "1 weight changed", "/v1/pools/api/backends/a3", `{"address":"10.0.1.3:80","weight":5}`},
		{"DELETE", "/v1/pools/api/backends/a1", "", 200, "1 backend removed", "", ""},
		{"PUT", "/v1/listeners/api/routes", `[{"host": "a.example", "pool": "web"}]`, 200, "1 listener changed", "/v1/listeners/api/routes", `[{"host":"a.example","pool":"web"}]`},
		{"DELETE", "/v1/listeners/api/routes", "", 200, "1 listener changed", "/v1/listeners/api/routes", `null`},
		{"PUT", "/v1/pools/web/backends/b1/override", `{"state": "drain"}`, 200, "1 override set", "/v1/pools/web/backends/b1", `{"address":"10.0.0.11:8080"}`},
		{"PATCH", "/v1/pools/web/backends/b1", `{"weight": 7}`, 200, "1 override set", "", ""},
		{"PATCH", "/v1/pools/web/backends/b1", `{"state": null}`, 200, "1 override set", "", ""},
		{"DELETE", "/v1/pools/web/backends/b1/override", "", 200, "1 override cleared", "", ""},
		{"DELETE", "/v1/pools/web/backends/b1/override", "", 200, "nothing changed", "", ""},
		{"DELETE", "/v1/listeners/api", "", 200, "1 listener removed", "", ""},
		{"DELETE", "/v1/pools/api", "", 200, "1 pool removed", "", ""},
	}
	for i, s := range steps {
		before := g.store.Current()
		a := g.do(s.method, s.path, s.body).must(t, s.status)
		done := decode[Changed](t, a.body)
		if !strings.HasPrefix(done.Summary, s.summary) {
			t.Errorf("step %d: got %q, want %q", i, done.Summary, s.summary)
		}
		now := g.store.Current()
		same := s.summary == "nothing changed"
		if (now == before) != same || done.Revision != now.Number || done.Generation != now.Generation || (len(done.Changes) == 0) != same {
			t.Errorf("step %d: revision %d, then %d; answered %+v", i, before.Number, now.Number, done)
		}
		if (s.status == 201) != (a.header.Get("Location") == s.path) {
			t.Errorf("step %d: Location %q", i, a.header.Get("Location"))
		}
		if s.read == "" {
			continue
		}
		if got := g.spec(s.read); got != s.spec {
			t.Errorf("step %d: %s is %s, want %s", i, s.read, got, s.spec)
		}
		if s.read == s.path && g.do("GET", s.path, "").header.Get("ETag") != done.ETag {
			t.Errorf("step %d: etag %s is not that of the object", i, done.ETag)
		}
	}
}

// TestObjects reads what a file and the API have made.
func TestObjects(t *testing.T) {
	g := withObjects(t)
	g.do("PUT", "/v1/pools/web/backends/b2/override", `{"state": "MAINTENANCE"}`).must(t, 200)
	pools := decode[PoolList](t, g.do("GET", "/v1/pools", "").body)
	if len(pools.Items) != 2 || pools.Items[0].Name != "api" || pools.Items[1].Name != "web" || pools.Revision != g.store.Current().Number {
		t.Errorf("pools: got %+v", pools)
	}
	if api, web := pools.Items[0], pools.Items[1]; !api.Origin.API || api.ReadOnly || api.Status != nil || web.Status == nil || !web.ReadOnly {
		t.Errorf("got %+v and %+v", api, web)
	}
	listeners := decode[ListenerList](t, g.do("GET", "/v1/listeners", "").body)
	if len(listeners.Items) != 2 || listeners.Items[1].Origin.File != g.file || listeners.Items[1].Origin.Line != 2 {
		t.Errorf("listeners: got %+v", listeners)
	}
	backends := decode[BackendList](t, g.do("GET", "/v1/pools/web/backends", "").body)
	if len(backends.Items) != 2 || backends.Items[0].Override != nil || backends.Items[0].Status == nil {
		t.Fatalf("backends: got %+v", backends)
	}
	if o := backends.Items[1].Override; o == nil || o.State == nil || *o.State != "maintenance" || o.Weight != nil {
		t.Errorf("override: got %+v", o)
	}
	one := decode[BackendObject](t, g.do("GET", "/v1/pools/web/backends/b2", "").body)
	if one.ETag != backends.Items[1].ETag || one.Pool != "web" || one.Name != "b2" {
		t.Errorf("got %+v, want %+v", one, backends.Items[1])
	}
}

// TestRefusedChanges: what is wrong, with its status, type and place. Nothing has changed afterwards.
func TestRefusedChanges(t *testing.T) {
	g := withObjects(t)
	g.do("PUT", "/v1/pools/kept", `{"deletion_protection": true, "backends": ["10.0.2.1:80"]}`).must(t, 201)
	tests := []struct {
		name, method, path, body string
		fields                   []string
		status                   int
		kind                     string // type of the problem
		contains                 string // in detail or hint
		at                       string // path of the fault
	}{
		{"no such pool", "GET", "/v1/pools/wbe", "", nil, 404, ProblemNotFound, `did you mean \"web\"`, ""},
		{"no such listener", "GET", "/v1/listeners/x", "", nil, 404, ProblemNotFound, "listeners: api, web", ""},
		{"no such backend", "GET", "/v1/pools/web/backends/b11", "", nil, 404, ProblemNotFound, `did you mean \"b1\"`, ""},
		{"backend of no such pool", "GET", "/v1/pools/x/backends/b1", "", nil, 404, ProblemNotFound, "there is no pool", ""},
		{"backends of no such pool", "GET", "/v1/pools/x/backends", "", nil, 404, ProblemNotFound, "there is no pool", ""},
		{"routes of no such listener", "GET", "/v1/listeners/x/routes", "", nil, 404, ProblemNotFound, "there is no listener", ""},
		{"pool of the file", "PUT", "/v1/pools/web", aPool, nil, 409, ProblemReadOnly, "is defined in " + g.file + ":4:3", "pools.web"},
		{"listener of the file", "PATCH", "/v1/listeners/web", `{"pool": "api"}`, nil, 409, ProblemReadOnly, ":2:3", "listeners.web"},
		{"backend of the file", "PUT", "/v1/pools/web/backends/b3", `{"address": "10.0.0.13:80"}`, nil, 409, ProblemReadOnly, "override", "pools.web"},
		{"address of a backend of the file", "PATCH", "/v1/pools/web/backends/b1", `{"weight": 2, "address": "10.0.0.13:80"}`, nil, 409, ProblemReadOnly, ":6:7", "pools.web.backends.b1"},
		{"routes of the file", "PUT", "/v1/listeners/web/routes", `[]`, nil, 409, ProblemReadOnly, "", "listeners.web"},
		{"deletion of the file's", "DELETE", "/v1/pools/web", "", nil, 409, ProblemReadOnly, "", "pools.web"},
		{"protected", "DELETE", "/v1/pools/kept", "", nil, 409, ProblemProtected, "set deletion_protection to false first", ""},
		{"in use", "DELETE", "/v1/pools/api", "", nil, 409, ProblemInUse, "is needed", "listeners.api.pool"},
		{"deletion of nothing", "DELETE", "/v1/pools/x", "", nil, 404, ProblemNotFound, "there is no pool", ""},
		{"patch of nothing", "PATCH", "/v1/listeners/x", "{}", nil, 404, ProblemNotFound, "there is no listener", ""},
		{"backend into nothing", "PUT", "/v1/pools/x/backends/b", `{"address": "10.0.0.1:80"}`, nil, 404, ProblemNotFound, "there is no pool", ""},
		{"override of nothing", "PUT", "/v1/pools/web/backends/x/override", `{"weight": 1}`, nil, 404, ProblemNotFound, "backends: b1, b2", ""},
		{"clearing of nothing", "DELETE", "/v1/pools/web/backends/x/override", "", nil, 404, ProblemNotFound, "there is no backend", ""},
		{"misspelt", "PUT", "/v1/pools/new", `{"algoritm": "x", "backends": ["10.0.0.1:80"]}`, nil, 422, ProblemInvalid, `did you mean \"algorithm\"`, "pools.new"},
		{"out of bounds", "PATCH", "/v1/pools/api/backends/a1", `{"weight": 257}`, nil, 422, ProblemInvalid, "over the maximum 256", "pools.api.backends.a1.weight"},
		{"no such pool in a listener", "PUT", "/v1/listeners/new", `{"protocol": "http", "address": ":1", "pool": "wbe"}`, nil, 422, ProblemInvalid, `did you mean \"web\"`, "listeners.new.pool"},
		{"variable", "PUT", "/v1/pools/new", `{"backends": ["${HOME}:80"]}`, nil, 422, ProblemInvalid, "not replaced", ""},
		{"name", "PUT", "/v1/pools/a%20b", aPool, nil, 422, ProblemInvalid, "not a name", ""},
		{"override out of bounds", "PUT", "/v1/pools/web/backends/b1/override", `{"weight": 300}`, nil, 422, ProblemInvalid, "0…256", "weight"},
		{"override of no state", "PUT", "/v1/pools/web/backends/b1/override", `{"state": "off"}`, nil, 422, ProblemInvalid, "ready, drain or maintenance", "state"},
		{"override of a kind", "PUT", "/v1/pools/web/backends/b1/override", `{"weight": "2"}`, nil, 422, ProblemInvalid, "whole number", "weight"},
		{"override of more", "PUT", "/v1/pools/web/backends/b1/override", `{"address": "x"}`, nil, 422, ProblemInvalid, "allowed: state, weight", "address"},
		{"empty override", "PUT", "/v1/pools/web/backends/b1/override", `{}`, nil, 422, ProblemInvalid, "wants nothing", ""},
		{"patched override", "PATCH", "/v1/pools/web/backends/b1", `{"weight": -1}`, nil, 422, ProblemInvalid, "0…256", "weight"},
		{"not JSON", "PUT", "/v1/pools/new", `{"backends": [}`, nil, 400, "", "is not JSON", ""},
		{"empty", "PUT", "/v1/pools/new", "", []string{"Content-Type: " + mediaJSON}, 400, "", "the body is empty", ""},
		{"a list", "PUT", "/v1/pools/new", `[]`, nil, 400, "", "is not an object", ""},
		{"routes as an object", "PUT", "/v1/listeners/api/routes", `{}`, nil, 400, "", "is not a list", ""},
		{"repeated key", "PUT", "/v1/pools/new", `{"backends": ["10.0.0.1:80"], "backends": []}`, nil, 400, "", "repeated key", "backends"},
		{"more behind", "PUT", "/v1/pools/new", aPool + "{}", nil, 400, "", "something follows", ""},
		{"no type", "PUT", "/v1/pools/new", aPool, []string{"Content-Type"}, 415, "", mediaJSON, ""},
		{"type of a form", "PUT", "/v1/pools/new", aPool, []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "", mediaJSON, ""},
		{"patch as PUT", "PUT", "/v1/pools/new", aPool, []string{"Content-Type: " + mediaMergePatch}, 415, "", mediaJSON, ""},
		{"compressed", "PUT", "/v1/pools/new", aPool, []string{"Content-Encoding: gzip"}, 415, "", "as it is", ""},
		{"charset", "PUT", "/v1/pools/new", aPool, []string{"Content-Type: application/json; charset=latin1"}, 415, "", "UTF-8", ""},
		{"too large", "PUT", "/v1/pools/new", `{"x": "` + strings.Repeat("x", maxBody) + `"}`, nil, 413, "", "8 MiB", ""},
		{"stale", "PATCH", "/v1/pools/api", `{}`, []string{`If-Match: "0123"`}, 412, ProblemStale, "not as If-Match says", ""},
		{"stale, nothing there", "PUT", "/v1/pools/new", aPool, []string{"If-Match: *"}, 412, ProblemStale, "does not exist", ""},
		{"there already", "PUT", "/v1/pools/api", aPool, []string{"If-None-Match: *"}, 412, ProblemStale, "exists already", ""},
		{"dry run of a word", "PUT", "/v1/pools/api?dry_run=yes", aPool, nil, 400, "", "dry_run", ""},
		{"invalid dry run", "PUT", "/v1/pools/new?dry_run=true", `{}`, nil, 422, ProblemInvalid, "backends", ""},
		{"post to a pool", "POST", "/v1/pools/api", aPool, nil, 405, "", "takes GET, HEAD, PUT, PATCH, DELETE", ""},
		{"put to all", "PUT", "/v1/pools", aPool, nil, 405, "", "takes GET, HEAD", ""},
		{"slash behind", "GET", "/v1/pools/", "", nil, 404, "", "there is nothing at", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := g.store.Current()
			a := g.do(tt.method, tt.path, tt.body, tt.fields...)
			if a.status != tt.status {
				t.Fatalf("got %d, want %d: %s", a.status, tt.status, a.body)
			}
			p := a.problem(t)
			if p.Type != tt.kind || p.Status != tt.status || p.Path != tt.at && tt.at != "" {
				t.Errorf("got type %q, status %d, path %q; want %q, %d, %q", p.Type, p.Status, p.Path, tt.kind, tt.status, tt.at)
			}
			if !strings.Contains(string(a.body), tt.contains) {
				t.Errorf("got %s, want it to contain %q", a.body, tt.contains)
			}
			if p.Detail == "" || tt.status == 422 && len(p.Errors) == 0 && !strings.HasSuffix(tt.path, "override") && tt.name != "patched override" {
				t.Errorf("got %+v, want a detail and errors", p)
			}
			if g.store.Current() != before {
				t.Error("there is another revision")
			}
		})
	}
}

// TestDryRun: the answer of a change, and no change.
func TestDryRun(t *testing.T) {
	g := newRig(t, nil)
	before := g.store.Current()
	done := decode[Changed](t, g.do("PUT", "/v1/pools/api?dry_run=true", aPool).must(t, 201).body)
	if !strings.HasPrefix(done.Summary, "1 pool added") || g.store.Current() != before {
		t.Errorf("got %+v, revision %d", done, g.store.Current().Number)
	}
}

func TestConditions(t *testing.T) {
	g := withObjects(t)
	tag := g.do("GET", "/v1/pools/api", "").header.Get("ETag")
	whole := g.do("GET", "/v1/pools", "").header.Get("ETag")
	if tag == whole || !strings.HasPrefix(tag, `"`) {
		t.Fatalf("tags %s and %s", tag, whole)
	}
	for path, has := range map[string]string{"/v1/pools/api": tag, "/v1/pools": whole, "/v1/config": whole, "/v1/listeners": whole} {
		if a := g.do("GET", path, "", "If-None-Match: \"x\", W/"+has); a.status != 304 || len(a.body) != 0 || a.header.Get("ETag") != has {
			t.Errorf("%s: got %d %s, want 304", path, a.status, a.body)
		}
		g.do("GET", path, "", `If-None-Match: "x"`).must(t, 200)
	}
	g.do("PATCH", "/v1/pools/api", `{"min_healthy": 1}`, "If-Match: W/"+tag).must(t, 412)
	g.do("PATCH", "/v1/pools/api", `{"min_healthy": 1}`, `If-Match: "x", `+tag).must(t, 200)
	g.do("PATCH", "/v1/pools/api", `{"min_healthy": 2}`, "If-Match: "+tag).must(t, 412)
	g.do("DELETE", "/v1/listeners/api", "", "If-Match: "+whole).must(t, 412)
	whole = g.do("GET", "/v1/pools", "").header.Get("ETag")
	g.do("DELETE", "/v1/listeners/api", "", "If-Match: "+whole).must(t, 200)
	tag = g.do("GET", "/v1/pools/web/backends/b1", "").header.Get("ETag")
	g.do("PUT", "/v1/pools/web/backends/b1/override", `{"weight": 9}`, "If-Match: "+tag).must(t, 200)
	g.do("PUT", "/v1/pools/web/backends/b1/override", `{"weight": 8}`, "If-Match: "+tag).must(t, 412)
	g.do("PUT", "/v1/pools/new", aPool, "If-None-Match: *").must(t, 201)
}

// TestWritersWithIfMatch: of those who have read the same, one writes.
func TestWritersWithIfMatch(t *testing.T) {
	g := withObjects(t)
	const writers, each = 8, 10
	var wins atomic.Int64
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := 0; n < each; {
				before := decode[PoolObject](t, g.do("GET", "/v1/pools/api", "").body)
				var spec struct {
					MinHealthy int `json:"min_healthy"`
				}
				if err := json.Unmarshal(before.Spec, &spec); err != nil {
					t.Error(err)
					return
				}
				patch := fmt.Sprintf(`{"min_healthy": %d, "timeouts": {"connect": "%dms"}}`, spec.MinHealthy+1, 1000+w)
				switch a := g.do("PATCH", "/v1/pools/api", patch, "If-Match: "+before.ETag); a.status {
				case 200:
					wins.Add(1)
					n++
				case 412:
				default:
					t.Errorf("got %d: %s", a.status, a.body)
					return
				}
			}
		})
	}
	wg.Wait()
	if got := g.store.Current().Config.Pools["api"].MinHealthy; int64(got) != wins.Load() || got != writers*each {
		t.Errorf("%d writes that were acknowledged added up to %d, want %d", wins.Load(), got, writers*each)
	}
}

func TestReloadAndDiff(t *testing.T) {
	g := withObjects(t)
	more := strings.Replace(ofFile, "weight: 3", "weight: 4", 1) + "      b3: { address: 10.0.0.13:8080 }\n"
	g.write(more)
	diff := decode[Difference](t, g.do("GET", "/v1/diff", "").must(t, 200).body)
	if !diff.Valid || diff.File != g.file || len(diff.Changes) != 2 || !strings.Contains(diff.Summary, "1 backend added") {
		t.Errorf("diff: got %+v", diff)
	}
	done := decode[Changed](t, g.do("POST", "/v1/reload", "").must(t, 200).body)
	if done.Generation != g.store.Current().Generation || !strings.Contains(done.Summary, "1 weight changed") {
		t.Errorf("reload: got %+v", done)
	}
	g.write(more + "  x: {}\n")
	diff = decode[Difference](t, g.do("GET", "/v1/diff", "").must(t, 200).body)
	if diff.Valid || len(diff.Diagnostics) == 0 || diff.Diagnostics[0].Line == 0 || diff.Changes == nil {
		t.Errorf("diff: got %+v", diff)
	}
	p := g.do("POST", "/v1/reload", "").must(t, 422).problem(t)
	if p.Type != ProblemInvalid || p.File != g.file || p.Line != 9 || p.Path == "" || !strings.Contains(p.Detail, ":9:") || len(p.Errors) == 0 {
		t.Errorf("reload: got %+v", p)
	}
}

func TestValidate(t *testing.T) {
	g := newRig(t, nil)
	v := decode[Validation](t, g.do("POST", "/v1/validate", ofFile, "Content-Type: application/yaml; charset=utf-8").must(t, 200).body)
	if !v.Valid || v.Errors != 0 || v.Diagnostics == nil {
		t.Errorf("got %+v", v)
	}
	v = decode[Validation](t, g.do("POST", "/v1/validate", `{"listeners": {"web": {"protocol": "htp"}}}`).must(t, 200).body)
	if v.Valid || v.Errors == 0 || v.Diagnostics[0].Path == "" || v.Diagnostics[0].Line != 1 {
		t.Errorf("got %+v", v)
	}
	// It is no way to read what the process may read.
	precious := filepath.Join(t.TempDir(), "shadow")
	if err := os.WriteFile(precious, []byte("root:hunter2:1::\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := g.do("POST", "/v1/validate", "include: ["+precious+"]\n"+ofFile, "Content-Type: application/yaml").must(t, 200)
	if v = decode[Validation](t, a.body); v.Valid || strings.Contains(string(a.body), "root:") {
		t.Errorf("got %s", a.body)
	}
	g.do("POST", "/v1/validate", ofFile, "Content-Type").must(t, 415)
	if g.store.Current().Number != 1 {
		t.Error("there is another revision")
	}
}

func TestConfigIsEffective(t *testing.T) {
	g := newRig(t, nil)
	c := decode[Effective](t, g.do("GET", "/v1/config", "").must(t, 200).body)
	if c.Revision != 1 || c.Generation != 1 || len(c.Files) != 1 || c.SHA256 != g.store.Current().Config.Digest {
		t.Errorf("got %+v", c)
	}
	if again, report := config.LoadBytes(g.file, c.Config); report.Err() != nil || !again.Pools["web"].Equal(g.store.Current().Config.Pools["web"]) {
		t.Errorf("%v: %s", report.Err(), c.Config)
	}
}

// TestErrorsOfControl: every error of the store has a status and a type.
func TestErrorsOfControl(t *testing.T) {
	tests := []struct {
		err    error
		status int
		kind   string
	}{
		{fmt.Errorf("pools.x %w", store.ErrNotFound), 404, ProblemNotFound},
		{store.ErrExists, 412, ProblemStale},
		{store.ErrProtected, 409, ProblemProtected},
		{store.ErrPrecondition, 412, ProblemStale},
		{store.ErrBadSpec, 400, ""},
		{store.ErrRefused, 409, ProblemNotServed},
		{store.ErrState, 507, ProblemNotKept},
		{store.ErrStopping, 503, ProblemStopping},
		{context.Canceled, 503, ""},
	}
	for _, tt := range tests {
		p, ok := explain(tt.err).(*Problem)
		if !ok || p.Status != tt.status || p.Type != tt.kind || p.Detail == "" {
			t.Errorf("%v: got %+v, want %d %q", tt.err, p, tt.status, tt.kind)
		}
	}
}

// TestPlaceOfRefusal: what a listener cannot have is told with the place of the listener.
func TestPlaceOfRefusal(t *testing.T) {
	refusal := func(o config.Origin) *Problem {
		t.Helper()
		err := fmt.Errorf("%w: %w", store.ErrRefused, &config.ObjectError{Path: "listeners.web", Origin: o, Err: errors.New("it is taken")})
		p, ok := explain(err).(*Problem)
		if !ok || p.Type != ProblemNotServed || p.Path != "listeners.web" || !strings.Contains(p.Detail, "it is taken") {
			t.Fatalf("got %+v", p)
		}
		return p
	}
	if p := refusal(config.Origin{File: "/etc/weir.yaml", Line: 3, Column: 5}); p.File != "/etc/weir.yaml" || p.Line != 3 || p.Column != 5 {
		t.Errorf("of a file: got %+v", p)
	}
	if p := refusal(config.Origin{File: "api", API: true}); p.File != "" || p.Line != 0 {
		t.Errorf("of the API: got %+v", p)
	}
}
