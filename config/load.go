package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Option changes how a configuration is loaded.
type Option func(*loader)

// CheckFiles also opens the certificates, keys and authorities that the configuration names.
func CheckFiles() Option { return func(l *loader) { l.checkFiles = true } }

// Environ replaces os.LookupEnv as the source of ${VAR}.
func Environ(lookup func(name string) (value string, set bool)) Option {
	return func(l *loader) { l.expand.lookup = lookup }
}

// Foreign is for a text of somebody who may not read what this process may: of its includes only those in
// files are read, and no message shows the value of a variable.
func Foreign(files []string) Option {
	return func(l *loader) {
		l.foreign, l.expand.discreet = map[string]bool{}, true
		for _, path := range files {
			l.foreign[filepath.Clean(path)] = true
		}
	}
}

// Load reads the configuration in the file path, its includes and its ${file:…} values, and
// nothing else. The Config is nil if the report has an error; the report may have warnings
// otherwise.
func Load(path string, options ...Option) (*Config, Report) {
	l := newLoader(path, options)
	data, err := l.in.readAny(path)
	if err != nil {
		l.unreadable(path, err)
		return l.finish()
	}
	return l.load(data)
}

// LoadBytes is Load for the main file's text. Relative paths in it are relative to the directory
// of name.
func LoadBytes(name string, data []byte, options ...Option) (*Config, Report) {
	l := newLoader(name, options)
	if len(data) > maxFileBytes {
		l.unreadable(name, fmt.Errorf("larger than %d KiB", maxFileBytes>>10))
		return l.finish()
	}
	if err := l.in.add(data); err != nil {
		l.unreadable(name, err)
		return l.finish()
	}
	return l.load(data)
}

// loader is one run of Load.
type loader struct {
	name       string
	in         *inputs
	expand     *expander
	found      *findings
	vocabulary *key
	checkFiles bool
	foreign    map[string]bool // files that may be included; nil: all

	files      []string               // that were read
	read       map[string]bool        // the same, clean
	values     []*value               // of each of them
	before     *Config                // made of the same files; nil: the files are read
	wanted     []Object               // made through the API
	known      map[string]objectValue // of them, those that were read before, by path
	objects    []objectValue          // the same, read
	walked     []finding              // about files alone
	root       *value                 // all of it together
	incomplete bool                   // a file or a section could not be read, so names may be missing
}

func newLoader(name string, options []Option) *loader {
	l := &loader{
		name: name, in: newInputs(), found: &findings{}, vocabulary: vocabulary(), read: map[string]bool{},
	}
	l.expand = &expander{lookup: os.LookupEnv, in: l.in}
	for _, option := range options {
		option(l)
	}
	l.root = &value{key: l.vocabulary, given: true, fields: map[string]*value{}}
	return l
}

// unreadable reports that the main file cannot be read.
func (l *loader) unreadable(path string, err error) {
	src := &source{name: path}
	l.found.add(Error, span{src: src}, "", fmt.Sprintf("%s cannot be read: %v", path, err), "give the path of a configuration file that weir may read")
}

// load reads data, the text of the main file, and everything that it leads to.
func (l *loader) load(data []byte) (*Config, Report) {
	main := l.file(l.name, data)
	l.includes(main)
	l.addObjects()
	return l.judge()
}

// judge checks what was read as a whole.
func (l *loader) judge() (*Config, Report) {
	l.complete(l.values[0])
	c := checker{root: l.root, found: l.found, incomplete: l.incomplete}
	c.run()
	if l.checkFiles {
		c.files()
	}
	return l.finish()
}

// file parses and reads one file and makes it a part of the whole.
func (l *loader) file(name string, data []byte) *value {
	data = normalise(data)
	src := newSource(name, len(l.files), data)
	l.files = append(l.files, name)
	l.read[filepath.Clean(name)] = true
	v := &value{key: l.vocabulary, at: span{src, 1, 1, 1}, head: span{src, 1, 1, 1}}
	l.values = append(l.values, v)
	doc, e := parseDocument(src, data)
	if e != nil {
		l.found.add(Error, e.at, "", e.text, e.hint)
		l.incomplete, v.broken = true, true
		return v
	}
	if doc.root == nil {
		return v
	}
	w := &walker{src: src, doc: doc, expand: l.expand, found: l.found}
	w.value(doc.root, l.vocabulary, v)
	l.incomplete = l.incomplete || v.strange || v.fields == nil
	l.merge(v)
	return v
}

// merge adds the sections of one file to the whole.
func (l *loader) merge(v *value) {
	for _, section := range v.items {
		whole, repeated := l.root.fields[section.name]
		switch {
		case section.name == "version":
		case section.name == "include" && v != l.values[0]:
			l.fail(section, section.head, "include stands in an included file", "include it from the main file")
		case !repeated:
			l.root.fields[section.name] = section.shared()
		case section.key.kind == kindMap:
			l.mergeNames(whole, section)
		default:
			l.fail(section, section.head, section.name+" stands in two files", "keep it in one of them", whole.head)
		}
		if section.key.kind == kindMap && (section.fields == nil || section.strange) {
			l.incomplete = true
		}
	}
}

// mergeNames adds the named values of one file to those of the files before it.
func (l *loader) mergeNames(whole, section *value) {
	if whole.fields == nil {
		whole.fields = map[string]*value{}
	}
	for _, item := range section.items {
		if earlier, repeated := whole.fields[item.name]; repeated && item.at.api() {
			l.fail(earlier, earlier.head, fmt.Sprintf("%s stands in the file and was made through the API too", item.path),
				"rename it in the file, or delete the one that was made through the API", item.head)
			continue
		} else if repeated {
			l.fail(item, item.head, fmt.Sprintf("%s stands in two files", item.path), "rename one of them, or remove it", earlier.head)
			continue
		}
		whole.fields[item.name] = item
		whole.items = append(whole.items, item)
	}
}

func (l *loader) fail(v *value, at span, message, hint string, related ...span) {
	l.found.add(Error, at, v.path, message, hint, related...)
}

// includes reads the files that the main file includes.
func (l *loader) includes(main *value) {
	if main.fields == nil {
		return
	}
	include := main.child("include")
	if include.given && include.items == nil && include.broken {
		l.incomplete = true
	}
	for _, item := range include.items {
		pattern, ok := item.raw.(string)
		if item.broken || !ok || pattern == "" {
			l.incomplete = true
			continue
		}
		l.include(item, item.at.src.join(pattern))
	}
}

// include reads the files that one pattern matches.
func (l *loader) include(item *value, pattern string) {
	paths := []string{pattern}
	if strings.ContainsAny(pattern, "*?[") {
		var err error
		paths, err = filepath.Glob(pattern)
		l.in.trace.glob(pattern, paths)
		if err != nil {
			l.fail(item, item.at, fmt.Sprintf("%s %s is not a pattern", item.path, quote(pattern)), `close the [, or write \[ for the character`)
			l.incomplete = true
			return
		}
	}
	for _, path := range paths {
		if l.read[filepath.Clean(path)] {
			continue
		}
		if l.foreign != nil && !l.foreign[filepath.Clean(path)] {
			l.fail(item, item.at, item.path+": only files that are in force are read here", "check it where the files are: weir check FILE")
			l.incomplete = true
			return
		}
		if len(l.files) >= maxFiles {
			l.fail(item, item.at, fmt.Sprintf("%s: more than %d files", item.path, maxFiles), "include fewer files")
			l.incomplete = true
			return
		}
		data, err := l.in.read(path)
		if err != nil {
			l.fail(item, item.at, fmt.Sprintf("%s: %s cannot be read: %v", item.path, path, err), "correct the path, or make the file readable for weir")
			l.incomplete = true
			continue
		}
		l.file(path, data)
	}
}

// complete reports what the whole lacks.
func (l *loader) complete(main *value) {
	if l.incomplete || l.root.fields["listeners"] != nil || l.root.fields["state_dir"] != nil || len(l.objects) > 0 {
		return // with a state directory, listeners may come through the API
	}
	l.found.add(Error, main.head, "listeners", "there is no listener", "add listeners: { web: { protocol: http, address: \":8080\", pool: NAME } }")
}

// finish makes the report and, if there is no error in it, the configuration.
func (l *loader) finish() (*Config, Report) {
	report := Report{Name: l.name, Diagnostics: l.found.sorted(), trace: l.in.trace}
	if report.Errors() > 0 {
		return nil, report
	}
	c := resolve(l.root, l.before)
	c.Digest, c.Files = l.in.digest(), l.files
	c.made = l.made()
	report.Summary = Summary{Listeners: len(c.Listeners), Pools: len(c.Pools), Digest: c.Digest}
	for _, p := range c.Pools {
		report.Summary.Backends += len(p.Backends)
	}
	return c, report
}
