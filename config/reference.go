package config

import (
	_ "embed"
	"fmt"
	"strings"
)

// referenceHead is the part of the reference that people wrote.
//
//go:embed reference.md
var referenceHead string

// Reference returns the reference page of the configuration, docs/config.md.
func Reference() []byte { return referenceFor(vocabulary()) }

// referenceFor is Reference for the vocabulary root.
func referenceFor(root *key) []byte {
	p := &page{}
	p.b.WriteString(referenceHead)
	p.b.WriteString("\n## Keys\n")
	p.section(root)
	p.planned(root)
	return []byte(p.b.String())
}

// page builds the reference.
type page struct{ b strings.Builder }

// section writes the table of an object, then the sections below it.
func (p *page) section(k *key) {
	title := "The file"
	if k.path != "" {
		title = "`" + display(k.path) + "`"
	}
	fmt.Fprintf(&p.b, "\n### %s\n\n", title)
	if k.doc != "" {
		p.b.WriteString(k.doc + "\n\n")
	}
	p.b.WriteString("| key | type | default | bounds | meaning |\n|---|---|---|---|---|\n")
	for _, c := range k.children {
		if !c.planned {
			p.row(c)
		}
	}
	for _, c := range k.children {
		if c.planned {
			continue
		}
		if below := objectBelow(c); below != nil {
			p.section(below)
		}
	}
}

// objectBelow finds the object that k is, or that its items are.
func objectBelow(k *key) *key {
	for c := k; c != nil; c = c.item {
		if c.kind == kindObject {
			return c
		}
	}
	return nil
}

func (p *page) row(k *key) {
	doc := k.doc
	if k.item != nil && k.item.kind.scalar() && k.item.doc != "" {
		doc += " Items: " + strings.ToLower(k.item.doc[:1]) + k.item.doc[1:]
	}
	fmt.Fprintf(&p.b, "| `%s` | %s | %s | %s | %s |\n", k.name, cell(typeText(k)), cell(defaultText(k)), cell(allowedText(k)), cell(doc))
}

// cell protects the table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// typeText names the type without its article.
func typeText(k *key) string {
	noun := func(k *key) string {
		_, rest, ok := strings.Cut(kinds[k.kind].name, " ")
		if !ok || k.kind == kindBool {
			return kinds[k.kind].name
		}
		return rest
	}
	switch {
	case k.kind == kindList && k.single:
		return "list of: " + noun(k.item) + ", or one"
	case k.kind == kindList:
		return "list of: " + noun(k.item)
	case k.kind == kindMap && k.listed:
		return "mapping by name, or list of addresses"
	case k.kind == kindMap:
		return "mapping by name"
	case k.word != "":
		return "mapping or `" + k.word + "`"
	case k.short != "":
		return "mapping, or its `" + k.short + "` alone"
	}
	return noun(k)
}

func defaultText(k *key) string {
	switch {
	case k.required:
		return "**required**"
	case k.inherits != "":
		return "`" + k.inherits + "`"
	case k.def != "":
		return "`" + k.def + "`"
	}
	return ""
}

// allowedText lists words or bounds.
func allowedText(k *key) string {
	enum := k.enum
	if k.kind == kindList {
		enum = k.item.enum
	}
	if k.naming == namesStatuses {
		enum = strings.Fields(ownStatuses)
	}
	if len(enum) > 0 {
		return "`" + strings.Join(enum, "` `") + "`"
	}
	return k.boundsText()
}

// planned lists what the vocabulary has and this version has not.
func (p *page) planned(root *key) {
	p.b.WriteString("\n## Not in this version\n\n" +
		"These belong to the vocabulary and are not built. Each of them is an error that says so, never silently ignored.\n\n" +
		"| key | meaning |\n|---|---|\n")
	var words []string
	var visit func(k *key)
	visit = func(k *key) {
		if k.planned {
			fmt.Fprintf(&p.b, "| `%s` | %s |\n", display(k.path), cell(k.doc))
			return
		}
		if len(k.later) > 0 {
			words = append(words, fmt.Sprintf("| `%s` | `%s` |\n", display(k.path), strings.Join(k.later, "` `")))
		}
		for _, c := range k.children {
			visit(c)
		}
		if k.item != nil {
			visit(k.item)
		}
	}
	visit(root)
	p.b.WriteString("\n| key | words |\n|---|---|\n" + strings.Join(words, ""))
}
