package config

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// maxAliased bounds the values of one file that are reached through aliases. What stands in the file
// itself is bounded by its size.
const maxAliased = 1 << 17

// walker reads the values of one document by the vocabulary and reports everything that is not in
// it. It goes on after an error, and never reports what only follows from one.
type walker struct {
	src     *source
	doc     *document
	expand  *expander
	found   *findings
	aliased int  // open aliases
	values  int  // reached through aliases
	stopped bool // too many of them
}

// fail records an error about v.
func (w *walker) fail(v *value, at span, message, hint string, related ...span) {
	v.broken = true
	if w.stopped || w.aliased > 0 && w.found.seen[at] {
		return
	}
	w.found.add(Error, at, v.path, message, hint, related...)
}

// value reads n as k.
func (w *walker) value(n ast.Node, k *key, v *value) {
	v.key, v.given = k, true
	if w.aliased > 0 {
		w.values++
	}
	if w.values > maxAliased && !w.stopped {
		w.found.add(Error, v.head, v.path, fmt.Sprintf("%s: more than %d values through aliases", place(v.path), maxAliased), "write the values out, or split the file")
		w.stopped = true
	}
	if w.stopped {
		v.broken = true
		return
	}
	switch node := n.(type) {
	case *ast.AnchorNode:
		w.value(node.Value, k, v)
		return
	case *ast.AliasNode:
		w.aliased++
		v.at = w.src.spanOf(w.doc.aliases[node])
		w.value(w.doc.aliases[node], k, v)
		w.aliased--
		return
	case *ast.TagNode:
		w.fail(v, w.src.spanAt(node.GetToken()), fmt.Sprintf("%s has a YAML tag", place(v.path)), "remove the tag: the type follows from the key")
		return
	}
	v.at = w.src.spanOf(n)
	switch {
	case k.kind.scalar():
		w.scalar(n, v)
	case k.kind == kindList:
		w.list(n, v)
	default:
		w.mapping(n, v)
	}
}

// list reads a list, or one item that stands for it.
func (w *walker) list(n ast.Node, v *value) {
	seq, ok := n.(*ast.SequenceNode)
	items := []ast.Node{n}
	switch {
	case ok:
		items = seq.Values
	case !v.key.single || !isScalar(n):
		w.wrongShape(n, v)
		return
	}
	for i, item := range items {
		at := w.src.spanOf(item)
		c := &value{path: fmt.Sprintf("%s[%d]", v.path, i), at: at, head: at}
		if !ok {
			c.path = v.path
		}
		w.value(item, v.key.item, c)
		v.items = append(v.items, c)
		v.broken = v.broken || c.broken
	}
}

// resolved takes anchors and aliases off a node.
func (w *walker) resolved(n ast.Node) ast.Node {
	for {
		switch v := n.(type) {
		case *ast.AnchorNode:
			n = v.Value
		case *ast.AliasNode:
			n = w.doc.aliases[v]
		default:
			return n
		}
	}
}

// wrongShape reports a value of another shape than its row.
func (w *walker) wrongShape(n ast.Node, v *value) {
	k := v.key
	if _, null := n.(*ast.NullNode); null {
		w.fail(v, v.head, fmt.Sprintf("%s has no value", place(v.path)), "give it one, or remove the key")
		return
	}
	hint := "write " + kinds[k.kind].name
	switch {
	case kinds[k.kind].example != "":
		hint += ": " + kinds[k.kind].example
	case k.kind == kindList:
		hint += ": [" + kinds[k.item.kind].example + "]"
		if k.item.kind == kindObject {
			hint = "write a list of mappings with: " + strings.Join(k.item.names(), ", ")
		}
	case k.kind == kindObject:
		hint += " of: " + strings.Join(k.names(), ", ")
	case k.kind == kindMap:
		hint += ", with a name before each value"
	}
	w.fail(v, v.at, fmt.Sprintf("%s is %s, not %s", place(v.path), shapeOf(n), kinds[k.kind].name), hint)
}
