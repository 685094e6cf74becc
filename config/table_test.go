package config

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// allKeys lists the rows of a vocabulary by path.
func allKeys(root *key) map[string]*key {
	all := map[string]*key{}
	var visit func(k *key)
	visit = func(k *key) {
		all[k.path] = k
		for _, c := range k.children {
			visit(c)
		}
		if k.item != nil {
			visit(k.item)
		}
	}
	visit(root)
	delete(all, "")
	return all
}

// TestVocabularyIsComplete compares the table with testdata/vocabulary.yaml, which has every key of
// the specification once.
func TestVocabularyIsComplete(t *testing.T) {
	data, err := os.ReadFile("testdata/vocabulary.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	root := vocabularyOf(every())
	keys := allKeys(root)
	seen := map[string]bool{}
	walkVocabulary(doc, root, func(path string, k *key) {
		if k == nil {
			t.Errorf("%s is in the specification and not in the table", path)
			return
		}
		seen[k.path] = true
	})
	for path, k := range keys {
		if strings.HasSuffix(path, "*") || strings.HasSuffix(path, "[]") || k.parent.planned {
			continue
		}
		if !seen[path] {
			t.Errorf("%s is in the table and not in the specification", path)
		}
	}
}

// walkVocabulary calls visit for each key of doc with its row, nil if there is none.
func walkVocabulary(doc map[string]any, k *key, visit func(path string, k *key)) {
	for name, value := range doc {
		c := k.byName[name]
		if k.item != nil && k.kind == kindMap {
			c = k.item
		} else {
			visit(join(k.path, name), c)
		}
		if c == nil || c.planned {
			continue
		}
		for c.kind == kindList {
			c = c.item
		}
		switch below := value.(type) {
		case map[string]any:
			walkVocabulary(below, c, visit)
		case []any:
			for _, v := range below {
				if m, ok := v.(map[string]any); ok {
					walkVocabulary(m, c, visit)
				}
			}
		}
	}
}

// TestEveryRowIsDocumented wants words, and something to fall back on, in every row.
func TestEveryRowIsDocumented(t *testing.T) {
	for path, k := range allKeys(vocabularyOf(every())) {
		if k.doc == "" || !strings.HasSuffix(k.doc, ".") {
			t.Errorf("%s: %q is not a sentence", path, k.doc)
		}
		if k.kind == kindEnum && len(k.enum) == 0 && !k.planned {
			t.Errorf("%s has no words", path)
		}
		if (k.min == "") != (k.max == "") {
			t.Errorf("%s has one bound of two", path)
		}
		numeric := slices.Contains([]kind{kindInt, kindFloat, kindPercent, kindDuration, kindSize}, k.kind)
		if numeric && !k.planned && k.max == "" {
			t.Errorf("%s is a number without bounds", path)
		}
	}
}

// full is a configuration that has every key of any feature, none with its default.
func full(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/good/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestEveryFieldIsReachable loads a file with every key and finds no field of the result empty.
func TestEveryFieldIsReachable(t *testing.T) {
	c, report := LoadBytes("testdata/good/full.yaml", full(t), withFeatures(every()))
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	filled := map[string]bool{}
	collect(reflect.ValueOf(bare(c)), "Config", filled)
	for path, ok := range filled {
		if !ok && !notOfFiles(path) {
			t.Errorf("no key of the file reaches %s", path)
		}
	}
}

// notOfFiles reports whether a field is filled in by others than files, or by secrets, which full has none of
// in health checks.
func notOfFiles(path string) bool {
	return strings.HasSuffix(path, ".Origin.API") || slices.Contains([]string{"Config.made", "Config.Pools[].Overrides", "Config.Pools[].Resolving", "Config.Pools[].Named", "Config.Pools[].Health.Secrets", "Config.Pools[].Backends[].Group"}, path)
}

// collect notes for each leaf field whether any value of it is not zero.
func collect(v reflect.Value, path string, filled map[string]bool) {
	if kind := v.Kind(); (kind == reflect.Map || kind == reflect.Slice) && v.Len() > 0 {
		filled[path] = true
	}
	switch {
	case v.Kind() == reflect.Pointer && !v.IsNil():
		filled[path] = true
		collect(v.Elem(), path, filled)
	case v.Kind() == reflect.Map && v.Len() > 0:
		for _, k := range v.MapKeys() {
			collect(v.MapIndex(k), path+"[]", filled)
		}
	case v.Kind() == reflect.Slice && v.Len() > 0 && v.Type().Elem().Kind() != reflect.Uint8:
		for i := range v.Len() {
			collect(v.Index(i), path+"[]", filled)
		}
	case v.Kind() == reflect.Struct && v.Type().PkgPath() == "weir/config":
		for i := range v.NumField() {
			collect(v.Field(i), path+"."+v.Type().Field(i).Name, filled)
		}
	default:
		filled[path] = filled[path] || !v.IsZero()
	}
}

// TestNoKeyIsIgnored takes each key out of the full file and wants another configuration.
func TestNoKeyIsIgnored(t *testing.T) {
	base, report := LoadBytes("testdata/good/full.yaml", full(t), withFeatures(every()))
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := yaml.Unmarshal(full(t), &doc); err != nil {
		t.Fatal(err)
	}
	root, seen := vocabularyOf(every()), map[string]bool{}
	walkVocabulary(doc, root, func(path string, k *key) {
		if k == nil {
			t.Fatalf("%s is not in the table", path)
		}
		seen[k.path] = true
	})
	for path, k := range allKeys(root) {
		if !k.planned && !strings.HasSuffix(path, "*") && !strings.HasSuffix(path, "[]") && !seen[path] && !k.parent.planned {
			t.Errorf("testdata/good/full.yaml lacks %s", path)
		}
	}
	lines := strings.Split(string(full(t)), "\n")
	for i, line := range lines {
		name, _, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok || strings.HasPrefix(name, "#") || strings.HasPrefix(name, "-") || strings.HasSuffix(line, "# default") || strings.HasSuffix(strings.TrimSpace(line), ":") {
			continue
		}
		without := slices.Concat(lines[:i], lines[i+1:])
		c, report := LoadBytes("testdata/good/full.yaml", []byte(strings.Join(without, "\n")), withFeatures(every()))
		if report.Err() != nil {
			continue // a required key: it is not ignored
		}
		if reflect.DeepEqual(stripOrigins(c), stripOrigins(base)) {
			t.Errorf("line %d has no effect: %s", i+1, line)
		}
	}
}

// stripOrigins removes what differs whenever a line is added or removed.
func stripOrigins(c *Config) *Config {
	s := *c
	s.Digest, s.made = "", nil
	s.Listeners, s.Pools = map[string]*Listener{}, map[string]*Pool{}
	for name, l := range c.Listeners {
		copied := *l
		copied.Origin = Origin{}
		copied.Routes = slices.Clone(l.Routes)
		for i := range copied.Routes {
			copied.Routes[i].Origin = Origin{}
		}
		s.Listeners[name] = &copied
	}
	for name, p := range c.Pools {
		copied := *p
		copied.Origin = Origin{}
		copied.Backends = nil
		for _, b := range p.Backends {
			other := *b
			other.Origin = Origin{}
			copied.Backends = append(copied.Backends, &other)
		}
		s.Pools[name] = &copied
	}
	return &s
}

// TestDefaults holds the smallest file against the defaults of the specification.
func TestDefaults(t *testing.T) {
	c := mustLoad(t, `
listeners: { web: { protocol: http, address: ":8080", pool: app } }
pools: { app: { backends: ["10.0.0.11:8080", "[::1]:80"] } }
`)
	l, p := c.Listeners["web"], c.Pools["app"]
	second := time.Second
	checks := []struct {
		name      string
		got, want any
	}{
		{"version", c.Version, 1},
		{"admin", c.Admin, Admin{Socket: "/run/weir/admin.sock"}},
		{"log", c.Log, Log{"info", "json", AccessLog{"off", "json", 1}}},
		{"process", c.Process, Process{Grace: 30 * second}},
		{"addresses", l.Addresses, []string{":8080"}},
		{"forwarded", l.Forwarded, Forwarded{
			Mode: ForwardedAppend, Fields: []ForwardedField{XForwardedFor, XForwardedProto, XForwardedHost}, ClientFrom: XForwardedFor}},
		{"keepalive", l.KeepaliveRequests, 0},
		{"client time-outs", l.Timeouts, ClientTimeouts{10 * second, 30 * second, 75 * second, 60 * second, 5 * second, 350 * second, 60 * second}},
		{"client limits", l.Limits, ListenerLimits{64 << 10, 128, 16 << 10, 0, 0, 0, 0, 0}},
		{"protocol", p.Protocol, HTTP},
		{"algorithm", p.Algorithm, WeightedRoundRobin},
		{"hash", p.Hash, Hash{true, 0, 1, 3}},
		{"slow start", p.SlowStart, SlowStart{}},
		{"required", p.Required, true},
		{"min healthy", p.MinHealthy, 0},
		{"retries", p.Retries, Retries{2, []RetryOn{RetryConnectFailure, RetryReset}, 0.2}},
		{"tls", p.TLS, BackendTLS{Verify: true}},
		{"pool time-outs", p.Timeouts, BackendTimeouts{5 * second, 5 * second, 5 * second, 60 * second, 60 * second, 60 * second, time.Hour, 30 * second}},
		{"pool limits", p.Limits, PoolLimits{64 << 10}},
		{"queue", p.Queue, 1024},
		{"drain", p.DrainTimeout, 5 * time.Minute},
		{"health", *p.Health, HealthCheck{
			Protocol: TCP, Interval: 5 * second, Timeout: 2 * second, Rise: 2, Fall: 3, Initial: InitialChecking,
			Path: "/", Method: "GET", Status: StatusSet{Text: "200", Ranges: []StatusRange{{200, 200}}}, MaxBody: 256 << 10,
			TLS: BackendTLS{Verify: true},
		}},
		{"backend name", p.Backends[0].Name, "10.0.0.11:8080"},
		{"second name", p.Backends[1].Name, "[::1]:80"},
		{"weight", p.Backends[0].Weight, 1},
		{"state", p.Backends[0].State, Ready},
		{"probe", p.Backends[1].ProbeAddress.String(), "[::1]:80"},
		{"slow start given", mustLoad(t, `
listeners: { web: { protocol: http, address: ":8080", pool: app } }
pools: { app: { slow_start: {}, backends: ["10.0.0.11:8080"] } }
`).Pools["app"].SlowStart, SlowStart{30 * second, true}},
	}
	for _, check := range checks {
		if !reflect.DeepEqual(check.got, check.want) {
			t.Errorf("%s: got %+v, want %+v", check.name, check.got, check.want)
		}
	}
}

// mustLoad loads a configuration without errors or warnings.
func mustLoad(t *testing.T, text string, options ...Option) *Config {
	t.Helper()
	c, report := LoadBytes("weir.yaml", []byte(text), options...)
	if len(report.Diagnostics) > 0 {
		var b strings.Builder
		if err := report.Text(&b, false); err != nil {
			t.Fatal(err)
		}
		t.Fatal(b.String())
	}
	return c
}
