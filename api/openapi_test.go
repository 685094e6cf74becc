package api

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

// generated compares what was made with a file in the repository.
func generated(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	have, wanted := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range min(len(have), len(wanted)) {
		if have[i] != wanted[i] {
			t.Fatalf("%s is out of date from line %d on: run 'make docs' and read the difference\nit has: %s\nbut now: %s", path, i+1, have[i], wanted[i])
		}
	}
	t.Fatalf("%s is out of date: run 'make docs'; it has %d lines, but now %d", path, len(have), len(wanted))
}

// table is every route, whatever is behind it.
func table() []route {
	var s *Server
	var all []route
	for _, part := range s.parts() {
		all = append(all, part...)
	}
	return all
}

// describer makes the description from the table of routes and the Go types.
type describer struct {
	t        *testing.T
	comments map[string]string // of types and of TYPE.FIELD
	schemas  map[string]any    // by name
}

// TestOpenAPIIsMade writes the template, or wants it to be what is in the repository.
func TestOpenAPIIsMade(t *testing.T) {
	d := &describer{t, comments(t), map[string]any{}}
	d.refTo(typeOf[Problem]())
	paths := map[string]map[string]any{}
	for _, r := range table() {
		if r.plain {
			continue
		}
		if paths[r.path] == nil {
			paths[r.path] = map[string]any{}
		}
		paths[r.path][strings.ToLower(r.method)] = d.operation(r)
	}
	doc := map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title": "weir", "version": "",
			"description": "The native API of weir, on the admin socket and at admin.listen. docs/api.md has it for people.",
		},
		"servers":  []any{map[string]any{"url": "http://127.0.0.1:9091", "description": "admin.listen"}},
		"security": []any{map[string]any{}, map[string]any{"bearer": []any{}}, map[string]any{"token": []any{}}},
		"paths":    paths,
		"components": map[string]any{
			"schemas": d.schemas,
			"securitySchemes": map[string]any{
				"bearer": map[string]any{"type": "http", "scheme": "bearer", "description": "One of admin.credentials."},
				"token":  map[string]any{"type": "apiKey", "in": "header", "name": "X-Auth-Token", "description": "The same token."},
			},
		},
	}
	text, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	generated(t, "openapi.gen.json", append(text, '\n'))
}

var wildcard = regexp.MustCompile(`\{(\w+)\}`)

// operation describes one route.
func (d *describer) operation(r route) map[string]any {
	op := map[string]any{"operationId": r.id, "summary": r.title, "responses": d.responses(r)}
	if r.doc != "" {
		op["description"] = r.doc
	}
	if r.open {
		op["security"] = []any{map[string]any{}}
	}
	var parameters []any
	for _, name := range wildcard.FindAllStringSubmatch(r.path, -1) {
		parameters = append(parameters, map[string]any{"name": name[1], "in": "path", "required": true, "description": "Name of the " + name[1] + ".", "schema": map[string]any{"type": "string"}})
	}
	for _, p := range r.query {
		schema := map[string]any{"type": "string"}
		if strings.Contains(p.doc, "several times") {
			schema = map[string]any{"type": "array", "items": schema}
		}
		parameters = append(parameters, map[string]any{"name": p.name, "in": "query", "description": p.doc, "schema": schema})
	}
	for _, p := range r.header {
		parameters = append(parameters, map[string]any{"name": p.name, "in": "header", "description": p.doc, "schema": map[string]any{"type": "string"}})
	}
	if parameters != nil {
		op["parameters"] = parameters
	}
	if r.body != nil {
		op["requestBody"] = map[string]any{"required": true, "content": d.content(*r.body), "description": r.body.doc}
		if r.body.doc == "" {
			delete(op["requestBody"].(map[string]any), "description")
		}
	}
	return op
}

// responses describes success and what may go wrong.
func (d *describer) responses(r route) map[string]any {
	success := map[string]any{"description": "Done.", "content": d.content(r.answer)}
	if r.answer.doc != "" {
		success["description"] = r.answer.doc
	}
	all := map[string]any{"200": success}
	if slices.ContainsFunc(r.header, func(p parameter) bool { return p.name == "If-None-Match" && r.method == http.MethodGet }) {
		all["304"] = map[string]any{"description": "The client has it already."}
		success["headers"] = map[string]any{"ETag": map[string]any{"description": "Of what is wanted; the status is no part of it.", "schema": map[string]any{"type": "string"}}}
	}
	if r.method == http.MethodPut && r.body.spec != "" && r.body.spec != "routes" {
		all["201"] = map[string]any{"description": "Made.", "content": d.content(r.answer)}
	}
	if r.id == "ready" {
		all["503"] = map[string]any{"description": "Not ready.", "content": d.content(r.answer)}
		return all
	}
	problem := map[string]any{"application/problem+json": map[string]any{"schema": d.refTo(typeOf[Problem]())}}
	for _, status := range r.problems {
		all[strconv.Itoa(status)] = map[string]any{"description": meaning(r, status), "content": problem}
	}
	all["default"] = map[string]any{"description": "401 without a credential that is known, 403 without the right, and whatever else goes wrong.", "content": problem}
	return all
}

// meaning says what a status means for a route.
func meaning(r route, status int) string {
	words := map[int]string{
		400: "The request is not well formed.", 404: "There is no such object.",
		409: "It is the file's, or protected, or needed by something else, or cannot be put in force.",
		412: "It is not as If-Match or If-None-Match want it.", 413: "The body is too large.",
		415: "The body is of another media type.", 422: "The configuration would not be valid; errors says where.",
		503: "The process is stopping.", 507: "state_dir cannot be written; nothing has changed.",
	}
	switch r.id {
	case "events":
		words[503] = "Too many streams are open."
	case "upgrade":
		words[409], words[500] = "Another upgrade is under way.", "The new process did not come into service; this one goes on."
	case "explain":
		words[422] = "What is asked for names no listener, pool or backend, or several."
	}
	if words[status] == "" {
		return http.StatusText(status) + "."
	}
	return words[status]
}

func (d *describer) content(c content) map[string]any {
	out := map[string]any{}
	for _, media := range c.media {
		schema := map[string]any{}
		switch {
		case media == mediaMergePatch, media == mediaJSON && slices.Contains(c.media, mediaMergePatch):
			schema = map[string]any{"type": "object"}
		case media == mediaJSON && c.spec != "":
			schema = map[string]any{"$ref": "#/components/schemas/" + strings.ToUpper(c.spec[:1]) + c.spec[1:]}
		case media == mediaJSON && c.of != nil:
			schema = d.refTo(c.of)
		default:
			schema["type"] = "string"
		}
		out[media] = map[string]any{"schema": schema}
	}
	return out
}

// nameOf is the name of a type among the components.
func nameOf(t reflect.Type) string {
	if item, ok := strings.CutPrefix(t.Name(), "List["); ok {
		return strings.TrimSuffix(item[strings.LastIndexByte(item, '.')+1:], "Object]") + "List"
	}
	return t.Name()
}

// refTo describes a type, once, and refers to it.
func (d *describer) refTo(t reflect.Type) map[string]any {
	name := nameOf(t)
	if _, known := d.schemas[name]; !known {
		d.schemas[name] = nil // in the making
		d.schemas[name] = d.describe(t)
	}
	return map[string]any{"$ref": "#/components/schemas/" + name}
}

// describe makes the schema of a struct, in which other structs are references.
func (d *describer) describe(t reflect.Type) any {
	others := map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[time.Time]():       {Type: "string", Format: "date-time"},
		reflect.TypeFor[json.RawMessage](): {},
	}
	for _, field := range reflect.VisibleFields(t) {
		if below := structBelow(field.Type); below != nil && !field.Anonymous {
			others[below] = &jsonschema.Schema{Ref: d.refTo(below)["$ref"].(string)}
		}
	}
	s, err := jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: others})
	if err != nil {
		d.t.Fatal(err)
	}
	s.Description = d.comments[t.Name()]
	if s.Description == "" {
		s.Description = d.comments[strings.Split(t.Name(), "[")[0]]
	}
	s.AdditionalProperties = nil // later versions may say more
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		p := s.Properties[name]
		if p == nil || field.Anonymous {
			continue
		}
		owner := t
		for _, i := range field.Index[:len(field.Index)-1] {
			owner = owner.Field(i).Type
		}
		p.Description = d.comments[strings.Split(owner.Name(), "[")[0]+"."+field.Name]
		neverNull(p)
	}
	return s
}

// neverNull takes null out of a schema: what has no value is left out, and lists are never null.
func neverNull(s *jsonschema.Schema) {
	switch {
	case len(s.Types) == 1 && s.Types[0] == "null": // of a reference
		s.Types = nil
	case len(s.Types) == 2 && s.Types[0] == "null":
		s.Type, s.Types = s.Types[1], nil
	}
	for _, below := range []*jsonschema.Schema{s.Items, s.AdditionalProperties} {
		if below != nil {
			neverNull(below)
		}
	}
}

// structBelow is the struct of ours that a field is made of.
func structBelow(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice && t != reflect.TypeFor[json.RawMessage]() {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]() {
		return t
	}
	return nil
}

// comments reads what is said in the code about types and their fields.
func comments(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "../telemetry/event.go") {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			declaration, ok := n.(*ast.GenDecl)
			if !ok {
				return true
			}
			for _, spec := range declaration.Specs {
				if typed, ok := spec.(*ast.TypeSpec); ok {
					typeComments(found, declaration, typed)
				}
			}
			return false
		})
	}
	return found
}

func typeComments(found map[string]string, declaration *ast.GenDecl, typed *ast.TypeSpec) {
	of, ok := typed.Type.(*ast.StructType)
	if !ok {
		return
	}
	found[typed.Name.Name] = oneLine(declaration.Doc)
	for _, field := range of.Fields.List {
		for _, name := range field.Names {
			text := oneLine(field.Doc)
			if text == "" {
				text = oneLine(field.Comment)
			}
			found[typed.Name.Name+"."+name.Name] = text
		}
	}
}

// oneLine is a comment as a sentence.
func oneLine(c *ast.CommentGroup) string {
	return strings.Join(strings.Fields(c.Text()), " ")
}
