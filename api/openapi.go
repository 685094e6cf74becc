package api

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"weir/config"
)

// openAPITemplate describes the API in OpenAPI 3.1, but for the vocabulary of the configuration and the
// version. It is made from the table of routes and the Go types by a test (go test ./api -update).
//
//go:embed openapi.gen.json
var openAPITemplate []byte

// openAPI is the document of GET /openapi.json.
var openAPI = sync.OnceValue(func() map[string]any {
	doc := parsed(openAPITemplate)
	schemas := member(member(doc, "components"), "schemas")
	for name, schema := range vocabulary() {
		schemas[name] = schema
	}
	return doc
})

// vocabulary are the schemas of the configuration: whole, and of what the API changes.
func vocabulary() map[string]any {
	whole := parsed(config.Schema())
	schemas := map[string]any{"Expansion": member(whole, "$defs")["expansion"], "Configuration": whole}
	delete(whole, "$defs")
	delete(whole, "$schema")
	move := func(from map[string]any, key, name string) map[string]any {
		moved := member(from, key)
		schemas[name], from[key] = moved, map[string]any{"$ref": "#/components/schemas/" + name}
		return moved
	}
	properties := member(whole, "properties")
	listener := move(member(properties, "listeners"), "additionalProperties", "Listener")
	move(member(listener, "properties"), "routes", "Routes")
	pool := move(member(properties, "pools"), "additionalProperties", "Pool")
	byName := first(member(member(pool, "properties"), "backends"))
	move(byName, "additionalProperties", "Backend")
	for name := range schemas {
		retarget(schemas[name])
	}
	return schemas
}

// retarget lets references to the definitions of the configuration lead to the components.
func retarget(schema any) {
	switch s := schema.(type) {
	case map[string]any:
		for key, value := range s {
			if key == "$ref" && value == "#/$defs/expansion" {
				s[key] = "#/components/schemas/Expansion"
			}
			retarget(value)
		}
	case []any:
		for _, value := range s {
			retarget(value)
		}
	}
}

// parsed reads a document that is part of the program.
func parsed(text []byte) map[string]any {
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		panic("api: openapi: " + err.Error())
	}
	return doc
}

// member is an object in a document that is part of the program.
func member(of map[string]any, key string) map[string]any {
	found, ok := of[key].(map[string]any)
	if !ok {
		panic(fmt.Sprintf("api: openapi: %s is %T", key, of[key]))
	}
	return found
}

// first is the first form that a value of the configuration may have.
func first(of map[string]any) map[string]any {
	if forms, ok := of["anyOf"].([]any); ok {
		if form, ok := forms[0].(map[string]any); ok {
			return form
		}
	}
	return of
}

// serveOpenAPI describes the API for programs.
func (s *Server) serveOpenAPI(w http.ResponseWriter, _ *http.Request) error {
	shared := openAPI()
	doc := make(map[string]any, len(shared))
	for key, value := range shared {
		doc[key] = value
	}
	info := map[string]any{}
	for key, value := range member(shared, "info") {
		info[key] = value
	}
	info["version"] = s.options.Version
	doc["info"] = info
	writeJSON(w, http.StatusOK, doc)
	return nil
}
