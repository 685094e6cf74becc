package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weir/telemetry"
)

// example is a request that the reference shows, with the answer that it gets when a test sends it.
type example struct {
	title        string
	method, path string
	body         string
	fields       []string
	status       int
	shows        []string // members of the answer; none: the whole
}

// examples are sent in this order, to a server whose file is that of these tests.
var examples = []example{
	{"Make a pool", "PUT", "/v1/pools/api", `{"algorithm": "least_connections", "backends": {"a1": {"address": "10.0.1.1:8080"}, "a2": {"address": "10.0.1.2:8080"}}}`, nil, 201, nil},
	{"Read it", "GET", "/v1/pools/api", "", nil, 200, []string{"name", "origin", "read_only", "etag", "spec"}},
	{"Make a listener for it", "PUT", "/v1/listeners/api", `{"protocol": "http", "address": "127.0.0.1:0", "pool": "api"}`, nil, 201, []string{"revision", "summary", "changes"}},
	{"Send some requests elsewhere", "PUT", "/v1/listeners/api/routes", `[{"path_prefix": "/shop", "pool": "web"}]`, nil, 200, []string{"revision", "summary", "changes"}},
	{"Change a time-out", "PATCH", "/v1/pools/api", `{"timeouts": {"connect": "2s"}}`, []string{"Content-Type: application/merge-patch+json"}, 200, []string{"revision", "summary", "changes"}},
	{"Add a backend, if it does not exist", "PUT", "/v1/pools/api/backends/a3", `{"address": "10.0.1.3:8080", "weight": 2}`, []string{"If-None-Match: *"}, 201, []string{"revision", "summary", "changes"}},
	{"The same again", "PUT", "/v1/pools/api/backends/a3", `{"address": "10.0.1.3:8080", "weight": 2}`, []string{"If-None-Match: *"}, 412, nil},
	{"What is wrong has a place and a hint", "PATCH", "/v1/pools/api/backends/a3", `{"wieght": 300}`, nil, 422, nil},
	{"The file's objects are the file's", "PUT", "/v1/pools/web", `{"backends": ["10.0.0.13:8080"]}`, nil, 409, nil},
	{"Drain a backend", "PUT", "/v1/pools/web/backends/b1/override", `{"state": "drain"}`, nil, 200, nil},
	{"See it", "GET", "/v1/pools/web/backends/b1", "", nil, 200, []string{"name", "origin", "read_only", "spec", "override"}},
	{"Take the override back", "DELETE", "/v1/pools/web/backends/b1/override", "", nil, 200, []string{"revision", "summary"}},
	{"What would happen if a listener went?", "DELETE", "/v1/listeners/api?dry_run=true", "", nil, 200, []string{"revision", "summary"}},
	{"A pool that is needed", "DELETE", "/v1/pools/api", "", nil, 409, []string{"type", "status", "detail", "hint"}},
	{"Check a configuration", "POST", "/v1/validate", "listeners: { web: { protocol: htp, address: \":80\", pool: web } }\n", []string{"Content-Type: application/yaml"}, 200, nil},
	{"Compare the file with what is in force", "GET", "/v1/diff", "", nil, 200, nil},
	{"Read the files again", "POST", "/v1/reload", "", nil, 200, []string{"generation", "summary", "changes"}},
	{"What has happened", "GET", "/v1/events?follow=false", "", nil, 200, nil},
	{"A name that is not there", "GET", "/v1/pools/wbe", "", nil, 404, nil},
}

// TestReferenceOfAPI runs the examples and writes docs/api.md, or wants it to be what is in the repository.
func TestReferenceOfAPI(t *testing.T) {
	head, err := os.ReadFile("reference.md")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.Write(head)
	b.WriteString("\n## Operations\n\nWhat is marked † is open to everybody at the TCP address, ‡ is on the socket only.\n")
	for _, group := range groups {
		writeGroup(&b, group)
	}
	writeExamples(t, &b)
	generated(t, "../docs/api.md", []byte(b.String()))
}

// groups are the sections of the operations, each with the beginning of its paths.
var groups = []struct{ title, prefix string }{
	{"Probes and metrics", "/livez /readyz /metrics"},
	{"The whole", "/v1/status /v1/config /v1/diff /v1/reload /v1/validate /v1/upgrade"},
	{"Listeners", "/v1/listeners"},
	{"Pools and backends", "/v1/pools"},
	{"Events and questions", "/v1/events /v1/explain"},
	{"For programs and developers", "/openapi.json /debug/pprof/ /{$}"},
}

func writeGroup(b *strings.Builder, group struct{ title, prefix string }) {
	fmt.Fprintf(b, "\n### %s\n\n| operation | | success | what may go wrong |\n|---|---|---|---|\n", group.title)
	var notes []route
	for _, r := range table() {
		if !slices.ContainsFunc(strings.Fields(group.prefix), func(p string) bool { return strings.HasPrefix(r.path, p) }) {
			continue
		}
		mark := ""
		switch {
		case r.open:
			mark = " †"
		case r.socketOnly:
			mark = " ‡"
		}
		statuses := make([]string, 0, len(r.problems))
		for _, status := range slices.Sorted(slices.Values(r.problems)) {
			statuses = append(statuses, strconv.Itoa(status))
		}
		fmt.Fprintf(b, "| `%s %s`%s | %s | %s | %s |\n", r.method, strings.TrimSuffix(r.path, "{$}"), mark, r.title, successOf(r), strings.Join(statuses, " "))
		notes = append(notes, r)
	}
	for _, r := range notes {
		if r.doc == "" && len(r.query) == 0 {
			continue
		}
		fmt.Fprintf(b, "\n`%s %s`: %s\n", r.method, strings.TrimSuffix(r.path, "{$}"), r.doc)
		for _, p := range r.query {
			if p.name != "dry_run" {
				fmt.Fprintf(b, "- `%s`: %s\n", p.name, p.doc)
			}
		}
	}
}

// successOf names the status and the document of success.
func successOf(r route) string {
	status := "200"
	if r.method == http.MethodPut && r.body.spec != "" && r.body.spec != "routes" {
		status = "200 201"
	}
	if r.answer.of == nil {
		return status
	}
	return status + " " + nameOf(r.answer.of)
}

// writeExamples sends the examples and shows what came back.
func writeExamples(t *testing.T, b *strings.Builder) {
	b.WriteString("\n## Examples\n\nThe file of these has this:\n\n```yaml\n" + ofFile + "```\n")
	g := newRig(t, nil)
	for i, e := range examples {
		fields := e.fields
		if e.path == "/v1/diff" {
			g.write(strings.Replace(ofFile, "weight: 3", "weight: 4", 1))
			b.WriteString("\nIn the file, the weight of `b2` is 4 by now.\n")
		}
		if strings.HasPrefix(e.path, "/v1/events") {
			g.journal.Add(telemetry.Event{Kind: telemetry.EventHealth, Pool: "web", Backend: "b2",
				Message: "web/b2 down: connect 10.0.0.12:8080: connection refused, 3 of 3 failed", Fields: map[string]string{"state": "down"}})
		}
		a := g.do(e.method, e.path, e.body, fields...)
		if a.status != e.status {
			t.Errorf("example %d, %s: got %d, want %d: %s", i, e.title, a.status, e.status, a.body)
		}
		fmt.Fprintf(b, "\n%s:\n\n```console\n$ %s\nHTTP/1.1 %d %s\n", e.title, e.curl(), a.status, http.StatusText(a.status))
		for _, name := range []string{"Etag", "Location"} {
			if value := a.header.Get(name); value != "" {
				fmt.Fprintf(b, "%s: %s\n", strings.Replace(name, "Etag", "ETag", 1), value)
			}
		}
		fmt.Fprintf(b, "\n%s\n```\n", steady(g, excerpt(t, a.body, e.shows)))
	}
}

// curl is the command that sends the example.
func (e example) curl() string {
	words := []string{"curl", "-si", "--unix-socket", "/run/weir/admin.sock"}
	if e.method != http.MethodGet {
		words = append(words, "-X", e.method)
	}
	fields := slices.Clone(e.fields)
	if e.body != "" && !slices.ContainsFunc(fields, func(f string) bool { return strings.HasPrefix(f, "Content-Type") }) {
		fields = append(fields, "Content-Type: application/json")
	}
	for _, f := range fields {
		words = append(words, "-H", "'"+f+"'")
	}
	if e.body != "" {
		words = append(words, "--data-binary", "'"+strings.TrimSuffix(e.body, "\n")+"'")
	}
	target := "http://localhost" + e.path
	if strings.ContainsAny(target, "?&") {
		target = "'" + target + "'"
	}
	return strings.Join(append(words, target), " ")
}

// excerpt is some members of a document, in their order, or all of it.
func excerpt(t *testing.T, body []byte, members []string) string {
	t.Helper()
	if len(members) == 0 {
		return string(body)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(body, &all); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("{\n")
	for _, name := range members {
		if all[name] == nil {
			t.Errorf("%q is not in %s", name, body)
		}
		// The whole is indented, so that a member is as far as it was.
		fmt.Fprintf(&b, "  %q: %s,\n", name, all[name])
	}
	return b.String() + "  …\n}"
}

// What differs from run to run.
var (
	tookMS  = regexp.MustCompile(`"took_ms": [0-9.]+`)
	moments = regexp.MustCompile(`"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z"`)
	eventID = regexp.MustCompile(`"(id|last)": [0-9]{10,}`)
)

// steady replaces it.
func steady(g *rig, text string) string {
	text = strings.ReplaceAll(text, g.file, "/etc/weir/weir.yaml")
	text = tookMS.ReplaceAllString(text, `"took_ms": 1.52`)
	text = moments.ReplaceAllString(text, `"2026-01-02T15:04:05.678Z"`)
	return eventID.ReplaceAllString(text, `"$1": 1767366245679`)
}
