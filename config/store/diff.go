package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"weir/config"
)

// KindOverride is the kind of a difference in the override of a backend.
const KindOverride config.Kind = "override"

// Diff is what one revision has otherwise than another, in order of kind, name and key.
type Diff []config.Difference

// differences compares two revisions.
func differences(old, new *Revision) Diff {
	d := Diff(config.Differences(old.Config, new.Config))
	seen := map[BackendRef]bool{}
	for _, o := range slices.Concat(old.Overrides.list(), new.Overrides.list()) {
		if seen[o.BackendRef] {
			continue
		}
		seen[o.BackendRef] = true
		before, was := old.Overrides[o.BackendRef]
		after, is := new.Overrides[o.BackendRef]
		if before.Equal(after) {
			continue
		}
		change := config.Difference{Action: config.Changed, Kind: KindOverride, Name: o.BackendRef.String()}
		if was {
			change.Before = overrideJSON(before)
		}
		if is {
			change.After = overrideJSON(after)
		}
		switch {
		case !was:
			change.Action = config.Added
		case !is:
			change.Action = config.Removed
		}
		d = append(d, change)
	}
	return d
}

func overrideJSON(o config.Override) json.RawMessage {
	raw, err := json.Marshal(o)
	if err != nil {
		panic("store: an override does not encode: " + err.Error())
	}
	return raw
}

// Summary counts it in one line: "1 backend added, 1 weight changed". Nothing is "nothing changed".
func (d Diff) Summary() string {
	t := d.tally()
	parts := t.parts()
	if len(parts) == 0 {
		return "nothing changed"
	}
	return strings.Join(parts, ", ")
}

// count is one sort of change, in the order in which they are told.
type count struct {
	noun, verb string
	n          int
}

type tally []count

func (t *tally) add(noun, verb string) {
	for i := range *t {
		if c := &(*t)[i]; c.noun == noun && c.verb == verb {
			c.n++
			return
		}
	}
	*t = append(*t, count{noun, verb, 1})
}

// tally counts objects: one that differs in several keys is one. A listener that differs in its addresses
// has moved, one that was removed and is there under another name was renamed, and of a backend that
// differs in nothing but its weight, the weight has changed.
func (d Diff) tally() tally {
	var t tally
	fields := map[[2]string][]string{}
	var order [][2]string
	renamed := d.renamed()
	for _, c := range d {
		id := [2]string{string(c.Kind), c.Name}
		switch {
		case c.Kind == config.KindListener && renamed[c.Name] != "":
			if c.Action == config.Added {
				t.add("listener", "renamed")
			}
		case c.Kind == KindOverride && c.Action == config.Removed:
			t.add("override", "cleared")
		case c.Kind == KindOverride:
			t.add("override", "set")
		case c.Action != config.Changed || c.Kind == config.KindSetting:
			t.add(string(c.Kind), string(c.Action))
		default:
			if fields[id] == nil {
				order = append(order, id)
			}
			fields[id] = append(fields[id], c.Field)
		}
	}
	for _, id := range order {
		noun, verb := id[0], "changed"
		moved := func(f string) bool { return f == "address" || f == "addresses" }
		weight := func(f string) bool { return f == "weight" }
		switch {
		case noun == "listener" && slices.ContainsFunc(fields[id], moved):
			verb = "moved"
		case noun == "backend" && !slices.ContainsFunc(fields[id], func(f string) bool { return !weight(f) }):
			noun = "weight"
		}
		t.add(noun, verb)
	}
	return t
}

// renamed are the listeners, by their former and by their new names, that have all but their name left.
func (d Diff) renamed() map[string]string {
	names := map[string]string{}
	for _, gone := range d {
		if gone.Kind != config.KindListener || gone.Action != config.Removed {
			continue
		}
		for _, come := range d {
			if come.Kind == config.KindListener && come.Action == config.Added && names[come.Name] == "" && slices.Equal(come.After, gone.Before) {
				names[come.Name], names[gone.Name] = gone.Name, come.Name
				break
			}
		}
	}
	return names
}

func (t tally) parts() (parts []string) {
	for _, c := range t {
		noun := c.noun
		if c.n > 1 {
			noun += "s"
		}
		parts = append(parts, fmt.Sprintf("%d %s %s", c.n, noun, c.verb))
	}
	return parts
}
