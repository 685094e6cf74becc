package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/goccy/go-yaml"

	"weir/config"
)

// maxConfig is the most that is read of one file in search of a socket, as much as a configuration may have.
const maxConfig = 8 << 20

// whereElse is what to do when a file does not lead to a socket.
const whereElse = "name the socket with --socket"

// socketOf finds the admin socket that a configuration names. Nothing else of the configuration needs to be
// valid: while an operator repairs a file, its daemon runs on and must be found. A relative socket is
// relative to the folder of the file that names it. Without a word about it, it is the default.
func socketOf(file string) (string, error) {
	text, err := readConfig(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w — correct the path, or %s", file, err, whereElse)
	}
	if c, report := config.LoadBytes(file, text); report.Errors() == 0 {
		return named(file, c.Admin.Socket)
	}
	found := excerptOf(text)
	if found.err == nil && !found.given {
		for _, included := range found.files(file) {
			// A file that cannot be read may name a socket as well as not.
			text, err := readConfig(included)
			if err != nil {
				return "", fmt.Errorf("%s: %w — make it readable, or %s", included, err, whereElse)
			}
			if in := excerptOf(text); in.err != nil || in.given {
				file, found = included, in
				break
			}
		}
	}
	if found.err != nil {
		return "", fmt.Errorf("%s does not say where admin.socket is: %w — correct it, or %s", file, found.err, whereElse)
	}
	if !found.given {
		return defaultSocket, nil
	}
	return resolveSocket(file, found.socket)
}

// named refuses a socket that was turned off.
func named(file, socket string) (string, error) {
	if socket == "" {
		return "", fmt.Errorf("%s has no admin.socket — set it, or %s", file, whereElse)
	}
	return socket, nil
}

// resolveSocket expands a value and makes a path of it, by the rules of a whole configuration: it is put
// into one that is valid otherwise.
func resolveSocket(file string, value any) (string, error) {
	text, err := json.Marshal(map[string]any{
		"listeners": map[string]any{"any": map[string]any{"protocol": "http", "address": "127.0.0.1:1", "pool": "any"}},
		"pools":     map[string]any{"any": map[string]any{"backends": []string{"127.0.0.1:2"}}},
		"admin":     map[string]any{"socket": value},
	})
	if err != nil {
		return "", fmt.Errorf("%s: admin.socket: %w — %s", file, err, whereElse)
	}
	c, report := config.LoadBytes(file, text)
	for _, d := range report.Diagnostics {
		if d.Severity == config.Error {
			return "", fmt.Errorf("%s: %s; %s, or %s", file, d.Message, d.Hint, whereElse)
		}
	}
	return named(file, c.Admin.Socket)
}

// excerpt is the part of a configuration that leads to the socket.
type excerpt struct {
	socket  any // as it stands there, if given
	given   bool
	include []string // patterns
	err     error    // the text cannot be understood so far
}

// excerptOf reads text as YAML, or, where that is broken, the two top-level sections of it that matter.
func excerptOf(text []byte) excerpt {
	var top struct{ Admin, Include any }
	err := decode(text, &top)
	// A document in brackets has no sections that could be told apart without reading it all.
	if err != nil && !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		err = decode(slices.Concat(section(text, "admin"), section(text, "include")), &top)
	}
	if err != nil {
		return excerpt{err: errors.New("it is not valid YAML there")}
	}
	var e excerpt
	switch admin := top.Admin.(type) {
	case nil:
	case map[string]any:
		e.socket, e.given = admin["socket"]
	default:
		e.err = errors.New("admin is not a mapping")
	}
	switch include := top.Include.(type) {
	case string:
		e.include = []string{include}
	case []any:
		for _, item := range include {
			if pattern, ok := item.(string); ok {
				e.include = append(e.include, pattern)
			}
		}
	}
	return e
}

// decode reads YAML leniently. The parser's panics are errors: the text is whatever an editor left.
func decode(text []byte, into any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the YAML parser gave up: %v", r)
		}
	}()
	err = yaml.UnmarshalWithOptions(text, into, yaml.AllowDuplicateMapKey())
	if errors.Is(err, io.EOF) { // nothing but comments
		return nil
	}
	return err
}

// section cuts a top-level section out of a text in block style: the line of its key and those that are
// indented below it, are items of its list, or close its brackets.
func section(text []byte, name string) (lines []byte) {
	inside := false
	for line := range bytes.Lines(text) {
		switch {
		case bytes.HasPrefix(line, []byte(name+":")):
			inside = true
		case bytes.HasPrefix(line, []byte("---")), !bytes.ContainsAny(line[:1], " \t\r\n#-}]"):
			inside = false
		}
		if inside {
			lines = append(lines, line...)
		}
	}
	return lines
}

// files lists the files that the patterns of file match, in the order in which a load reads them.
// Patterns that need an expansion match nothing.
func (e excerpt) files(file string) (paths []string) {
	for _, pattern := range e.include {
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(filepath.Dir(file), pattern)
		}
		// A pattern that is malformed matches nothing, too.
		matches, _ := filepath.Glob(pattern)
		paths = append(paths, matches...)
	}
	return paths
}

// readConfig reads a file, at most maxConfig of it. The error does not repeat the path.
func readConfig(path string) (text []byte, err error) {
	f, err := os.Open(path)
	if err == nil {
		defer f.Close() // read only: nothing can be lost
		text, err = io.ReadAll(io.LimitReader(f, maxConfig))
	}
	return text, bare(err)
}

// bare takes the operation and the path off an error of package os.
func bare(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}
