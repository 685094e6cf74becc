package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"weir/config"
	"weir/config/store"
)

// refOf is what the path of a request names.
func refOf(r *http.Request, kind store.Kind) store.Ref {
	if kind == store.Listener || kind == store.Routes {
		return store.Ref{Kind: kind, Name: r.PathValue("listener")}
	}
	return store.Ref{Kind: kind, Name: r.PathValue("pool"), Backend: r.PathValue("backend")}
}

// update carries out one change of what ref names, if it is as the request wants it to be, and
// answers. status is that of the answer, looked at afterwards.
func (s *Server) update(w http.ResponseWriter, r *http.Request, ref store.Ref, status *int, edit func(*store.Draft) error) error {
	do := s.options.Control.Update
	switch dry := r.URL.Query().Get("dry_run"); dry {
	case "", "false":
	case "true":
		do = s.options.Control.DryRun
	default:
		return badParameter("dry_run", "is "+quote(dry), "allowed: true, false")
	}
	result, err := do(r.Context(), store.Change{Actor: Actor(r.Context()), Edit: func(d *store.Draft) error {
		if err := s.expect(r, ref, d.Base()); err != nil {
			return err
		}
		return s.known(edit(d), ref, d.Base())
	}})
	if err != nil {
		return explain(err)
	}
	answer := changed(result)
	if o, err := result.Revision.Object(ref); err == nil {
		answer.ETag = quoted(o.Tag)
	}
	if *status == http.StatusCreated {
		w.Header().Set("Location", (&url.URL{Path: r.URL.Path}).EscapedPath())
	}
	writeJSON(w, *status, answer)
	return nil
}

// expect holds If-Match and If-None-Match against what ref names, and against the whole.
func (s *Server) expect(r *http.Request, ref store.Ref, base *store.Revision) error {
	o, err := base.Object(ref)
	if errors.Is(err, store.ErrNotFound) {
		return precondition(r.Header, ref.String())
	}
	if err != nil {
		return err
	}
	return precondition(r.Header, ref.String(), quoted(o.Tag), quoted(base.Tag()))
}

// known adds to the error of something that is not there what may have been meant.
func (s *Server) known(err error, ref store.Ref, base *store.Revision) error {
	if err == nil || !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return missing(base, ref)
}

// servePut makes what ref names be what the body says.
func (s *Server) servePut(kind store.Kind) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		spec, err := readSpec(r, kind)
		if err != nil {
			return err
		}
		ref, status := refOf(r, kind), http.StatusOK
		return s.update(w, r, ref, &status, func(d *store.Draft) error {
			created, err := d.Put(ref, spec)
			if created && kind != store.Routes {
				status = http.StatusCreated
			}
			return err
		})
	}
}

// readSpec reads the body of a PUT.
func readSpec(r *http.Request, kind store.Kind) (json.RawMessage, error) {
	if kind != store.Routes {
		return readObject(r, mediaJSON)
	}
	body, err := readBody(r, mediaJSON)
	if err != nil {
		return nil, err
	}
	return body, checkJSON(body, '[')
}

// servePatch changes what ref names by a merge patch. Of a backend of the file, state and weight can be
// changed, and become an override.
func (s *Server) servePatch(kind store.Kind) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		patch, err := readObject(r, mediaMergePatch, mediaJSON)
		if err != nil {
			return err
		}
		ref, status := refOf(r, kind), http.StatusOK
		return s.update(w, r, ref, &status, func(d *store.Draft) error {
			if o, err := d.Base().Object(ref); kind == store.Backend && err == nil && o.ReadOnly {
				return patchOverride(d, o, patch)
			}
			return d.Patch(ref, patch)
		})
	}
}

// patchOverride changes the override of a backend of the file.
func patchOverride(d *store.Draft, o store.Object, patch json.RawMessage) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(patch, &fields); err != nil {
		return problem(http.StatusBadRequest, err.Error(), "")
	}
	for name := range fields {
		if !slices.Contains(overrideKeys, name) {
			return &store.OwnedError{Ref: o.Ref, Origin: o.Origin}
		}
	}
	said := o.Override.Clone()
	for name, raw := range fields {
		if err := setOverride(&said, name, raw); err != nil {
			return err
		}
	}
	return d.SetOverride(store.BackendRef{Pool: o.Ref.Name, Backend: o.Ref.Backend}, said)
}

// overrideKeys are the keys of an override.
var overrideKeys = []string{"state", "weight"}

// setOverride reads one key of an override; null clears it.
func setOverride(o *config.Override, name string, raw json.RawMessage) error {
	null := bytes.Equal(raw, []byte("null"))
	var err error
	switch {
	case name == "state" && null:
		o.State = nil
	case name == "state":
		var text string
		if err = json.Unmarshal(raw, &text); err == nil {
			o.State = new(config.State(strings.ToLower(text)))
		}
	case null:
		o.Weight = nil
	default:
		var weight int
		if err = json.Unmarshal(raw, &weight); err == nil {
			o.Weight = &weight
		}
	}
	if err == nil {
		err = o.Validate()
	}
	if err == nil {
		return nil
	}
	if _, shape := errors.AsType[*json.UnmarshalTypeError](err); shape {
		err = fmt.Errorf("%s is %s", name, quote(string(raw)))
	}
	p := problem(http.StatusUnprocessableEntity, err.Error(), "state is ready, drain or maintenance; weight a whole number, 0…256")
	p.Type, p.Path = ProblemInvalid, name
	return p
}

// serveDelete removes what ref names.
func (s *Server) serveDelete(kind store.Kind) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		ref, status := refOf(r, kind), http.StatusOK
		err := s.update(w, r, ref, &status, func(d *store.Draft) error { return d.Delete(ref) })
		p, ok := errors.AsType[*Problem](err)
		if ok && p.Type == ProblemInvalid {
			// What is wrong is not in the request: something that stays needs what would go.
			p.Status, p.Title, p.Type = http.StatusConflict, http.StatusText(http.StatusConflict), ProblemInUse
			p.Detail = fmt.Sprintf("%s is needed:\n%s", ref, p.Detail)
		}
		return err
	}
}

// servePutOverride says what an operator wants of a backend.
func (s *Server) servePutOverride(w http.ResponseWriter, r *http.Request) error {
	body, err := readObject(r, mediaJSON)
	if err != nil {
		return err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return problem(http.StatusBadRequest, err.Error(), "")
	}
	var said config.Override
	for name, raw := range fields {
		if !slices.Contains(overrideKeys, name) {
			p := problem(http.StatusUnprocessableEntity, "unknown key "+quote(name), "allowed: "+strings.Join(overrideKeys, ", "))
			p.Type, p.Path = ProblemInvalid, name
			return p
		}
		if err := setOverride(&said, name, raw); err != nil {
			return err
		}
	}
	if said.IsZero() {
		p := problem(http.StatusUnprocessableEntity, "the override wants nothing", "say state or weight, or both; DELETE clears it")
		p.Type = ProblemInvalid
		return p
	}
	return s.override(w, r, func(d *store.Draft, b store.BackendRef) error { return d.SetOverride(b, said) })
}

// serveDeleteOverride lets hold again what the configuration says of a backend.
func (s *Server) serveDeleteOverride(w http.ResponseWriter, r *http.Request) error {
	return s.override(w, r, (*store.Draft).ClearOverride)
}

func (s *Server) override(w http.ResponseWriter, r *http.Request, edit func(*store.Draft, store.BackendRef) error) error {
	ref, status := refOf(r, store.Backend), http.StatusOK
	return s.update(w, r, ref, &status, func(d *store.Draft) error {
		return edit(d, store.BackendRef{Pool: ref.Name, Backend: ref.Backend})
	})
}
