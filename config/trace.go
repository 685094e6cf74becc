package config

import (
	"crypto/sha256"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// trace remembers what was read for a configuration, so that one can look later whether it is still
// the same. A zero trace has read nothing.
type trace struct {
	files map[string]mark     // by path
	globs map[string][]string // what each pattern has matched
}

// mark is what a file was: the digest of its content, or why it could not be read.
type mark struct {
	sum   [sha256.Size]byte
	fault string
}

func newTrace() trace { return trace{files: map[string]mark{}, globs: map[string][]string{}} }

func markOf(data []byte, err error) mark {
	if err != nil {
		return mark{fault: err.Error()}
	}
	return mark{sum: sha256.Sum256(data)}
}

// file remembers the outcome of reading one.
func (t trace) file(path string, data []byte, err error) { t.files[path] = markOf(data, err) }

// glob remembers what a pattern has matched.
func (t trace) glob(pattern string, paths []string) { t.globs[pattern] = paths }

// Outdated reports whether a file that was read for the report, an include or a ${file:…}, has another
// content by now, has come or has gone. It reads all of them.
func (r Report) Outdated() bool {
	for pattern, before := range r.trace.globs {
		if paths, err := filepath.Glob(pattern); err == nil && !slices.Equal(paths, before) {
			return true
		}
	}
	for path, before := range r.trace.files {
		if markNow(path) != before {
			return true
		}
	}
	return false
}

// SameRead reports whether both reports were made from the same files with the same content.
func (r Report) SameRead(other Report) bool { return maps.Equal(r.trace.files, other.trace.files) }

// markNow is what a file is at this moment.
func markNow(path string) mark {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return markOf(nil, wantRegular(path))
	}
	data, err := readLimited(path, maxFileBytes)
	return markOf(data, err)
}
