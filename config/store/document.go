package store

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	"weir/config"
)

// Document holds the objects that were made through the API, by name: JSON objects in the vocabulary of
// the configuration, as they were sent but for white space. It is immutable.
type Document struct {
	Listeners map[string]json.RawMessage
	Pools     map[string]json.RawMessage
}

// objects are the same for package config.
func (d Document) objects() (list []config.Object) {
	for name, text := range d.Listeners {
		list = append(list, config.Object{Section: "listeners", Name: name, JSON: text})
	}
	for name, text := range d.Pools {
		list = append(list, config.Object{Section: "pools", Name: name, JSON: text})
	}
	return list
}

// section is the map that a listener or pool stands in.
func (d *Document) section(k Kind) map[string]json.RawMessage {
	if k == Listener {
		return d.Listeners
	}
	return d.Pools
}

// clone is a copy that can be changed.
func (d Document) clone() Document {
	c := Document{Listeners: maps.Clone(d.Listeners), Pools: maps.Clone(d.Pools)}
	if c.Listeners == nil {
		c.Listeners = map[string]json.RawMessage{}
	}
	if c.Pools == nil {
		c.Pools = map[string]json.RawMessage{}
	}
	return c
}

func (d Document) equal(other Document) bool {
	same := func(a, b map[string]json.RawMessage) bool { return maps.EqualFunc(a, b, slices.Equal) }
	return same(d.Listeners, other.Listeners) && same(d.Pools, other.Pools)
}

// Overrides are those of backends. It is immutable. None is the zero Override.
type Overrides map[BackendRef]config.Override

// listed is an override in a list.
type listed struct {
	BackendRef
	config.Override
}

// list is all of them in order.
func (o Overrides) list() (list []listed) {
	for ref, override := range o {
		list = append(list, listed{ref, override})
	}
	slices.SortFunc(list, func(a, b listed) int {
		return cmp.Or(cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.Backend, b.Backend))
	})
	return list
}

func (o Overrides) equal(other Overrides) bool {
	return maps.EqualFunc(o, other, config.Override.Equal)
}

// byPool is the same in the order that package config wants.
func (o Overrides) byPool() map[string]map[string]config.Override {
	pools := map[string]map[string]config.Override{}
	for ref, override := range o {
		if pools[ref.Pool] == nil {
			pools[ref.Pool] = map[string]config.Override{}
		}
		pools[ref.Pool][ref.Backend] = override
	}
	return pools
}
