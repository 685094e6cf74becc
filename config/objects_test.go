package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// withObjects is the file of webListener and appPool with objects of the API.
func withObjects(t *testing.T, objects ...Object) (*Config, Report) {
	t.Helper()
	base := mustLoad(t, webListener+appPool)
	c, report := base.With(objects)
	other, second := LoadBytes("weir.yaml", []byte(webListener+appPool), Objects(objects))
	if (c == nil) != (other == nil) || !slices.EqualFunc(report.Diagnostics, second.Diagnostics, func(a, b Diagnostic) bool { return a.Message == b.Message }) {
		t.Errorf("With says %v, Load %v", report.Diagnostics, second.Diagnostics)
	}
	if c != nil && !reflect.DeepEqual(stripOrigins(c), stripOrigins(other)) {
		t.Error("With and Load lead to different configurations")
	}
	return c, report
}

func poolObject(name, text string) Object {
	return Object{Section: "pools", Name: name, JSON: []byte(text)}
}

func TestObjects(t *testing.T) {
	c, report := withObjects(t,
		poolObject("own", `{"protocol":"https","tls":{"ca":"own.pem"},"backends":["10.0.9.1:80"],"health_check":{"protocol":"http","body":"a$${x}\"\u00e9"}}`),
		Object{Section: "listeners", Name: "own", JSON: []byte(`{"protocol":"http","address":":81","pool":"app"}`)})
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	own := c.Pools["own"]
	if want := (Origin{File: "api", API: true}); own.Origin != want || own.Backends[0].Origin != want || own.Origin.String() != "api" {
		t.Errorf("origin: got %+v, want %+v", own.Origin, want)
	}
	if got, want := own.Health.Body, "a${x}\"é"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := c.Listeners["own"].Pool; got != "app" || c.Listeners["web"] == nil || c.Pools["app"].Origin.API {
		t.Errorf("the objects and the file are not put together: %v", c.Listeners)
	}
	// The third time, what has not changed is not read again; what is left out has gone.
	again, report := c.With([]Object{poolObject("own", `{"backends":["10.0.9.2:80"]}`)})
	if report.Errors() > 0 || again.Listeners["own"] != nil || again.Pools["own"].Protocol != HTTP || c.Pools["own"].Protocol != HTTPS {
		t.Errorf("got %+v, %v", again, report.Diagnostics)
	}
}

func TestBadObjects(t *testing.T) {
	tests := []struct {
		name    string
		objects []Object
		place   string
		message string
	}{
		{"value", []Object{poolObject("own", `{"backends":{"b":{"address":"10.0.9.1:80","weight":300}}}`)}, "api:pools.own", "pools.own.backends.b.weight 300"},
		{"key", []Object{poolObject("own", `{"backends":[],"wieght":1}`)}, "api:pools.own", `unknown key "wieght" in pools.own`},
		{"repeated key", []Object{poolObject("own", `{"backends":[],"backends":[]}`)}, "api:pools.own", `repeated key "backends"`},
		{"environment", []Object{poolObject("own", `{"backends":["${HOME}"]}`)}, "api:pools.own", "${HOME} is not replaced in objects made through the API"},
		{"file", []Object{poolObject("own", `{"backends":["${file:/etc/passwd}"]}`)}, "api:pools.own", "is not replaced in objects"},
		{"name", []Object{poolObject("a b", `{"backends":[]}`)}, "api:pools.a b", "is not a name"},
		{"no JSON", []Object{poolObject("own", `{"backends":`)}, "api:pools.own", "pools.own is not JSON"},
		{"in the file", []Object{poolObject("app", `{"backends":[]}`)}, "weir.yaml:", "pools.app stands in the file and was made through the API too"},
		{"address of the file", []Object{{Section: "listeners", Name: "own", JSON: []byte(`{"protocol":"http","address":":80","pool":"app"}`)}}, "api:listeners.own", "both bind"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, report := withObjects(t, tt.objects...)
			i := slices.IndexFunc(report.Diagnostics, func(d Diagnostic) bool { return d.Severity == Error })
			if c != nil || i < 0 {
				t.Fatalf("got %v, %v", c, report.Diagnostics)
			}
			d := report.Diagnostics[i]
			if !strings.HasPrefix(d.Place.String(), tt.place) || !strings.Contains(d.Message, tt.message) || d.Hint == "" {
				t.Errorf("got %s: %s; %s; want %s: %s", d.Place, d.Message, d.Hint, tt.place, tt.message)
			}
		})
	}
}

// TestFileIsComplete: it does not lean on objects of the API.
func TestFileIsComplete(t *testing.T) {
	_, report := LoadBytes("weir.yaml", []byte(strings.Replace(webListener, "pool: app", "pool: own", 1)+appPool),
		Objects([]Object{poolObject("own", `{"backends":["10.0.9.1:80"]}`)}))
	if err := report.Err(); err == nil || !strings.Contains(err.Error(), "was made through the API; the file must be complete by itself") {
		t.Errorf("got %v", err)
	}
}

// TestNoListener: with a state directory, all listeners may come through the API.
func TestNoListener(t *testing.T) {
	for text, fine := range map[string]bool{"state_dir: x\n" + appPool: true, "state_dir: x\n": true, appPool: false, "": false} {
		if _, report := LoadBytes("weir.yaml", []byte(text)); (report.Errors() == 0) != fine {
			t.Errorf("%q: %v", text, report.Diagnostics)
		}
	}
}

func TestSpec(t *testing.T) {
	key := strings.Repeat("ab", 32)
	c := mustLoad(t, `
listeners: { web: { protocol: HTTP, address: ":80", pool: app, request_id: true, keepalive_requests: 5 } }
pools:
  app:
    timeouts: { queue: 1s }
    hash: { weighted: false }
    algorithm: source_ip
    session_persistence: { cookie: { keys: ["`+key+`"] } }
    health_check: none
    backends: ["10.0.0.1:80", "[0::1]:80"]
`)
	tests := []struct {
		names []string
		want  string
	}{
		{[]string{"listeners", "web"}, `{"protocol":"http","address":":80","pool":"app","keepalive_requests":5,"request_id":true}`},
		{[]string{"pools", "app", "backends"}, `{"10.0.0.1:80":{"address":"10.0.0.1:80"},"[::1]:80":{"address":"[0::1]:80"}}`},
		{[]string{"pools", "app", "backends", "10.0.0.1:80"}, `{"address":"10.0.0.1:80"}`},
		{[]string{"pools", "app", "session_persistence"}, `{"cookie":{"keys":["[secret]"]}}`},
		{[]string{"pools", "app", "health_check"}, `"none"`},
		{[]string{"pools", "app", "hash"}, `{"weighted":false}`},
	}
	for _, tt := range tests {
		if got, ok := c.Spec(tt.names...); string(got) != tt.want || !ok {
			t.Errorf("%v: got %s, want %s", tt.names, got, tt.want)
		}
	}
	if got, ok := c.Spec("pools", "none"); ok {
		t.Errorf("what was not written: got %s", got)
	}
	whole, _ := c.Spec()
	if !json.Valid(whole) || strings.Contains(string(whole), key) {
		t.Errorf("the whole is %s", whole)
	}
	other := mustLoad(t, strings.Replace(string(whole), Masked, key, 1))
	if again, _ := other.Spec(); string(again) != string(whole) {
		t.Errorf("the whole does not come back: %s, want %s", again, whole)
	}
	changed := mustLoad(t, strings.Replace(string(whole), Masked, strings.Repeat("cd", 32), 1))
	if changed.SpecDigest("pools", "app") == other.SpecDigest("pools", "app") {
		t.Error("the digest does not see a secret")
	}
}

func TestDifferences(t *testing.T) {
	base := `
listeners: { web: { protocol: http, address: ":80", pool: app } }
pools:
  app: { backends: { b1: { address: 10.0.0.1:80 }, b2: 10.0.0.2:80 } }
`
	key := strings.Repeat("ab", 32)
	tests := []struct {
		name     string
		old, new string // replaced in base
		want     []string
	}{
		{"nothing", "", "", nil},
		{"another spelling", "b2: 10.0.0.2:80", "b2: { address: 10.0.0.2:80, weight: 1 }", nil},
		{"a comment", "\npools", "\n# text\npools", nil},
		{"weight", "b2: 10.0.0.2:80", "b2: { address: 10.0.0.2:80, weight: 3 }", []string{"changed backend app/b2 weight: 1 → 3"}},
		{"backend added", "b2: 10", "b3: 10.0.0.3:80, b2: 10", []string{`added backend app/b3 : null → {"address":"10.0.0.3:80"}`}},
		{"backend removed", ", b2: 10.0.0.2:80", "", []string{`removed backend app/b2 : {"address":"10.0.0.2:80"} → null`}},
		{"setting of a pool", "app: {", "app: { timeouts: { queue: 3s }, ", []string{`changed pool app timeouts: null → {"queue":"3s"}`}},
		{"listener", `":80"`, `":81"`, []string{`changed listener web address: ":80" → ":81"`}},
		{"default", "\npools", "\ndefaults: { timeouts: { queue: 7s } }\npools", []string{`changed setting defaults : null → {"timeouts":{"queue":"7s"}}`}},
		{"secret", "app: {", `app: { session_persistence: { cookie: { keys: ["` + key + `"] } },`, []string{`changed pool app session_persistence: null → {"cookie":{"keys":["[secret]"]}}`}},
	}
	null := func(raw json.RawMessage) string {
		if raw == nil {
			return "null"
		}
		return string(raw)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, d := range Differences(mustLoad(t, base), mustLoad(t, strings.Replace(base, tt.old, tt.new, 1))) {
				got = append(got, strings.Join([]string{string(d.Action), string(d.Kind), d.Name, d.Field}, " ")+": "+null(d.Before)+" → "+null(d.After))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	one := strings.Replace(base, "app: {", `app: { session_persistence: { cookie: { keys: ["`+key+`"] } },`, 1)
	other := strings.Replace(one, key, strings.Repeat("cd", 32), 1)
	if got := Differences(mustLoad(t, one), mustLoad(t, other)); len(got) != 1 || got[0].Field != "session_persistence.cookie.keys" || strings.Contains(string(got[0].After), "cd") {
		t.Errorf("another secret: got %+v", got)
	}
}

// TestTrace: every file that was read is looked at, and so are patterns and files that could not be read.
func TestTrace(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	main := filepath.Join(dir, "weir.yaml")
	write("weir.yaml", "include: [more-*.yaml]\n"+webListener+`pools: { app: { health_check: { host: "${file:host}" }, backends: ["10.0.0.1:80"] } }`)
	write("host", "app.example")
	write("more-a.yaml", "pools: {}\n")
	changes := []struct {
		name string
		make func()
	}{
		{"the file", func() { write("weir.yaml", "listeners: {}\n") }},
		{"an include", func() { write("more-a.yaml", "pools: { x: { backends: [] } }\n") }},
		{"a value", func() { write("host", "other.example") }},
		{"another include", func() { write("more-b.yaml", "pools: {}\n") }},
		{"one gone", func() { _ = os.Remove(filepath.Join(dir, "host")) }},
	}
	for _, change := range slices.Backward(changes) { // the file last: what it names is known by it
		_, report := Load(main)
		before := report.Trace()
		if !before.Again().Equal(before) {
			t.Fatalf("%s: there is a difference before the change", change.name)
		}
		change.make()
		if before.Again().Equal(before) {
			t.Errorf("%s: the change is not noticed", change.name)
		}
	}
}
