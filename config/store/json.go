package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// member is one entry of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// object is a JSON object whose entries stay in their order: that of backends is one of the
// configuration.
type object []member

// parseObject reads one object. Values are compact.
func parseObject(raw json.RawMessage) (object, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errNoObject
	}
	o, seen := object{}, map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return nil, errNoObject
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, fmt.Errorf("the key %q is repeated", name)
		}
		seen[name] = true
		o = append(o, member{name, value})
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("there is something behind the object")
	}
	return o, nil
}

var errNoObject = fmt.Errorf("it is not a JSON object")

func (o object) index(name string) int {
	return slices.IndexFunc(o, func(m member) bool { return m.name == name })
}

// get returns a value, nil if there is none.
func (o object) get(name string) json.RawMessage {
	if i := o.index(name); i >= 0 {
		return o[i].value
	}
	return nil
}

// set is o with another value, in the place of the one before or at the end. o itself stays as it is.
func (o object) set(name string, value json.RawMessage) object {
	out := slices.Clone(o)
	if i := out.index(name); i >= 0 {
		out[i].value = value
		return out
	}
	return append(out, member{name, value})
}

// without is o without an entry.
func (o object) without(name string) object {
	return slices.DeleteFunc(slices.Clone(o), func(m member) bool { return m.name == name })
}

// raw writes it.
func (o object) raw() json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			panic("store: a text does not encode: " + err.Error())
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// isNull reports whether a value is null.
func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

// mergePatch is target changed as patch says (RFC 7396): null removes, objects are merged, everything
// else replaces. Entries that are there keep their place.
func mergePatch(target, patch json.RawMessage) (json.RawMessage, error) {
	p, err := parseObject(patch)
	if err == errNoObject {
		return patch, nil
	}
	if err != nil {
		return nil, err
	}
	t, err := parseObject(target)
	if err != nil {
		t = object{} // what is no object is replaced by one
	}
	at := map[string]int{}
	for i, m := range t {
		at[m.name] = i
	}
	for _, m := range p {
		i, exists := at[m.name]
		switch {
		case isNull(m.value) && exists:
			t[i].value = nil // it is taken out below: others keep their places until then
		case isNull(m.value):
		case exists:
			if t[i].value, err = mergePatch(t[i].value, m.value); err != nil {
				return nil, err
			}
		default:
			value, err := mergePatch(nil, m.value)
			if err != nil {
				return nil, err
			}
			t = append(t, member{m.name, value})
		}
	}
	t = slices.DeleteFunc(t, func(m member) bool { return m.value == nil })
	return t.raw(), nil
}

// compact is raw without white space, or why it is not JSON.
func compact(raw json.RawMessage) (json.RawMessage, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
