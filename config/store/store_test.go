package store

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/config"
)

// plainFile is a configuration with one listener and one pool of two backends.
const plainFile = `listeners:
  web: { protocol: http, address: "127.0.0.1:8080", pool: app }
pools:
  app:
    backends: { b1: { address: "10.0.0.1:80" }, b2: { address: "10.0.0.2:80" } }
`

// opened is a store on a file of its own.
type opened struct {
	*Store
	t    *testing.T
	file string
}

func open(t *testing.T, text string) *opened {
	t.Helper()
	o := &opened{t: t, file: filepath.Join(t.TempDir(), "weir.yaml")}
	o.write(text)
	s, err := Open(Options{File: o.file})
	if err != nil {
		t.Fatal(err)
	}
	o.Store = s
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

func (o *opened) write(text string) {
	o.t.Helper()
	if err := os.WriteFile(o.file, []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// edit makes a change that must succeed.
func (o *opened) edit(edit func(*Draft) error) Result {
	o.t.Helper()
	r, err := o.Update(context.Background(), Change{Edit: edit})
	if err != nil {
		o.t.Fatal(err)
	}
	return r
}

func put(ref Ref, spec string) func(*Draft) error {
	return func(d *Draft) error {
		_, err := d.Put(ref, json.RawMessage(spec))
		return err
	}
}

func TestUpdate(t *testing.T) {
	o := open(t, plainFile)
	first := o.Current()
	pool, listener := Ref{Kind: Pool, Name: "shop"}, Ref{Kind: Listener, Name: "shop"}
	r := o.edit(func(d *Draft) error {
		return errors.Join(
			put(pool, `{"backends": ["10.0.1.1:80", "10.0.1.2:80"]}`)(d),
			put(listener, `{"protocol": "http", "address": "127.0.0.1:8081", "pool": "shop"}`)(d))
	})
	if got, want := r.Summary, "1 listener added, 1 pool added, 0 connections closed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if r.Revision != o.Current() || r.Revision.Number != 2 || r.Revision.Generation != 2 || r.Revision.Tag() == first.Tag() {
		t.Errorf("got %+v", r.Revision)
	}
	backend := Ref{Kind: Backend, Name: "shop", Backend: "10.0.1.2:80"}
	r = o.edit(func(d *Draft) error { return d.Patch(backend, json.RawMessage(`{"weight": 5}`)) })
	if got, want := r.Summary, "1 weight changed, 0 connections closed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	object, err := o.Current().Object(backend)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(object.Spec), `{"address":"10.0.1.2:80","weight":5}`; got != want || object.ReadOnly || !object.Origin.API {
		t.Errorf("got %+v, spec %s, want %s", object, got, want)
	}
	if _, err := first.Object(backend); !errors.Is(err, ErrNotFound) {
		t.Errorf("the first revision has changed: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	o := open(t, plainFile)
	o.edit(put(Ref{Kind: Pool, Name: "own"}, `{"backends": ["10.0.1.1:80"], "deletion_protection": true}`))
	before := o.Current()
	tests := []struct {
		name string
		edit func(*Draft) error
		want error
		text string
	}{
		{"of the file", put(Ref{Kind: Pool, Name: "app"}, `{}`), ErrOwned, "pools.app is defined in " + o.file + ":4:3"},
		{"backend of the file", put(Ref{Kind: Backend, Name: "app", Backend: "b9"}, `"10.0.0.9:80"`), ErrOwned, "weir.yaml:4:3"},
		{"no such pool", put(Ref{Kind: Backend, Name: "none", Backend: "b9"}, `"10.0.0.9:80"`), ErrNotFound, "pools.none"},
		{"not valid", put(Ref{Kind: Pool, Name: "own"}, `{"backends": ["10.0.1.1"], "wieght": 3}`), ErrInvalid, `unknown key "wieght"`},
		{"no JSON", put(Ref{Kind: Pool, Name: "own"}, `backends: []`), ErrBadSpec, "pools.own"},
		{"protected", func(d *Draft) error { return d.Delete(Ref{Kind: Pool, Name: "own"}) }, ErrProtected, "deletion_protection"},
		{"no such backend", func(d *Draft) error {
			return d.SetOverride(BackendRef{"app", "b7"}, config.Override{Weight: new(3)})
		}, ErrNotFound, "pools.app.backends.b7"},
		{"weight", func(d *Draft) error {
			return d.SetOverride(BackendRef{"app", "b1"}, config.Override{Weight: new(300)})
		}, ErrBadSpec, "0…256"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := o.Update(context.Background(), Change{Edit: tt.edit})
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v, want %v with %q", err, tt.want, tt.text)
			}
			if o.Current() != before {
				t.Error("a refused change has changed something")
			}
		})
	}
}
