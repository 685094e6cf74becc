package config

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/jsonschema-go/jsonschema"
)

// resolvedSchema is the schema as another program would read it.
func resolvedSchema(t *testing.T, f features) *jsonschema.Resolved {
	t.Helper()
	var s jsonschema.Schema
	if err := json.Unmarshal(schemaFor(vocabularyOf(f)), &s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

// instance reads YAML as plain values, the way an editor sees it.
func instance(t *testing.T, data []byte) any {
	t.Helper()
	text, err := yaml.YAMLToJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSchemaAcceptsGoodFiles(t *testing.T) {
	schema := resolvedSchema(t, every())
	var files []string
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/good/extra/*.yaml", "../examples/*.yaml", "testdata/bad/warnings.yaml", "testdata/features/*warnings.yaml"} {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, matches...)
	}
	if len(files) < 6 {
		t.Fatalf("only %d files", len(files))
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance(t, data)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestSchemaRejectsBadFiles(t *testing.T) {
	schema := resolvedSchema(t, built)
	for _, name := range []string{
		"unknown-key", "wrong-type", "bounds", "enum", "not-supported", "not-supported-words", "duration", "size",
		"status", "misplaced", "names", "no-value", "not-a-mapping", "health", "everything",
	} {
		data, err := os.ReadFile("testdata/bad/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance(t, data)); err == nil {
			t.Errorf("the schema accepts %s.yaml", name)
		}
	}
}

// TestSchemaRejectsOneMistake changes one thing of a good file at a time.
func TestSchemaRejectsOneMistake(t *testing.T) {
	schema := resolvedSchema(t, every())
	good := string(full(t))
	if err := schema.Validate(instance(t, []byte(good))); err != nil {
		t.Fatal(err)
	}
	for old, bad := range map[string]string{
		"level: DEBUG":              "level: loud",
		"sample: 0.25":              "sample: 2",
		"client_header: 1s":         "client_header: 1",
		"max_header: 32KiB":         "max_header: 32KB",
		"max_header_count: 64":      "max_header_count: many",
		"protocol: http\n":          "protocol: ip\n",
		"path: /exact":              "path: exact",
		"port: 8443":                "port: 70000",
		"budget: 10%":               "budget: 0.1",
		"weighted: false":           "weighted: 0",
		"weight: 0\n        max_":   "weight: 300\n        max_",
		"weight: 9":                 "weight: 1001",
		"status: 308":               "status: 304",
		"status: 405":               "status: 99",
		"to: https://":              "to: ftp://",
		"rewrite: /v2":              "rewrite: v2",
		"503: pages":                "302: pages",
		"rate: 2.5":                 "rate: -1",
		"max_version: 1.2":          "max_version: 1.1",
		"same_site: strict":         "same_site: 1",
		"[tls_ecdhe_rsa":            "[tls_rsa",
		"keys: 0001":                "keys: 01",
		"protocol: https\n    addr": "protocol: quic\n    addr",
		"on: reset":                 "on: never",
		"repeat: false":             "repeats: false",
		"b2: 10.0.0.12:8443":        "b2: 12",
		"address: 10.0.0.11:8443":   "addres: 10.0.0.11:8443",
		`status: ["200-299",`:       `status: ["600",`,
		"        X-Probe: weir\n":   "        \"X Probe\": weir\n",
		"initial: down":             "initial: [down]",
		"keepalive_requests: 100":   "keepalive_requests: -1",
		"  own:\n":                  "  \"o w n\":\n",
		"mode: Replace":             "mode: 3",
		"health_check:\n      send": "health_check: off\n    x:\n      send",
	} {
		if !strings.Contains(good, old) {
			t.Errorf("%q is not in the file", old)
			continue
		}
		text := strings.Replace(good, old, bad, 1)
		if err := schema.Validate(instance(t, []byte(text))); err == nil {
			t.Errorf("the schema accepts %q", bad)
		}
	}
}

// TestSchemaHasEveryKey compares the properties with the table.
func TestSchemaHasEveryKey(t *testing.T) {
	for _, root := range []*key{vocabulary(), vocabularyOf(every())} {
		text := schemaFor(root)
		var s jsonschema.Schema
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		if got, want := slices.Sorted(maps.Keys(s.Properties)), slices.Sorted(slices.Values(root.names())); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if s.Schema != "https://json-schema.org/draft/2020-12/schema" {
			t.Errorf("the schema is of %q", s.Schema)
		}
		for path, k := range allKeys(root) {
			named := strings.Contains(string(text), `"`+k.name+`": {`)
			if k.name != "*" && k.name != "[]" && !k.planned && !named {
				t.Errorf("%s is not in the schema", path)
			}
		}
	}
}
