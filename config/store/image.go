package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// stateFormat is the version of what is written. It goes up when an older weir could misread it.
const stateFormat = 1

// errNewer refuses what a later version has written.
var errNewer = errors.New("it was written by a later version of weir; run that one, or move the file away and lose what is in it")

// image is everything that outlives a process.
type image struct {
	Format    int                        `json:"format"`
	Sequence  uint64                     `json:"sequence"` // of the last record that is in it
	Number    uint64                     `json:"number"`   // of the revision
	Digest    string                     `json:"digest"`   // of the files of that revision
	At        time.Time                  `json:"at"`
	Listeners map[string]json.RawMessage `json:"listeners"`
	Pools     map[string]json.RawMessage `json:"pools"`
	Overrides []listed                   `json:"overrides"`
}

// record is one change of it.
type record struct {
	Sequence  uint64    `json:"sequence"` // counts without gaps
	Number    uint64    `json:"number"`
	Digest    string    `json:"digest"`
	At        time.Time `json:"at"`
	Actor     string    `json:"actor,omitempty"`
	Objects   []changed `json:"objects,omitempty"`
	Overrides []listed  `json:"overrides,omitempty"` // the zero Override: cleared
}

// changed is an object that was made, changed or removed.
type changed struct {
	Section string          `json:"section"`
	Name    string          `json:"name"`
	Spec    json.RawMessage `json:"spec,omitempty"` // absent: removed
}

// imageOf is what is kept of a revision.
func imageOf(r *Revision, sequence uint64) image {
	return image{
		Format: stateFormat, Sequence: sequence, Number: r.Number, Digest: r.Config.Digest, At: r.At,
		Listeners: r.Objects.Listeners, Pools: r.Objects.Pools, Overrides: r.Overrides.list(),
	}
}

// parseImage reads what was written as JSON.
func parseImage(data []byte) (image, error) {
	var i image
	if err := json.Unmarshal(data, &i); err != nil {
		return image{}, fmt.Errorf("it is damaged (%w); restore it from a copy, or move it away with state.log and lose what is in them", err)
	}
	if i.Format > stateFormat {
		return image{}, errNewer
	}
	if i.Format < 1 {
		return image{}, errors.New("it is not what weir has written; restore it from a copy, or move it away")
	}
	return i, nil
}

// document and overrides are what it has, for a revision.
func (i image) document() Document { return Document{Listeners: i.Listeners, Pools: i.Pools} }

func (i image) overrides() Overrides {
	o := Overrides{}
	for _, l := range i.Overrides {
		o[l.BackendRef] = l.Override
	}
	return o
}

// sortedNames are those of two maps, in order.
func sortedNames(a, b map[string]json.RawMessage) []string {
	names := maps.Clone(a)
	if names == nil {
		names = map[string]json.RawMessage{}
	}
	maps.Copy(names, b)
	return slices.Sorted(maps.Keys(names))
}

// stepTo is what next has otherwise than i.
func (i image) stepTo(next *Revision, actor string) record {
	r := record{Sequence: i.Sequence + 1, Number: next.Number, Digest: next.Config.Digest, At: next.At, Actor: actor}
	section := func(name string, before, after map[string]json.RawMessage) {
		for _, key := range sortedNames(before, after) {
			if is := after[key]; !bytes.Equal(before[key], is) {
				r.Objects = append(r.Objects, changed{name, key, is})
			}
		}
	}
	section("listeners", i.Listeners, next.Objects.Listeners)
	section("pools", i.Pools, next.Objects.Pools)
	before := i.overrides()
	all := maps.Clone(before)
	maps.Copy(all, next.Overrides)
	for _, l := range all.list() {
		if is := next.Overrides[l.BackendRef]; !before[l.BackendRef].Equal(is) {
			r.Overrides = append(r.Overrides, listed{l.BackendRef, is})
		}
	}
	return r
}

// apply makes i what it is after r. What i shares with others is not changed.
func (i *image) apply(r record) error {
	i.Listeners, i.Pools = maps.Clone(i.Listeners), maps.Clone(i.Pools)
	for _, c := range r.Objects {
		section := &i.Listeners
		switch c.Section {
		case "listeners":
		case "pools":
			section = &i.Pools
		default:
			return errNewer
		}
		if c.Spec == nil {
			delete(*section, c.Name)
			continue
		}
		if *section == nil {
			*section = map[string]json.RawMessage{}
		}
		(*section)[c.Name] = c.Spec
	}
	overrides := i.overrides()
	for _, l := range r.Overrides {
		if l.Override.IsZero() {
			delete(overrides, l.BackendRef)
			continue
		}
		overrides[l.BackendRef] = l.Override
	}
	i.Overrides = overrides.list()
	i.Sequence, i.Number, i.Digest, i.At = r.Sequence, r.Number, r.Digest, r.At
	return nil
}

// check refuses overrides that nobody can have made.
func (i image) check() error {
	for _, l := range i.Overrides {
		if err := l.Override.Validate(); err != nil {
			return fmt.Errorf("override of %s: %w", l.BackendRef, err)
		}
	}
	return nil
}
