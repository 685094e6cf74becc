package config

import (
	"crypto/sha256"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Trace remembers what was read for a configuration, so that one can look later whether it is still
// the same. The zero Trace has read nothing. It is not changed any more once its Report is there.
type Trace struct {
	files map[string]mark     // by path
	globs map[string][]string // what each pattern has matched
}

// mark is what a file was: the digest of its content, or why it could not be read.
type mark struct {
	sum   [sha256.Size]byte
	fault string
}

func newTrace() Trace { return Trace{files: map[string]mark{}, globs: map[string][]string{}} }

func markOf(data []byte, err error) mark {
	if err != nil {
		return mark{fault: err.Error()}
	}
	return mark{sum: sha256.Sum256(data)}
}

// file remembers the outcome of reading one.
func (t Trace) file(path string, data []byte, err error) { t.files[path] = markOf(data, err) }

// glob remembers what a pattern has matched.
func (t Trace) glob(pattern string, paths []string) { t.globs[pattern] = paths }

// Trace is what was read for the report.
func (r Report) Trace() Trace { return r.trace }

// Again reads the same files, patterns and ${file:…} once more, and is what was found this time.
func (t Trace) Again() Trace {
	now := newTrace()
	for pattern, before := range t.globs {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			paths = before // it is the pattern that is bad, and has been
		}
		now.glob(pattern, paths)
	}
	for path := range t.files {
		now.files[path] = markNow(path)
	}
	return now
}

// Equal reports whether the same was read.
func (t Trace) Equal(other Trace) bool {
	return maps.Equal(t.files, other.files) && maps.EqualFunc(t.globs, other.globs, slices.Equal[[]string])
}

// markNow is what a file is at this moment.
func markNow(path string) mark {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return markOf(nil, wantRegular(path))
	}
	data, err := readLimited(path, maxFileBytes)
	return markOf(data, err)
}
