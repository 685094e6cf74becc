package config

import "fmt"

// value is one place of the file that has been read by its row of the vocabulary. Absent keys have
// a value too, with the default of their row, so that callers need not ask what was written.
type value struct {
	key  *key
	path string // pools.web.backends.b1
	name string // last segment
	at   span   // of the value, or of the key where there is none
	head span   // of the key

	given   bool     // stands in the file
	broken  bool     // a diagnostic has been made for it or for something in it
	strange bool     // has a key that is not known, perhaps one misspelt
	word    string   // the word that stands for the whole ("none")
	raw     any      // of a scalar
	text    string   // of a scalar, expanded, as it may be shown
	hidden  []string // contents of files in a scalar, which text does not have

	fields map[string]*value
	items  []*value // of a list; of a map, in the order of the file
}

// child returns the value of a key; it is never nil.
func (v *value) child(name string) *value {
	if c, ok := v.fields[name]; ok {
		return c
	}
	k := v.key.child(name)
	unreadable := v.strange || v.broken && v.fields == nil
	return &value{key: k, path: join(v.path, name), name: name, at: v.at, head: v.head, raw: k.defValue, broken: unreadable}
}

// has reports whether the key stands in the file.
func (v *value) has(name string) bool { return v.child(name).given }

// get returns the scalar called name. A missing one without a default is the zero T.
func get[T any](v *value, name string) T {
	c := v.child(name)
	if c.raw == nil {
		var zero T
		return zero
	}
	t, ok := c.raw.(T)
	if !ok {
		panic(fmt.Sprintf("config: %s is %T, not %T", c.key.path, c.raw, t))
	}
	return t
}

// integer returns the whole number called name. Its row bounds it to an int.
func (v *value) integer(name string) int { return int(get[int64](v, name)) }

// list returns the items of the list called name, or those of its default.
func list[T any](v *value, name string) []T {
	c := v.child(name)
	var out []T
	if !c.given || c.broken {
		values, _ := c.key.defValue.([]any) // absent: no default, no items
		for _, item := range values {
			out = append(out, item.(T))
		}
		return out
	}
	for _, item := range c.items {
		if t, ok := item.raw.(T); ok {
			out = append(out, t)
		}
	}
	return out
}

// join appends a segment to a path.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
