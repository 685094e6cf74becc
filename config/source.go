package config

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// The limits of what is read.
const (
	maxFileBytes   = 8 << 20  // one file
	maxTotalBytes  = 64 << 20 // all files of a configuration
	maxFiles       = 1000
	maxSecretBytes = 1 << 20 // one ${file:…}
)

// source is one file of a configuration, or one object that was made through the API.
type source struct {
	name   string // as it is shown: the main file as given, includes relative to the same place
	object string // path of the object, "pools.web"; empty: it is a file
	dir    string // what relative paths in it are relative to
	order  int    // position among the files, from 0
	lines  []string
	widths []int // of the lines, in characters: counting them for every token would be quadratic
}

func newSource(name string, order int, data []byte) *source {
	text := strings.ToValidUTF8(string(data), "\uFFFD")
	s := &source{name: name, dir: filepath.Dir(name), order: order, lines: strings.Split(text, "\n")}
	s.widths = make([]int, len(s.lines))
	for i, line := range s.lines {
		s.widths[i] = utf8.RuneCountInString(line)
	}
	return s
}

// span is a place in a source. A zero source means that there is none.
type span struct {
	src    *source
	line   int // from 1
	column int // from 1, in characters
	width  int // characters, at least 1
}

// api reports whether it is in an object that was made through the API.
func (s span) api() bool { return s.src != nil && s.src.object != "" }

// origin is the place as others see it.
func (s span) origin() Origin {
	switch {
	case s.src == nil:
		return Origin{}
	case s.api():
		return Origin{File: apiName, API: true}
	}
	return Origin{File: s.src.name, Line: s.line, Column: s.column}
}

// before orders places as a reader meets them.
func (s span) before(t span) bool {
	switch {
	case s.src != t.src:
		return s.src != nil && (t.src == nil || s.src.order < t.src.order || s.src.order == t.src.order && s.src.object < t.src.object)
	case s.line != t.line:
		return s.line < t.line
	}
	return s.column < t.column
}

// join resolves a path of this source.
func (s *source) join(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(s.dir, path)
}

// inputs reads files and keeps the digest of all that was read.
type inputs struct {
	sum     hash.Hash
	total   int64
	secrets map[string]secret // by path
	trace   Trace
}

// secret is the outcome of reading one ${file:…}.
type secret struct {
	text string
	err  error
}

func newInputs() *inputs {
	return &inputs{sum: sha256.New(), secrets: map[string]secret{}, trace: newTrace()}
}

// add makes data a part of the digest. The length keeps "ab"+"c" apart from "a"+"bc".
func (in *inputs) add(data []byte) error {
	in.total += int64(len(data))
	if in.total > maxTotalBytes {
		return fmt.Errorf("all files together are larger than %d MiB", maxTotalBytes>>20)
	}
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(data)))
	in.sum.Write(length[:])
	in.sum.Write(data)
	return nil
}

// digest is the SHA-256, in hex, of what was added.
func (in *inputs) digest() string { return fmt.Sprintf("%x", in.sum.Sum(nil)) }

// read returns a configuration file.
func (in *inputs) read(path string) ([]byte, error) {
	if err := wantRegular(path); err != nil {
		in.trace.file(path, nil, err)
		return nil, err
	}
	return in.readAny(path)
}

// readAny is read for the main file, which may be a pipe.
func (in *inputs) readAny(path string) ([]byte, error) {
	data, err := readLimited(path, maxFileBytes)
	in.trace.file(path, data, err)
	if err != nil {
		return nil, err
	}
	return data, in.add(data)
}

// secret returns the text of a ${file:…}, without its last line break. A file is read once.
func (in *inputs) secret(path string) (string, error) {
	if s, ok := in.secrets[path]; ok {
		return s.text, s.err
	}
	var data []byte
	err := wantRegular(path)
	if err == nil {
		data, err = readLimited(path, maxSecretBytes)
	}
	in.trace.file(path, data, err)
	if err == nil {
		err = in.add(data)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	in.secrets[path] = secret{text, err}
	return text, err
}

// wantRegular refuses pipes and devices, on which opening or reading may never end.
func wantRegular(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return cause(err)
	case info.IsDir():
		return errors.New("is a directory")
	case !info.Mode().IsRegular():
		return errors.New("is not a regular file")
	}
	return nil
}

// readLimited reads a file of at most limit bytes. The error does not repeat the path.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close() // read only: nothing can be lost
	info, err := f.Stat()
	if err != nil {
		return nil, cause(err)
	}
	if info.IsDir() {
		return nil, errors.New("is a directory")
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, cause(err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("larger than %d KiB", limit>>10)
	}
	return data, nil
}

// cause takes the operation and the path off an error of package os.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}
