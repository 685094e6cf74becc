package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// apiName stands for a file where an object was made through the API.
const apiName = "api"

// Object is a listener or a pool that was made through the API: JSON in the vocabulary of the file.
// Its texts are literal: ${VAR} and ${file:…} are errors, and $${ stands for ${. Relative paths in it
// are relative to the main file.
type Object struct {
	Section string // "listeners" or "pools"
	Name    string
	JSON    []byte // one valid JSON object without repeated keys; not changed afterwards
}

// path is its place in the vocabulary.
func (o Object) path() string { return o.Section + "." + o.Name }

// Objects adds what was made through the API to what the files say. A name that stands in both is an
// error.
func Objects(list []Object) Option { return func(l *loader) { l.wanted = list } }

// With is c made anew with other objects. Its files are not read again. Options that say how files are
// read have no effect. c must have been returned by Load, LoadBytes or With.
func (c *Config) With(objects []Object, options ...Option) (*Config, Report) {
	l := newLoader(c.made.name, options)
	l.before = c
	l.wanted, l.known, l.vocabulary, l.root.key = objects, c.made.objects, c.made.vocabulary, c.made.vocabulary
	l.files, l.values, l.in = c.Files, c.made.values, c.made.in
	l.found.all = slices.Clone(c.made.found)
	for _, v := range l.values {
		l.merge(v)
	}
	l.addObjects()
	return l.judge()
}

// made is what a configuration was made of. It is not changed any more.
type made struct {
	name       string
	vocabulary *key
	in         *inputs
	values     []*value // of the files
	found      []finding
	objects    map[string]objectValue // by path
	root       *value
}

func (l *loader) made() *made {
	m := &made{name: l.name, vocabulary: l.vocabulary, in: l.in, values: l.values, found: l.walked, root: l.root, objects: map[string]objectValue{}}
	for _, o := range l.objects {
		m.objects[o.path()] = o
	}
	return m
}

// objectValue is an object that has been read.
type objectValue struct {
	Object
	value *value // of a document that has this object alone
}

// addObjects reads the objects and makes them a part of the whole.
func (l *loader) addObjects() {
	l.walked = slices.Clone(l.found.all)
	list := slices.Clone(l.wanted)
	slices.SortFunc(list, func(a, b Object) int { return strings.Compare(a.path(), b.path()) })
	for _, o := range list {
		read, known := l.known[o.path()]
		if !known || !bytes.Equal(read.JSON, o.JSON) {
			read = l.object(o)
		}
		l.objects = append(l.objects, read)
		if read.value.fields == nil || read.value.strange {
			l.incomplete = true
			continue
		}
		l.merge(read.value)
	}
}

// object reads one object.
func (l *loader) object(o Object) objectValue {
	text, err := o.document()
	src := newSource(apiName, objectOrder, text)
	src.object, src.dir = o.path(), filepath.Dir(l.name)
	v := &value{key: l.vocabulary, at: span{src, 1, 1, 1}, head: span{src, 1, 1, 1}}
	if err != nil {
		l.found.add(Error, v.at, o.path(), fmt.Sprintf("%s is not JSON: %v", o.path(), err), "send one JSON object")
		return objectValue{o, v}
	}
	doc, e := parseDocument(src, text)
	if e != nil {
		l.found.add(Error, e.at, o.path(), o.path()+": "+e.text, e.hint)
		return objectValue{o, v}
	}
	w := &walker{src: src, doc: doc, expand: &expander{in: l.in, never: true}, found: l.found}
	w.value(doc.root, l.vocabulary, v)
	return objectValue{o, v}
}

// objectOrder is the place of objects among the files: behind all of them.
const objectOrder = maxFiles + 1

// document is the text of a file with the object alone. Only what the YAML parser reads as JSON means
// it is left in it: no escapes but those of control characters.
func (o Object) document() ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(o.JSON))
	d.UseNumber()
	var text bytes.Buffer
	if err := plainJSON(d, &text); err != nil {
		return nil, err
	}
	name, err := plainText(o.Name)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "{\"%s\": {%s: %s}}", o.Section, name, text.Bytes()), nil
}

// plainJSON copies one value with a space behind each colon and comma.
func plainJSON(d *json.Decoder, out *bytes.Buffer) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	open, isDelim := t.(json.Delim)
	if !isDelim {
		text, err := plainText(t)
		out.Write(text)
		return err
	}
	out.WriteString(open.String())
	for first := true; d.More(); first = false {
		if !first {
			out.WriteString(",\n")
		}
		if open == '{' {
			if err := plainJSON(d, out); err != nil {
				return err
			}
			out.WriteString(": ")
		}
		if err := plainJSON(d, out); err != nil {
			return err
		}
	}
	end, err := d.Token()
	if err == nil {
		out.WriteString(end.(json.Delim).String())
	}
	return err
}

func plainText(token any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(token)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// shared is a copy of a section to which names can be added.
func (v *value) shared() *value {
	c := *v
	c.fields, c.items = maps.Clone(v.fields), slices.Clone(v.items)
	return &c
}
