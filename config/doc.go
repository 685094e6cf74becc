// Package config says what is wanted: it turns a YAML file, its includes and its references to the
// environment into a Config that is complete, checked and immutable, or into a Report of everything
// that is wrong with them.
//
// # Nouns
//
// A key is one row of the vocabulary: path, type, default, bounds, words, meaning. The rows stand
// in keys_*.go and are the only place where any of that is written down. From them come validation
// and defaults (Load), the JSON Schema (Schema) and the reference page (Reference, docs/config.md).
// A row may be planned: its key is part of the vocabulary and of no feature yet, and using it is an
// error that says so. Rows whose types, checks and resolution are ready before the code that honours
// them lie behind a switch (features.go); turning it on is all it takes to make them supported.
//
// A source is a file, a span a place in it, a value one place of the file that was read by its row.
// A Diagnostic is one thing that is wrong; a Report has all of them, in the order of the files.
//
// # The path through it
//
// Load reads the main file and hands its text to parseDocument, which limits depth and size,
// parses, and links aliases. A walker goes through the syntax tree along the vocabulary (walk.go,
// walk_mapping.go, walk_scalar.go): unknown and repeated keys, types, expansion, words, bounds. The
// includes follow in the same way, and their sections are merged. A checker (check*.go) then looks
// at what no single row can say: references, pairs of keys, addresses, things without effect. Only
// if there is no error does resolve build the Config, every default in its place.
//
// All problems are reported in one run. A value that is broken keeps quiet in later steps, so that
// no problem is reported twice under two names; names that a file which could not be read may
// define are not missed.
//
// # Rules
//
// Loading opens files for reading and does nothing else: it binds, resolves and writes nothing, and
// it starts no goroutine. All functions may be called concurrently. The text of a ${file:…} never
// appears in a message, unless it is itself the path of a file that cannot be opened. The package
// imports none of ours.
package config
