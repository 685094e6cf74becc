package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

// metaSchema is what OpenAPI 3.1 wants of a document, as far as ours uses it: nothing else may stand in
// it.
const metaSchema = `{
 "$defs": {
  "schema": {"type": ["object", "boolean"]},
  "text": {"type": "string", "minLength": 1},
  "content": {"type": "object", "minProperties": 1, "propertyNames": {"pattern": "^[a-z]+/[a-z0-9.+-]+$"}, "additionalProperties": {
    "type": "object", "required": ["schema"], "additionalProperties": false, "properties": {"schema": {"$ref": "#/$defs/schema"}}}},
  "parameter": {"type": "object", "required": ["name", "in", "schema"], "additionalProperties": false, "properties": {
    "name": {"$ref": "#/$defs/text"}, "in": {"enum": ["query", "header", "path", "cookie"]}, "required": {"type": "boolean"},
    "description": {"$ref": "#/$defs/text"}, "schema": {"$ref": "#/$defs/schema"}},
    "if": {"properties": {"in": {"const": "path"}}}, "then": {"required": ["required"], "properties": {"required": {"const": true}}}},
  "response": {"type": "object", "required": ["description"], "additionalProperties": false, "properties": {
    "description": {"$ref": "#/$defs/text"}, "content": {"$ref": "#/$defs/content"},
    "headers": {"type": "object", "additionalProperties": {"type": "object", "required": ["schema"]}}}},
  "operation": {"type": "object", "required": ["operationId", "summary", "responses"], "additionalProperties": false, "properties": {
    "operationId": {"$ref": "#/$defs/text"}, "summary": {"$ref": "#/$defs/text"}, "description": {"$ref": "#/$defs/text"},
    "security": {"type": "array"}, "parameters": {"type": "array", "items": {"$ref": "#/$defs/parameter"}},
    "requestBody": {"type": "object", "required": ["content"], "additionalProperties": false, "properties": {
      "content": {"$ref": "#/$defs/content"}, "description": {"$ref": "#/$defs/text"}, "required": {"type": "boolean"}}},
    "responses": {"type": "object", "minProperties": 1, "propertyNames": {"pattern": "^([1-5][0-9][0-9]|default)$"},
      "additionalProperties": {"$ref": "#/$defs/response"}}}}
 },
 "type": "object", "required": ["openapi", "info", "paths"], "additionalProperties": false,
 "properties": {
  "openapi": {"const": "3.1.0"},
  "info": {"type": "object", "required": ["title", "version"], "properties": {"title": {"$ref": "#/$defs/text"}, "version": {"$ref": "#/$defs/text"}}},
  "servers": {"type": "array", "items": {"type": "object", "required": ["url"]}},
  "security": {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "array"}}},
  "paths": {"type": "object", "minProperties": 1, "propertyNames": {"pattern": "^/"}, "additionalProperties": {
    "type": "object", "additionalProperties": false, "minProperties": 1, "properties": {
      "get": {"$ref": "#/$defs/operation"}, "put": {"$ref": "#/$defs/operation"}, "post": {"$ref": "#/$defs/operation"},
      "patch": {"$ref": "#/$defs/operation"}, "delete": {"$ref": "#/$defs/operation"}}}},
  "components": {"type": "object", "additionalProperties": false, "properties": {
    "schemas": {"type": "object", "propertyNames": {"pattern": "^[a-zA-Z0-9._-]+$"}, "additionalProperties": {"$ref": "#/$defs/schema"}},
    "securitySchemes": {"type": "object", "additionalProperties": {"type": "object", "required": ["type"]}}}}
 }
}`

// served is the document as the server answers it.
func served(t *testing.T) map[string]any {
	t.Helper()
	g := newRig(t, nil)
	return decode[map[string]any](t, g.do("GET", "/openapi.json", "").must(t, 200).body)
}

// resolve makes a schema ready.
func resolve(t *testing.T, text []byte) *jsonschema.Resolved {
	t.Helper()
	var s jsonschema.Schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	r, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestOpenAPIIsValid holds the document against the rules of OpenAPI.
func TestOpenAPIIsValid(t *testing.T) {
	doc := served(t)
	if err := resolve(t, []byte(metaSchema)).Validate(doc); err != nil {
		t.Fatal(err)
	}
	schemas := member(member(doc, "components"), "schemas")
	var visit func(path string, value any)
	visit = func(path string, value any) {
		switch v := value.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				name, local := strings.CutPrefix(ref, "#/components/schemas/")
				if !local || schemas[name] == nil {
					t.Errorf("%s refers to %s, which is not there", path, ref)
				}
			}
			for key, below := range v {
				visit(path+"/"+key, below)
			}
		case []any:
			for i, below := range v {
				visit(fmt.Sprint(path, "/", i), below)
			}
		}
	}
	visit("", doc)
	ids := map[string]string{}
	placeholder := regexp.MustCompile(`\{(\w+)\}`)
	for path, item := range member(doc, "paths") {
		var want []string
		for _, name := range placeholder.FindAllStringSubmatch(path, -1) {
			want = append(want, name[1])
		}
		for method, op := range item.(map[string]any) {
			operation := op.(map[string]any)
			id := operation["operationId"].(string)
			if ids[id] != "" {
				t.Errorf("%s is the id of %s and of %s %s", id, ids[id], method, path)
			}
			ids[id] = method + " " + path
			var got []string
			parameters, _ := operation["parameters"].([]any)
			for _, p := range parameters {
				if p := p.(map[string]any); p["in"] == "path" {
					got = append(got, p["name"].(string))
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s %s has the path parameters %v, want %v", method, path, got, want)
			}
		}
	}
}

// TestOpenAPIHasEveryRoute: what is served is described, and the other way round.
func TestOpenAPIHasEveryRoute(t *testing.T) {
	g := newRig(t, func(o *Options) {
		o.Explain = func(ExplainQuery) (Explanation, error) { return Explanation{}, nil }
		o.Metrics = http.NotFoundHandler()
		o.Upgrade = func(context.Context, time.Duration) (Upgraded, error) { return Upgraded{}, nil }
	})
	paths := member(decode[map[string]any](t, g.do("GET", "/openapi.json", "").body), "paths")
	described := 0
	for _, r := range g.server.routes() {
		if r.plain {
			continue
		}
		item, _ := paths[r.path].(map[string]any)
		if item[strings.ToLower(r.method)] == nil {
			t.Errorf("%s %s is not described", r.method, r.path)
		}
		described++
	}
	total := 0
	for _, item := range paths {
		total += len(item.(map[string]any))
	}
	if total != described {
		t.Errorf("%d operations are described, %d are served", total, described)
	}
}

// TestAnswersAreAsDescribed holds requests and answers of every sort against their schemas.
func TestAnswersAreAsDescribed(t *testing.T) {
	doc := served(t)
	g := withObjects(t)
	g.tell("down")
	g.do("PUT", "/v1/pools/web/backends/b1/override", `{"state": "drain", "weight": 2}`).must(t, 200)
	g.write(ofFile + "      b3: { address: 10.0.0.13:8080 }\n")
	schemas, documents := map[string]any{}, map[string]any{}
	for _, tt := range []struct {
		method, path, body string
		status             int
		route              string // as in the document; empty: path
	}{
		{"GET", "/livez", "", 200, ""},
		{"GET", "/readyz", "", 200, ""},
		{"GET", "/v1/status", "", 200, ""},
		{"GET", "/v1/listeners", "", 200, ""},
		{"GET", "/v1/listeners/web", "", 200, "/v1/listeners/{listener}"},
		{"GET", "/v1/listeners/web/routes", "", 200, "/v1/listeners/{listener}/routes"},
		{"GET", "/v1/pools", "", 200, ""},
		{"GET", "/v1/pools/api", "", 200, "/v1/pools/{pool}"},
		{"GET", "/v1/pools/web/backends", "", 200, "/v1/pools/{pool}/backends"},
		{"GET", "/v1/pools/web/backends/b1", "", 200, "/v1/pools/{pool}/backends/{backend}"},
		{"GET", "/v1/config", "", 200, ""},
		{"GET", "/v1/diff", "", 200, ""},
		{"GET", "/v1/events?follow=false", "", 200, "/v1/events"},
		{"POST", "/v1/validate", `{"listeners": {"a": {"protocol": "http", "address": ":1", "pool": "b"}}, "pools": {"b": ` + aPool + `}}`, 200, ""},
		{"PUT", "/v1/pools/api", aPool, 200, "/v1/pools/{pool}"},
		{"PUT", "/v1/pools/another", aPool, 201, "/v1/pools/{pool}"},
		{"PATCH", "/v1/pools/another", `{"algorithm": "source_ip"}`, 200, "/v1/pools/{pool}"},
		{"DELETE", "/v1/pools/another", "", 200, "/v1/pools/{pool}"},
		{"DELETE", "/v1/pools/another", "", 404, "/v1/pools/{pool}"},
		{"PUT", "/v1/pools/web", aPool, 409, "/v1/pools/{pool}"},
		{"PUT", "/v1/pools/bad", `{"x": 1}`, 422, "/v1/pools/{pool}"},
		{"POST", "/v1/reload", "", 200, ""},
		{"DELETE", "/v1/pools/web/backends/b1/override", "", 200, "/v1/pools/{pool}/backends/{backend}/override"},
	} {
		a := g.do(tt.method, tt.path, tt.body).must(t, tt.status)
		if tt.route == "" {
			tt.route = tt.path
		}
		operation := member(member(member(doc, "paths"), tt.route), strings.ToLower(tt.method))
		response := member(member(operation, "responses"), strconv.Itoa(tt.status))
		media, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
		name := fmt.Sprint(tt.method, " ", tt.path, " ", tt.status)
		schemas[name], documents[name] = member(member(response, "content"), media)["schema"], decode[any](t, a.body)
		if tt.body != "" && tt.status <= 201 {
			body := member(member(member(operation, "requestBody"), "content"), mediaJSON)
			schemas[name+" request"], documents[name+" request"] = body["schema"], decode[any](t, []byte(tt.body))
		}
	}
	// One schema for all of them, since making it ready takes long.
	text, err := json.Marshal(map[string]any{"$defs": member(member(doc, "components"), "schemas"), "properties": schemas})
	if err != nil {
		t.Fatal(err)
	}
	all := resolve(t, bytes.ReplaceAll(text, []byte("#/components/schemas/"), []byte("#/$defs/")))
	for name, document := range documents {
		if err := all.Validate(map[string]any{name: document}); err != nil {
			t.Errorf("%s: %v in %v", name, err, document)
		}
	}
	if all.Validate(map[string]any{"GET /livez 200": map[string]any{"live": 1}}) == nil {
		t.Error("a wrong document is taken for right")
	}
}
