package config

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
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
	v := c.find(names)
	if v == nil {
		return nil, false
	}
	return specOf(v), true
}

// SpecDigest is the SHA-256, in hex, of the same with the secrets; empty for what was not written.
func (c *Config) SpecDigest(names ...string) string {
	v := c.find(names)
	if v == nil {
		return ""
	}
	w := specWriter{reveal: true}
	w.value(v)
	return fmt.Sprintf("%x", sha256.Sum256(w.b.Bytes()))
}

// find returns what was written at a place, nil for nothing.
func (c *Config) find(names []string) *value {
	if c.made == nil {
		return nil
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
			return nil
		}
		v = next
	}
	return v
}

// specOf is what was written about v.
func specOf(v *value) json.RawMessage {
	var w specWriter
	w.value(v)
	return w.b.Bytes()
}

// specWriter writes what was written.
type specWriter struct {
	b      bytes.Buffer
	reveal bool // secrets too
}

func (w *specWriter) value(v *value) {
	switch {
	case v.word != "":
		w.text(v.word)
	case v.key.kind == kindObject:
		w.members(v)
	case v.key.kind == kindMap:
		w.b.WriteByte('{')
		for i, item := range v.items {
			if i > 0 {
				w.b.WriteByte(',')
			}
			w.text(item.name)
			w.b.WriteByte(':')
			w.value(item)
		}
		w.b.WriteByte('}')
	case v.key.kind == kindList:
		w.b.WriteByte('[')
		for i, item := range v.items {
			if i > 0 {
				w.b.WriteByte(',')
			}
			w.value(item)
		}
		w.b.WriteByte(']')
	default:
		w.scalar(v)
	}
}

// writeMembers writes an object in the order of the vocabulary.
func (w *specWriter) members(v *value) {
	w.b.WriteByte('{')
	first := true
	for _, k := range v.key.children {
		member := v.fields[k.name]
		if member == nil {
			continue
		}
		if !first {
			w.b.WriteByte(',')
		}
		first = false
		w.text(k.name)
		w.b.WriteByte(':')
		w.value(member)
	}
	w.b.WriteByte('}')
}

// writeScalar writes numbers and truth values as such, and everything else as it was written.
func (w *specWriter) scalar(v *value) {
	switch raw := v.raw.(type) {
	case bool:
		w.b.WriteString(strconv.FormatBool(raw))
		return
	case int64:
		if v.key.kind == kindInt {
			w.b.WriteString(strconv.FormatInt(raw, 10))
			return
		}
	case float64:
		if v.key.kind == kindFloat {
			w.b.WriteString(strconv.FormatFloat(raw, 'g', -1, 64))
			return
		}
	case string:
		if v.key.kind == kindEnum || v.key.kind == kindReference {
			w.text(raw)
			return
		}
	}
	switch {
	case v.secret() && w.reveal:
		w.text(fmt.Sprint(v.raw))
		return
	case v.secret() && len(v.hidden) == 0:
		w.text(Masked)
		return
	}
	w.text(v.text)
}

// secret reports whether a scalar is not shown: because its row says so, or as the value of a field that
// carries credentials.
func (v *value) secret() bool {
	return v.key.secret || v.key.kind == kindFieldValue && slices.ContainsFunc(credentialWords, func(word string) bool {
		return strings.Contains(strings.ToLower(v.name), word)
	})
}

// secrets are the texts in v that are not shown, the longest first.
func (v *value) secrets() (list []string) {
	list = slices.Clone(v.hidden)
	switch raw := v.raw.(type) {
	case string:
		if v.secret() {
			list = append(list, raw)
		}
	case []byte: // it may have been written in hexadecimal
		if len(v.hidden) > 0 {
			list = append(list, string(raw))
		}
	case Expect:
		if len(v.hidden) > 0 {
			list = append(list, string(raw.Literal))
		}
	}
	for _, item := range v.items {
		list = append(list, item.secrets()...)
	}
	slices.SortFunc(list, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return slices.DeleteFunc(slices.Compact(list), func(s string) bool { return s == "" })
}

// credentialWords are in the names of such fields: X-Vault-Token, Private-Token, X-Amz-Security-Token.
var credentialWords = []string{"authorization", "x-auth", "cookie", "token", "secret", "password", "api-key", "apikey", "credential"}

func (w *specWriter) text(text string) {
	quoted, err := plainText(text)
	if err != nil {
		panic("config: a text does not encode: " + err.Error())
	}
	w.b.Write(quoted)
}
