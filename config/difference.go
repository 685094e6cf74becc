package config

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Action says what became of something.
type Action string

// The actions.
const (
	Added   Action = "added"
	Removed Action = "removed"
	Changed Action = "changed"
)

// Kind is what a Difference is about.
type Kind string

// The kinds.
const (
	KindListener Kind = "listener"
	KindPool     Kind = "pool"
	KindBackend  Kind = "backend"
	KindSetting  Kind = "setting" // of the process, or of defaults
)

// Difference is one thing in which two configurations differ.
type Difference struct {
	Action Action `json:"action"`
	Kind   Kind   `json:"kind"`
	// Name is that of the listener or pool, or POOL/BACKEND; of a setting, its path.
	Name string `json:"name"`
	// Field is the key of it that has changed, as timeouts.queue; empty: it was added or removed as a whole.
	Field string `json:"field,omitempty"`
	// Before and After are what was written, or the default that held; nil for nothing. Secrets are
	// masked.
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// Differences lists in what b differs from a: listeners, pools and backends that were added or removed as
// such, of others the keys that have changed. What was written in another way and means the same is none.
// Both must have been returned by Load, LoadBytes or With.
func Differences(a, b *Config) []Difference {
	d := &differ{old: a, new: b}
	d.listeners()
	d.pools()
	d.settings()
	return d.list
}

// differ compares two configurations.
type differ struct {
	old, new *Config
	list     []Difference
}

// subject is the object that differences are about.
type subject struct {
	kind Kind
	name string
	path string
}

func (d *differ) add(s subject, a Action, path string, before, after json.RawMessage) {
	field := strings.TrimPrefix(strings.TrimPrefix(path, s.path), ".")
	d.list = append(d.list, Difference{Action: a, Kind: s.kind, Name: s.name, Field: field, Before: before, After: after})
}

// both lists the names of two maps in order.
func both[V any](a, b map[string]V) []string {
	names := maps.Clone(a)
	if names == nil {
		names = map[string]V{}
	}
	maps.Copy(names, b)
	return slices.Sorted(maps.Keys(names))
}

func (d *differ) section(name string) (old, new *value) {
	return d.old.made.root.child(name), d.new.made.root.child(name)
}

func (d *differ) listeners() {
	before, after := d.section("listeners")
	for _, name := range both(d.old.Listeners, d.new.Listeners) {
		old, new := d.old.Listeners[name], d.new.Listeners[name]
		if before.fields[name] == after.fields[name] {
			continue // the very value, so it was not made anew
		}
		if old != nil && new != nil && old.Equal(new) {
			continue
		}
		d.object(subject{KindListener, name, "listeners." + name}, before.fields[name], after.fields[name])
	}
}

func (d *differ) pools() {
	before, after := d.section("pools")
	for _, name := range both(d.old.Pools, d.new.Pools) {
		old, new := d.old.Pools[name], d.new.Pools[name]
		was, is := before.fields[name], after.fields[name]
		if was == is {
			continue // the very value, so it was not made anew
		}
		if old == nil || new == nil {
			d.object(subject{KindPool, name, "pools." + name}, was, is)
			continue
		}
		if !old.Equal(new) {
			d.members(subject{KindPool, name, "pools." + name}, was, is, "backends")
		}
		d.backends(old, new, was.child("backends"), is.child("backends"))
	}
}

// backends compares those of a pool that was there and is.
func (d *differ) backends(old, new *Pool, was, is *value) {
	byName := func(p *Pool) map[string]*Backend {
		m := map[string]*Backend{}
		for _, b := range p.Backends {
			m[b.Name] = b
		}
		return m
	}
	item := func(v *value, name string) *value {
		if i := slices.IndexFunc(v.items, func(item *value) bool { return item.name == name }); i >= 0 {
			return v.items[i]
		}
		return nil
	}
	before, after := byName(old), byName(new)
	for _, name := range both(before, after) {
		x, y := before[name], after[name]
		if x != nil && y != nil && x.Equal(y) {
			continue
		}
		a, b := item(was, name), item(is, name)
		d.object(subject{KindBackend, new.Name + "/" + name, pathOf(b, a)}, a, b)
	}
}

// object compares what was written about an object that differs.
func (d *differ) object(s subject, was, is *value) {
	switch {
	case was == nil:
		d.add(s, Added, is.path, nil, specOf(is))
	case is == nil:
		d.add(s, Removed, was.path, specOf(was), nil)
	default:
		d.members(s, was, is)
	}
}

// members compares the keys of two objects, but for some. If none was written in another way, what they
// inherit has changed, which is told where it was written.
func (d *differ) members(s subject, was, is *value, except ...string) {
	for _, k := range is.key.children {
		if !slices.Contains(except, k.name) {
			d.key(s, was.fields[k.name], is.fields[k.name])
		}
	}
}

// key compares one key, nil where it was not written.
func (d *differ) key(s subject, was, is *value) {
	if was == nil && is == nil {
		return
	}
	if was != nil && is != nil && was.key.kind == kindObject && was.word == is.word && was.fields != nil && is.fields != nil {
		d.members(s, was, is)
		return
	}
	before, after := writtenOr(was, is), writtenOr(is, was)
	if !slices.Equal(before, after) || !sameSecrets(was, is) {
		d.add(s, Changed, pathOf(is, was), before, after)
	}
}

func pathOf(v, other *value) string {
	if v != nil {
		return v.path
	}
	return other.path
}

// writtenOr is what was written as v; if nothing was, the default of other's key, if it has one.
func writtenOr(v, other *value) json.RawMessage {
	switch {
	case v != nil:
		return specOf(v)
	case other.key.def == "" || !other.key.kind.scalar():
		return nil
	}
	return specOf(&value{key: other.key, raw: other.key.defValue, text: other.key.def})
}

// sameSecrets compares what is masked. What is written must be the same but for that.
func sameSecrets(was, is *value) bool {
	if was == nil || is == nil {
		return true
	}
	if is.secret() {
		return reflect.DeepEqual(was.raw, is.raw)
	}
	return slices.EqualFunc(was.items, is.items, sameSecrets)
}

// settings compares what is neither listener nor pool.
func (d *differ) settings() {
	was, is := d.old.made.root, d.new.made.root
	for _, k := range is.key.children {
		if k.name == "listeners" || k.name == "pools" || k.name == "include" {
			continue
		}
		first := len(d.list)
		d.key(subject{kind: KindSetting}, was.fields[k.name], is.fields[k.name])
		for i := first; i < len(d.list); i++ {
			d.list[i].Name, d.list[i].Field = d.list[i].Field, ""
		}
	}
}

// Equal reports whether both say the same, but for where they stand.
func (l *Listener) Equal(other *Listener) bool {
	plain := func(l *Listener) Listener {
		c := *l
		c.Origin = Origin{}
		c.Routes = slices.Clone(l.Routes)
		for i := range c.Routes {
			c.Routes[i].Origin = Origin{}
		}
		return c
	}
	return reflect.DeepEqual(plain(l), plain(other))
}

// Equal reports whether both say the same, but for where they stand, for their backends and for overrides.
func (p *Pool) Equal(other *Pool) bool {
	plain := func(p *Pool) Pool {
		c := *p
		c.Origin, c.Backends, c.Overrides, c.Named, c.Resolving = Origin{}, nil, nil, nil, 0
		return c
	}
	return reflect.DeepEqual(plain(p), plain(other))
}

// Equal reports whether both say the same, but for where they stand.
func (b *Backend) Equal(other *Backend) bool {
	x, y := *b, *other
	x.Origin, y.Origin = Origin{}, Origin{}
	return reflect.DeepEqual(x, y)
}
