package config

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

// Severity tells an error, which makes a configuration unusable, from a warning.
type Severity string

// The severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Diagnostic is one thing that is wrong with a configuration.
type Diagnostic struct {
	Severity Severity `json:"severity"`
	Place
	Path    string  `json:"path,omitempty"` // pools.web.backends.b1.weight; empty where the syntax is broken
	Message string  `json:"message"`        // what is wrong; begins with the path where there is one
	Hint    string  `json:"hint"`           // what to do, what is allowed, what was probably meant
	Related []Place `json:"related,omitempty"`
}

// Sentence is the diagnostic in one line. A message about a file as a whole names it itself.
func (d Diagnostic) Sentence() string {
	text := d.Message + "; " + d.Hint
	if at := d.Place.String(); !strings.HasPrefix(d.Message, at) {
		text = at + ": " + text
	}
	return text
}

// Place is a stretch of one line of a file.
type Place struct {
	File    string `json:"file"`             // or api:PATH, for an object that was made through the API
	Line    int    `json:"line,omitempty"`   // from 1; 0: the file as a whole
	Column  int    `json:"column,omitempty"` // from 1, in characters
	Width   int    `json:"width,omitempty"`  // characters
	Excerpt string `json:"excerpt,omitempty"`
}

// String is file:line:column, or the file alone.
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// place is what the outside sees of a span.
func (s span) place() Place {
	if s.src == nil {
		return Place{}
	}
	if s.api() {
		return Place{File: apiName + ":" + s.src.object}
	}
	p := Place{File: s.src.name, Line: s.line, Column: s.column, Width: s.width}
	if s.line >= 1 && s.line <= len(s.src.lines) {
		p.Excerpt = strings.TrimSuffix(s.src.lines[s.line-1], "\r")
	}
	return p
}

// Report holds everything that was found in a configuration, in the order of its files and lines.
type Report struct {
	Name        string // the main file, as given
	Diagnostics []Diagnostic
	Summary     Summary // of a valid configuration
	trace       Trace   // what was read for it
}

// Summary counts what a configuration has.
type Summary struct {
	Listeners int    `json:"listeners"`
	Pools     int    `json:"pools"`
	Backends  int    `json:"backends"`
	Digest    string `json:"digest,omitempty"`
}

// Errors counts the errors.
func (r Report) Errors() int { return r.count(Error) }

// Warnings counts the warnings.
func (r Report) Warnings() int { return r.count(Warning) }

func (r Report) count(s Severity) int {
	n := 0
	for i := range r.Diagnostics {
		if r.Diagnostics[i].Severity == s {
			n++
		}
	}
	return n
}

// ErrInvalid is what every error of Report.Err is.
var ErrInvalid = errors.New("configuration is not valid")

// Err is nil for a usable configuration. Otherwise it wraps ErrInvalid, and its text has one line
// for every error and the verdict.
func (r Report) Err() error {
	if r.Errors() == 0 {
		return nil
	}
	var b strings.Builder
	for _, d := range r.Diagnostics {
		if d.Severity == Error {
			fmt.Fprintf(&b, "%s: %s; %s\n", d.Place, d.Message, d.Hint)
		}
	}
	b.WriteString(r.verdict())
	return &invalidError{b.String()}
}

// invalidError is the error of a report.
type invalidError struct{ text string }

func (e *invalidError) Error() string { return e.text }

func (e *invalidError) Unwrap() error { return ErrInvalid }

// verdict is the last line of a report.
func (r Report) verdict() string {
	errs, warnings := r.Errors(), r.Warnings()
	if errs > 0 {
		return fmt.Sprintf("%s is not valid: %s, %s.", r.Name, plural(errs, "error"), plural(warnings, "warning"))
	}
	return fmt.Sprintf("ok: %s: %s, %s, %s, %s (sha256 %.12s)", r.Name, plural(r.Summary.Listeners, "listener"),
		plural(r.Summary.Pools, "pool"), plural(r.Summary.Backends, "backend"), plural(warnings, "warning"), r.Summary.Digest)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// findings gathers diagnostics in any order.
type findings struct {
	all []finding
	// seen has the places of the errors, so that what is reached twice through an alias is
	// reported once.
	seen map[span]bool
}

// finding is a diagnostic with the place that orders it.
type finding struct {
	at span
	Diagnostic
}

// add records one finding.
func (f *findings) add(s Severity, at span, path, message, hint string, related ...span) {
	d := Diagnostic{Severity: s, Place: at.place(), Path: path, Message: message, Hint: hint}
	for _, r := range related {
		d.Related = append(d.Related, r.place())
	}
	if f.seen == nil {
		f.seen = map[span]bool{}
	}
	f.seen[at] = true
	f.all = append(f.all, finding{at, d})
}

// sorted returns the diagnostics in the order of the files.
func (f *findings) sorted() []Diagnostic {
	sort.SliceStable(f.all, func(i, j int) bool { return f.all[i].at.before(f.all[j].at) })
	ds := make([]Diagnostic, len(f.all))
	for i := range f.all {
		ds[i] = f.all[i].Diagnostic
	}
	return ds
}
