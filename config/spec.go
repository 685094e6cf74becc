package config

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// Masked stands where a secret would be shown.
const Masked = "[secret]"

// Spec is what was written about one place, in the vocabulary, as JSON: names and short forms written
// out, variables replaced. Secrets are masked, and of a ${file:…} the reference is shown. Without
// names it is the whole, includes and what was made through the API put together. It reports false for
// what was not written. Names are those of keys and objects: "pools", "app", "backends", "b1".
func (c *Config) Spec(names ...string) (json.RawMessage, bool) {
	if c.made == nil {
		return nil, false
	}
	v := c.made.root
	for _, name := range names {
		next := v.fields[name]
		for _, item := range v.items { // of a list that stands for a map
			if next == nil && item.name == name {
				next = item
			}
		}
		if next == nil {
			return nil, false
		}
		v = next
	}
	return specOf(v), true
}

// specOf is what was written about v.
func specOf(v *value) json.RawMessage {
	var b bytes.Buffer
	writeSpec(&b, v)
	return b.Bytes()
}

func writeSpec(b *bytes.Buffer, v *value) {
	switch {
	case v.word != "":
		writeText(b, v.word)
	case v.key.kind == kindObject:
		writeMembers(b, v, v.key.children)
	case v.key.kind == kindMap:
		b.WriteByte('{')
		for i, item := range v.items {
			if i > 0 {
				b.WriteByte(',')
			}
			writeText(b, item.name)
			b.WriteByte(':')
			writeSpec(b, item)
		}
		b.WriteByte('}')
	case v.key.kind == kindList:
		b.WriteByte('[')
		for i, item := range v.items {
			if i > 0 {
				b.WriteByte(',')
			}
			writeSpec(b, item)
		}
		b.WriteByte(']')
	default:
		writeScalar(b, v)
	}
}

// writeMembers writes an object in the order of the vocabulary.
func writeMembers(b *bytes.Buffer, v *value, keys []*key) {
	b.WriteByte('{')
	first := true
	for _, k := range keys {
		member := v.fields[k.name]
		if member == nil {
			continue
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		writeText(b, k.name)
		b.WriteByte(':')
		writeSpec(b, member)
	}
	b.WriteByte('}')
}

// writeScalar writes numbers and truth values as such, and everything else as it was written.
func writeScalar(b *bytes.Buffer, v *value) {
	switch raw := v.raw.(type) {
	case bool:
		b.WriteString(strconv.FormatBool(raw))
		return
	case int64:
		if v.key.kind == kindInt {
			b.WriteString(strconv.FormatInt(raw, 10))
			return
		}
	case float64:
		if v.key.kind == kindFloat {
			b.WriteString(strconv.FormatFloat(raw, 'g', -1, 64))
			return
		}
	case string:
		if v.key.kind == kindEnum || v.key.kind == kindReference {
			writeText(b, raw)
			return
		}
	}
	if v.key.secret && !strings.Contains(v.text, "${file:") {
		writeText(b, Masked)
		return
	}
	writeText(b, v.text)
}

func writeText(b *bytes.Buffer, text string) {
	quoted, err := plainText(text)
	if err != nil {
		panic("config: a text does not encode: " + err.Error())
	}
	b.Write(quoted)
}
