package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"weir/config"
	"weir/config/store"
)

// Control is what is wanted, and the way to change it; *store.Store is one. All methods may be called
// concurrently.
type Control interface {
	Current() *store.Revision
	Update(context.Context, store.Change) (store.Result, error)
	DryRun(context.Context, store.Change) (store.Result, error)
	Reload(context.Context) (store.Result, error)
	Diff(context.Context) (store.Diff, config.Report, error)
	Validate([]byte) config.Report
}

var _ Control = (*store.Store)(nil)

// changed is the answer to a change.
func changed(r store.Result) Changed {
	return Changed{
		Revision: r.Revision.Number, Generation: r.Revision.Generation, Summary: r.Summary,
		TookMS: milliseconds(r.Took), Changes: changes(r.Diff), Warnings: r.Warnings,
	}
}

func changes(d store.Diff) []Change {
	list := make([]Change, 0, len(d))
	for _, c := range d {
		list = append(list, Change{
			Action: string(c.Action), Kind: string(c.Kind), Name: c.Name, Field: c.Field, Before: c.Before, After: c.After,
		})
	}
	return list
}

// unchangedHint comforts whoever wanted a change.
const unchangedHint = "the running configuration is unchanged"

// explain makes a problem of an error of Control.
func explain(err error) error {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if owned, ok := errors.AsType[*store.OwnedError](err); ok {
		p := problem(http.StatusConflict, owned.Error(), "of its backends, state and weight can be overridden: PUT …/override")
		p.Type, p.Path = ProblemReadOnly, owned.Ref.String()
		p.File, p.Line, p.Column = owned.Origin.File, owned.Origin.Line, owned.Origin.Column
		return p
	}
	if invalid, ok := errors.AsType[*store.InvalidError](err); ok {
		return invalidProblem(invalid.Report)
	}
	for _, kind := range []struct {
		is           error
		status       int
		name, remedy string
	}{
		{store.ErrNotFound, http.StatusNotFound, ProblemNotFound, "GET /v1/pools and /v1/listeners list what there is"},
		{store.ErrExists, http.StatusPreconditionFailed, ProblemStale, "leave If-None-Match out to replace it"},
		{store.ErrProtected, http.StatusConflict, ProblemProtected, ""},
		{store.ErrPrecondition, http.StatusPreconditionFailed, ProblemStale, "read it again, and decide anew"},
		{store.ErrBadSpec, http.StatusBadRequest, "", "GET /openapi.json and docs/config.md say what it should be"},
		{store.ErrRefused, http.StatusConflict, ProblemNotServed, unchangedHint},
		{store.ErrState, http.StatusInsufficientStorage, ProblemNotKept, "make room in state_dir, or let weir write there"},
		{store.ErrStopping, http.StatusServiceUnavailable, ProblemStopping, "ask the process that comes after it"},
		{context.Canceled, http.StatusServiceUnavailable, "", unchangedHint + "; try again"},
		{context.DeadlineExceeded, http.StatusServiceUnavailable, "", unchangedHint + "; try again"},
	} {
		if errors.Is(err, kind.is) {
			p := problem(kind.status, err.Error(), kind.remedy)
			p.Type = kind.name
			if object, ok := errors.AsType[*config.ObjectError](err); ok {
				p.Path = object.Path
				if !object.Origin.API {
					p.File, p.Line, p.Column = object.Origin.File, object.Origin.Line, object.Origin.Column
				}
			}
			return p
		}
	}
	return err
}

// maxSentences is how many faults the detail of a problem names; Errors has all.
const maxSentences = 20

// invalidProblem tells all that is wrong with a configuration.
func invalidProblem(r config.Report) *Problem {
	p := problem(http.StatusUnprocessableEntity, "", unchangedHint)
	p.Type = ProblemInvalid
	var lines []string
	for _, d := range r.Diagnostics {
		if d.Severity != config.Error {
			continue
		}
		p.Errors = append(p.Errors, diagnostic(d))
		if len(lines) < maxSentences {
			lines = append(lines, sentence(d))
		}
	}
	if more := len(p.Errors) - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	p.Detail = strings.Join(lines, "\n")
	if len(p.Errors) > 0 {
		first := p.Errors[0]
		p.Path, p.File, p.Line, p.Column = first.Path, first.File, first.Line, first.Column
	}
	return p
}

// ofObject is what the place of an object that was made through the API begins with.
const ofObject = "api:"

// sentence is a diagnostic in one line. Of an object of the API, the message says enough of where.
func sentence(d config.Diagnostic) string {
	text := d.Sentence()
	if strings.HasPrefix(d.File, ofObject) {
		text = strings.TrimPrefix(text, d.Place.String()+": ")
	}
	return text
}

// diagnostic is one of package config, without the line of the file, in which there may be secrets.
func diagnostic(d config.Diagnostic) Diagnostic {
	out := Diagnostic{Severity: string(d.Severity), Path: d.Path, Message: d.Message, Hint: d.Hint, File: d.File, Line: d.Line, Column: d.Column}
	if strings.HasPrefix(out.File, ofObject) { // its path names it
		out.File = ""
	}
	return out
}

func diagnostics(r config.Report) []Diagnostic {
	list := make([]Diagnostic, 0, len(r.Diagnostics))
	for _, d := range r.Diagnostics {
		list = append(list, diagnostic(d))
	}
	return list
}

// serveReload reads the files again.
func (s *Server) serveReload(w http.ResponseWriter, r *http.Request) error {
	done, err := s.options.Control.Reload(r.Context())
	if err != nil {
		return explain(err)
	}
	writeJSON(w, http.StatusOK, changed(done))
	return nil
}

// serveDiff tells what a reload would change.
func (s *Server) serveDiff(w http.ResponseWriter, r *http.Request) error {
	diff, report, err := s.options.Control.Diff(r.Context())
	if _, invalid := errors.AsType[*store.InvalidError](err); err != nil && !invalid {
		return explain(err)
	}
	out := Difference{
		File: report.Name, Valid: report.Errors() == 0, Changes: changes(diff), Summary: diff.Summary(), Diagnostics: diagnostics(report),
	}
	if !out.Valid {
		out.Summary = "a reload would be refused"
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// serveValidate checks a configuration.
func (s *Server) serveValidate(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(r, mediaYAML, "application/x-yaml", "text/yaml", "text/x-yaml", mediaJSON)
	if err != nil {
		return err
	}
	report := s.options.Control.Validate(body)
	writeJSON(w, http.StatusOK, Validation{
		Valid: report.Errors() == 0, Errors: report.Errors(), Warnings: report.Warnings(), Diagnostics: diagnostics(report),
	})
	return nil
}

// serveConfig shows everything that is in force.
func (s *Server) serveConfig(w http.ResponseWriter, r *http.Request) error {
	now := s.options.Control.Current()
	if unchanged(w, r, quoted(now.Tag())) {
		return nil
	}
	writeJSON(w, http.StatusOK, Effective{
		Revision: now.Number, Generation: now.Generation, SHA256: now.Config.Digest, Files: now.Config.Files,
		Config: json.RawMessage(now.Config.Effective()),
	})
	return nil
}
