package route

import (
	"fmt"
	"strings"
)

// template is a text with placeholders.
type template []piece

// piece is some text and the placeholder behind it.
type piece struct {
	text     string
	variable variable
}

// variable is what a placeholder stands for.
type variable uint8

const (
	noVariable variable = iota // the end of the template
	hostVariable
	pathVariable
	queryVariable
)

// newTemplate reads a template that has passed validation.
func newTemplate(text string) template {
	var t template
	for rest := text; rest != ""; {
		before, after, found := strings.Cut(rest, "{")
		if !found {
			return append(t, piece{text: before})
		}
		name, after, _ := strings.Cut(after, "}")
		t = append(t, piece{before, newVariable(name, text)})
		rest = after
	}
	return t
}

// has reports whether a placeholder stands somewhere.
func (t template) has(v variable) bool {
	for _, p := range t {
		if p.variable == v {
			return true
		}
	}
	return false
}

func newVariable(name, text string) variable {
	switch name {
	case "host":
		return hostVariable
	case "path":
		return pathVariable
	case "query":
		return queryVariable
	}
	panic(fmt.Sprintf("route: template %q has the placeholder %q", text, name))
}
