package config

import (
	"fmt"
	"strings"
	"sync"
)

// key is one row of the vocabulary: everything that is known about one place of the file.
// Validation, defaults, the JSON Schema and the reference page are all produced from these rows.
type key struct {
	// path has * for a name that the user chooses and [] for an item of a list.
	path string
	kind kind
	doc  string // sentences, for people

	required bool
	def      string   // the default as it would be written; empty: none
	inherits string   // path whose value holds when this one is not given
	min, max string   // bounds as they would be written, both inclusive; empty: none
	zero     string   // what 0 means, where 0 is allowed below min
	enum     []string // the words of this version
	later    []string // words that a later version will know
	word     string   // kindObject: this word alone is accepted instead ("none")
	short    string   // kindObject: a scalar alone stands for this key of it ("address")
	naming   naming   // kindMap: which names there may be
	listed   bool     // kindMap: a list of scalars is accepted too, named by themselves
	single   bool     // kindList: one item alone is accepted too
	only     []string // protocols of the listener or pool for which it has an effect; empty: all
	planned  bool     // not supported by this version
	secret   bool     // its value is never shown

	// Filled in when the tree is built.
	name     string // last segment
	parent   *key
	children []*key
	byName   map[string]*key
	item     *key // the * or [] child
	defValue any
	minValue int64
	maxValue int64
}

// child returns the key below k called name; the name must be in the vocabulary.
func (k *key) child(name string) *key {
	c := k.byName[name]
	if c == nil {
		panic(fmt.Sprintf("config: no key %q under %q in the vocabulary", name, k.path))
	}
	return c
}

// root returns the vocabulary that k belongs to.
func (k *key) root() *key {
	for k.parent != nil {
		k = k.parent
	}
	return k
}

// names lists what may stand in k, supported keys only, in the order of the table.
func (k *key) names() []string {
	var names []string
	for _, c := range k.children {
		if !c.planned {
			names = append(names, c.name)
		}
	}
	return names
}

// display writes a path of the table for people: pools.NAME.timeouts, routes[].
func display(path string) string { return strings.ReplaceAll(path, "*", "NAME") }

// vocabulary is the tree of all keys. It is never changed after it has been built.
var vocabulary = sync.OnceValue(func() *key { return vocabularyOf(built) })

// vocabularyOf builds the tree of all keys for a version that has the features f.
func vocabularyOf(f features) *key { return buildTree(rows(f)) }

// rows is the whole vocabulary, parents before children.
func rows(f features) []key {
	var all []key
	for _, part := range [][]key{
		processRows(), defaultsRows(f), listenerRows(f), routeRows(f), poolRows(f), healthRows(f), backendRows(f),
	} {
		all = append(all, part...)
	}
	return all
}

// buildTree links rows into a tree. A mistake in the table is a broken invariant of the program.
func buildTree(rows []key) *key {
	root := &key{kind: kindObject, byName: map[string]*key{}}
	index := map[string]*key{"": root}
	for i := range rows {
		k := &rows[i]
		parentPath, name := splitPath(k.path)
		parent := index[parentPath]
		if parent == nil || index[k.path] != nil {
			panic(fmt.Sprintf("config: vocabulary: %q has no parent or stands twice", k.path))
		}
		k.name, k.parent, k.byName = name, parent, map[string]*key{}
		k.planned = k.planned || parent.planned
		switch name {
		case "*", "[]":
			parent.item = k
		default:
			parent.children = append(parent.children, k)
			parent.byName[name] = k
		}
		index[k.path] = k
		k.parseBounds()
	}
	for i := range rows {
		rows[i].parseListDefault()
	}
	return root
}

// splitPath cuts the last segment off a path of the table.
func splitPath(path string) (parent, name string) {
	if rest, ok := strings.CutSuffix(path, "[]"); ok {
		return rest, "[]"
	}
	i := strings.LastIndexByte(path, '.')
	return path[:max(i, 0)], path[i+1:]
}

// parseBounds turns the written default and bounds into values.
func (k *key) parseBounds() {
	if !k.kind.scalar() {
		return
	}
	number := func(s string) int64 {
		v, p := parsers[k.kind](s, k)
		if p != nil {
			panic(fmt.Sprintf("config: vocabulary: %s: bound %q %s", k.path, s, p.text))
		}
		return asInt64(v)
	}
	if k.min != "" {
		k.minValue = number(k.min)
	}
	if k.max != "" {
		k.maxValue = number(k.max)
	}
	k.defValue = kinds[k.kind].zero
	if k.def != "" {
		k.defValue = k.mustParse(k.def)
	}
}

// parseListDefault turns a written default like [a, "b"] into the values of its items.
func (k *key) parseListDefault() {
	if k.kind != kindList || k.def == "" {
		return
	}
	var values []any
	for word := range strings.SplitSeq(strings.Trim(k.def, "[]"), ",") {
		values = append(values, k.item.mustParse(strings.Trim(word, ` "`)))
	}
	k.defValue = values
}

// mustParse reads a value that the table itself holds.
func (k *key) mustParse(text string) any {
	v, p := k.parse(text)
	if p != nil {
		panic(fmt.Sprintf("config: vocabulary: %s: default %q %s", k.path, text, p.text))
	}
	return v
}
