package config

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// Schema returns the JSON Schema, draft 2020-12, of a configuration file, for editors and other
// programs. It accepts what Load accepts, except for YAML of its own (merge keys); what spans
// several keys, and the bounds of durations and sizes, only Load checks.
func Schema() []byte { return schemaFor(vocabulary()) }

// schemaFor is Schema for the vocabulary root.
func schemaFor(root *key) []byte {
	s := schemaOf(root)
	s.Schema = "https://json-schema.org/draft/2020-12/schema"
	s.Title = "weir configuration"
	s.Defs = map[string]*jsonschema.Schema{
		"expansion": {
			Type: "string", Pattern: `\$\{[^}]+\}`,
			Description: "A value from the environment or a file: ${VAR}, ${VAR:-default}, ${file:/path}.",
		},
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("config: schema: %v", err)) // the table is part of the program
	}
	return append(data, '\n')
}

// schemaOf describes the values of k.
func schemaOf(k *key) *jsonschema.Schema {
	s := shapeSchema(k)
	s.Description = strings.TrimSpace(k.doc + " " + boundsSentence(k))
	s.Default = defaultJSON(k)
	return s
}

// boundsSentence says what the schema cannot express.
func boundsSentence(k *key) string {
	if text := k.boundsText(); text != "" {
		return "Allowed: " + text + "."
	}
	return ""
}

func shapeSchema(k *key) *jsonschema.Schema {
	switch k.kind {
	case kindObject:
		s := objectSchema(k)
		switch {
		case k.word != "":
			return anyOf(s, &jsonschema.Schema{Type: "string", Pattern: anyCase([]string{k.word})}, expansionRef())
		case k.short != "":
			return anyOf(s, schemaOf(k.child(k.short)))
		}
		return s
	case kindMap:
		s := &jsonschema.Schema{Type: "object", AdditionalProperties: schemaOf(k.item), PropertyNames: namesSchema(k)}
		if k.listed {
			return anyOf(s, &jsonschema.Schema{Type: "array", Items: schemaOf(k.item.child(k.item.short))})
		}
		return s
	case kindList:
		item := schemaOf(k.item)
		s := &jsonschema.Schema{Type: "array", Items: item}
		if k.single {
			return anyOf(s, item)
		}
		return s
	}
	return scalarSchema(k)
}

func objectSchema(k *key) *jsonschema.Schema {
	s := &jsonschema.Schema{
		Type: "object", Properties: map[string]*jsonschema.Schema{},
		AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}},
	}
	for _, c := range k.children {
		if c.planned {
			continue
		}
		s.Properties[c.name] = schemaOf(c)
		s.PropertyOrder = append(s.PropertyOrder, c.name)
		if c.required && k.parent != nil { // an include may have what the main file lacks
			s.Required = append(s.Required, c.name)
		}
	}
	return s
}

func namesSchema(k *key) *jsonschema.Schema {
	switch {
	case k.naming == namesFields:
		return &jsonschema.Schema{Pattern: tokenSchema}
	case k.naming == namesParameters:
		least, most := 1, 128
		return &jsonschema.Schema{MinLength: &least, MaxLength: &most}
	case k.naming == namesStatuses:
		return &jsonschema.Schema{Pattern: "^(" + strings.ReplaceAll(ownStatuses, " ", "|") + ")$"}
	case k.listed:
		return &jsonschema.Schema{Pattern: `^[][A-Za-z0-9_.:-]{1,128}$`}
	}
	return &jsonschema.Schema{Pattern: `^[A-Za-z0-9_.:-]{1,128}$`}
}

func scalarSchema(k *key) *jsonschema.Schema {
	text := &jsonschema.Schema{Type: "string", Pattern: kinds[k.kind].schema}
	switch k.kind {
	case kindBool:
		return anyOf(&jsonschema.Schema{Type: "boolean"}, expansionRef())
	case kindInt:
		return anyOf(numberSchema(k, "integer", 1), expansionRef())
	case kindFloat:
		return anyOf(numberSchema(k, "number", 1e8), expansionRef())
	case kindSize:
		return anyOf(text, numberSchema(k, "integer", 1), expansionRef())
	case kindDuration:
		zero := any(0)
		return anyOf(text, &jsonschema.Schema{Const: &zero}, expansionRef())
	case kindStatus:
		least, most := 100.0, 599.0
		return anyOf(text, &jsonschema.Schema{Type: "integer", Minimum: &least, Maximum: &most}, expansionRef())
	case kindEnum:
		words := &jsonschema.Schema{}
		for _, word := range k.enum {
			words.Enum = append(words.Enum, word)
			if number, err := strconv.ParseFloat(word, 64); err == nil {
				words.Enum = append(words.Enum, number) // in YAML it needs no quotes
			}
		}
		return anyOf(words, &jsonschema.Schema{Type: "string", Pattern: anyCase(k.enum)}, expansionRef())
	}
	if text.Pattern == "" {
		return text
	}
	return anyOf(text, expansionRef())
}

// numberSchema bounds a number. 0 is within the bounds where the row gives it a meaning.
func numberSchema(k *key, name string, scale float64) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: name}
	if k.min != "" {
		least := float64(k.minValue) / scale
		if k.zero != "" {
			least = 0
		}
		s.Minimum = &least
	}
	if k.max != "" {
		most := float64(k.maxValue) / scale
		s.Maximum = &most
	}
	return s
}

func anyOf(schemas ...*jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: schemas}
}

func expansionRef() *jsonschema.Schema { return &jsonschema.Schema{Ref: "#/$defs/expansion"} }

// anyCase is an expression for words in any letter case; JSON Schema has no flag for that.
func anyCase(words []string) string {
	var b strings.Builder
	for i, word := range words {
		if i > 0 {
			b.WriteByte('|')
		}
		for _, r := range word {
			if lower, upper := strings.ToLower(string(r)), strings.ToUpper(string(r)); lower != upper {
				b.WriteString("[" + lower + upper + "]")
				continue
			}
			b.WriteRune(r)
		}
	}
	return "^(" + b.String() + ")$"
}

// defaultJSON writes the default of k as a JSON value.
func defaultJSON(k *key) json.RawMessage {
	if k.def == "" {
		return nil
	}
	switch k.kind {
	case kindInt, kindFloat, kindBool:
		return json.RawMessage(k.def)
	case kindList:
		var words []string
		for word := range strings.SplitSeq(strings.Trim(k.def, "[]"), ",") {
			words = append(words, strings.Trim(word, ` "`))
		}
		data, err := json.Marshal(words)
		if err != nil {
			panic(fmt.Sprintf("config: schema: default of %s: %v", k.path, err))
		}
		return data
	}
	data, err := json.Marshal(k.def)
	if err != nil {
		panic(fmt.Sprintf("config: schema: default of %s: %v", k.path, err))
	}
	return data
}
