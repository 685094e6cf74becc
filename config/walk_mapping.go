package config

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// mapping reads an object or a map, or what may stand for one.
func (w *walker) mapping(n ast.Node, v *value) {
	k := v.key
	pairs, ok := w.pairs(n, v)
	switch {
	case ok:
		w.fields(pairs, v)
	case k.listed && isSequence(n):
		w.named(n, v)
	case k.word != "" && isScalar(n):
		w.standIn(n, v)
	case k.short != "" && isScalar(n):
		v.fields = map[string]*value{}
		c := &value{path: v.path, name: k.short, head: v.head}
		w.value(n, k.child(k.short), c)
		v.fields[k.short], v.broken = c, c.broken
	default:
		w.wrongShape(n, v)
	}
}

// standIn reads the word that may stand for an object.
func (w *walker) standIn(n ast.Node, v *value) {
	text, ok := w.text(n, v)
	if !ok {
		return
	}
	if !strings.EqualFold(text.text, v.key.word) {
		w.fail(v, v.at, fmt.Sprintf("%s %s is neither a mapping nor %s", v.path, quote(v.text), v.key.word), "write "+v.key.word+", or a mapping of: "+strings.Join(v.key.names(), ", "))
		return
	}
	v.word = v.key.word
}

// pair is one entry of a mapping.
type pair struct {
	name   string
	at     span
	value  ast.Node
	merged bool
}

// pairs returns the entries of n, with those of its merge keys last. A repeated key is reported
// and left out.
func (w *walker) pairs(n ast.Node, v *value) ([]pair, bool) {
	var entries []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		entries = m.Values
	case *ast.MappingValueNode:
		entries = []*ast.MappingValueNode{m}
	default:
		return nil, false
	}
	var all, merged []pair
	first := make(map[string]span, len(entries))
	for _, e := range entries {
		if _, ok := e.Key.(*ast.MergeKeyNode); ok {
			merged = append(merged, w.merged(e.Value, v)...)
			continue
		}
		at := w.src.spanOf(e.Key)
		name, ok := keyText(e.Key)
		if !ok {
			w.fail(v, at, fmt.Sprintf("a key of %s is not a plain text", place(v.path)), "write a name")
			continue
		}
		if earlier, repeated := first[name]; repeated {
			w.fail(v, at, fmt.Sprintf("repeated key %s in %s", quote(name), place(v.path)), fmt.Sprintf("it stands in line %d already: remove one of them", earlier.line), earlier)
			continue
		}
		first[name] = at
		all = append(all, pair{name: name, at: at, value: e.Value})
	}
	for _, p := range merged {
		if _, repeated := first[p.name]; !repeated {
			first[p.name] = p.at
			all = append(all, p)
		}
	}
	return all, true
}

// merged returns the entries that a merge key brings in: those of one mapping, or of a list of
// them, the first of which wins.
func (w *walker) merged(n ast.Node, v *value) []pair {
	if w.values++; w.values > maxAliased {
		return nil // value reports it
	}
	switch m := n.(type) {
	case *ast.AliasNode:
		w.aliased++
		defer func() { w.aliased-- }()
		return w.merged(w.doc.aliases[m], v)
	case *ast.AnchorNode:
		return w.merged(m.Value, v)
	case *ast.SequenceNode:
		var all []pair
		for _, item := range m.Values {
			all = append(all, w.merged(item, v)...)
		}
		return all
	}
	pairs, ok := w.pairs(n, v)
	if !ok {
		w.fail(v, w.src.spanOf(n), fmt.Sprintf("what << merges into %s is not a mapping", place(v.path)), "write <<: *name, where &name marks a mapping")
		return nil
	}
	for i := range pairs {
		pairs[i].merged = true
	}
	w.values += len(pairs)
	return pairs
}

// keyText returns the text of a key.
func keyText(n ast.MapKeyNode) (string, bool) {
	switch k := n.(type) {
	case *ast.StringNode:
		return k.Value, true
	case *ast.IntegerNode, *ast.BoolNode, *ast.FloatNode, *ast.NullNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	case *ast.MappingKeyNode:
		if s, ok := k.Value.(*ast.StringNode); ok {
			return s.Value, true
		}
	}
	return "", false
}

// fields reads the entries of an object or a map.
func (w *walker) fields(pairs []pair, v *value) {
	v.fields = make(map[string]*value, len(pairs))
	for _, p := range pairs {
		c := &value{path: join(v.path, p.name), name: p.name, at: p.at, head: p.at}
		if p.merged {
			w.aliased++
		}
		k := w.keyOf(p, v)
		if k != nil {
			w.value(p.value, k, c)
		}
		if p.merged {
			w.aliased--
		}
		if k == nil {
			v.broken, v.strange = true, true
			continue
		}
		v.fields[p.name] = c
		v.items = append(v.items, c)
		v.broken = v.broken || c.broken && v.key.kind == kindObject
	}
	w.required(v)
}

// keyOf finds the row for an entry, or reports why there is none.
func (w *walker) keyOf(p pair, v *value) *key {
	path := join(v.path, p.name)
	if v.key.kind == kindMap {
		if !validName(p.name, v.key) {
			w.fail(v, p.at, fmt.Sprintf("%s is not a name that can be used in %s", quote(p.name), place(v.path)), nameRule(v.key))
			return nil
		}
		return v.key.item
	}
	k := v.key.byName[p.name]
	switch {
	case k == nil:
		w.fail(v, p.at, fmt.Sprintf("unknown key %s in %s", quote(p.name), place(v.path)), adviceFor(p.name, v.key))
	case k.planned:
		w.fail(v, p.at, path+" is not supported by this version", "remove it; docs/config.md lists what this version has")
		return nil
	}
	return k
}

// required reports the keys that v lacks.
func (w *walker) required(v *value) {
	if v.strange || v.key.parent == nil {
		return // it may be there, misspelt; and the root is complete only with its includes
	}
	for _, k := range v.key.children {
		if k.required && v.fields[k.name] == nil {
			hint := "add " + k.name + ": " + exampleOf(k)
			w.fail(v, v.head, fmt.Sprintf("%s has no %s", v.path, k.name), hint)
		}
	}
}

// exampleOf shows what to write for k.
func exampleOf(k *key) string {
	switch {
	case k.kind == kindEnum:
		return orList(k.enum)
	case k.listed:
		return `["10.0.0.11:8080"]`
	case k.kind == kindReference:
		return "the name of a pool"
	case k.kind == kindInt:
		return k.min
	case k.kind == kindText:
		return "a text"
	case k.kind == kindList:
		return "[" + exampleOf(k.item) + "]"
	case k.kind == kindObject:
		var parts []string
		for _, c := range k.children {
			if c.required {
				parts = append(parts, c.name+": "+exampleOf(c))
			}
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	}
	return kinds[k.kind].example
}

// named reads a list that stands for a map: each item is the value and, in its canonical form, the
// name.
func (w *walker) named(n ast.Node, v *value) {
	v.fields = map[string]*value{}
	for i, item := range n.(*ast.SequenceNode).Values {
		at := w.src.spanOf(item)
		c := &value{path: fmt.Sprintf("%s[%d]", v.path, i), at: at, head: at}
		if !isScalar(w.resolved(item)) {
			c.key, c.given = v.key.item, true
			w.fail(c, at, fmt.Sprintf("%s is %s, not %s", c.path, shapeOf(w.resolved(item)), kinds[kindAddress].name),
				"list addresses only, or write a mapping with a name before each backend")
		} else {
			w.value(item, v.key.item, c)
		}
		if addr := c.fields[v.key.item.short]; addr != nil && !addr.broken {
			if c.name = fmt.Sprint(addr.raw); !validName(c.name, v.key) {
				w.fail(c, at, c.path+" is too long to be the name of the backend as well", "write a mapping with a name before each backend; "+nameRule(v.key))
			}
		}
		v.items = append(v.items, c)
	}
}
