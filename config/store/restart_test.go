package store

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/config"
)

// kept is a store with a state directory, which can be opened again.
type kept struct {
	*opened
	dir string
}

func openKept(t *testing.T, text string) *kept {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	return &kept{open(t, text+"state_dir: "+dir+"\n"), dir}
}

// restart closes the store and opens it anew.
func (k *kept) restart() {
	k.t.Helper()
	if err := k.Close(); err != nil {
		k.t.Fatal(err)
	}
	s, err := Open(Options{File: k.file})
	if err != nil {
		k.t.Fatal(err)
	}
	k.Store = s
	k.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			k.t.Error(err)
		}
	})
}

func (k *kept) override(pool, backend string, o config.Override) {
	k.t.Helper()
	k.edit(func(d *Draft) error { return d.SetOverride(BackendRef{pool, backend}, o) })
}

func TestRestart(t *testing.T) {
	k := openKept(t, plainFile)
	k.edit(func(d *Draft) error {
		return errors.Join(
			put(Ref{Kind: Pool, Name: "own"}, `{"backends": {"x": "10.0.3.1:80"}, "meta": {"text": "a<b> $${x} \u00e4\u2028\ud83d\ude00 \"\\"}}`)(d),
			put(Ref{Kind: Listener, Name: "own"}, `{"protocol": "http", "address": "127.0.0.1:9999", "pool": "own"}`)(d))
	})
	k.override("app", "b1", config.Override{State: new(config.Drain)})
	k.override("own", "x", config.Override{Weight: new(0)})
	before := k.Current()
	k.restart()
	after := k.Current()
	if after.Tag() != before.Tag() || after.Number != 4 || after.Generation != 1 {
		t.Errorf("got revision %s of generation %d, want %s of 1", after.Tag(), after.Generation, before.Tag())
	}
	if got, want := after.Config.Pools["own"].Identity.Meta["text"], "a<b> ${x} ä\u2028😀 \"\\"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if o := after.Config.Pools["app"].Overrides["b1"]; o.State == nil || *o.State != config.Drain {
		t.Errorf("the override is gone: %v", o)
	}
	// Another file is another revision.
	k.write(strings.Replace(plainFile, "10.0.0.2", "10.0.0.3", 1) + "state_dir: " + k.dir + "\n")
	k.restart()
	if got := k.Current().Number; got != 5 {
		t.Errorf("got revision %d, want 5", got)
	}
}

// TestOverridesOutliveBackends: an override waits for its backend while the pool is there.
func TestOverridesOutliveBackends(t *testing.T) {
	k := openKept(t, plainFile)
	file := plainFile + "state_dir: " + k.dir + "\n"
	k.override("app", "b2", config.Override{State: new(config.Maintenance)})
	reload := func(text string) Result {
		t.Helper()
		k.write(text)
		r, err := k.Reload(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	reload(strings.Replace(file, `, b2: { address: "10.0.0.2:80" }`, "", 1))
	k.restart()
	if r := reload(file); r.Revision.Config.Pools["app"].Overrides["b2"].State == nil {
		t.Error("the override did not wait for its backend")
	}
	r := reload(strings.NewReplacer("pool: app", "pool: other", "  app:", "  other:").Replace(file))
	if len(r.Revision.Overrides) != 0 || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "app/b2 (state maintenance) is dropped") {
		t.Errorf("got %v and %q, want it dropped and said", r.Revision.Overrides, r.Warnings)
	}
	k.restart()
	if o := reload(file).Revision.Overrides; len(o) != 0 {
		t.Errorf("it has come back: %v", o)
	}
}

// TestConflictWithFile: a name that the file takes for itself is refused at a reload, and at a start.
func TestConflictWithFile(t *testing.T) {
	k := openKept(t, plainFile)
	k.edit(put(Ref{Kind: Pool, Name: "own"}, `{"backends": ["10.0.3.1:80"]}`))
	before := k.Current()
	k.write(plainFile + "  own: { backends: [\"10.0.4.1:80\"] }\nstate_dir: " + k.dir + "\n")
	_, err := k.Reload(context.Background())
	want := k.file + ":6:3: pools.own stands in the file and was made through the API too"
	if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
	if k.Current() != before {
		t.Error("a refused reload has changed something")
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{File: k.file}); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v, want the same at a start", err)
	}
	// A file cannot lean on what may go away.
	k.write("state_dir: " + k.dir + "\nlisteners: { web: { protocol: http, address: \":80\", pool: own } }\n")
	if _, err := Open(Options{File: k.file}); !errors.Is(err, ErrInvalid) {
		t.Errorf("a file that is not complete: got %v", err)
	}
}

func TestOneProcess(t *testing.T) {
	k := openKept(t, plainFile)
	if _, err := Open(Options{File: k.file}); err == nil || !strings.Contains(err.Error(), "another process of weir uses "+k.dir) {
		t.Errorf("got %v, want that the directory is taken", err)
	}
	opened := make(chan error, 1)
	go func() {
		s, err := Open(Options{File: k.file, Wait: 10 * time.Second})
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Errorf("it was not waited for: %v", err)
	}
	if _, err := k.Update(context.Background(), Change{Edit: func(*Draft) error { return nil }}); !errors.Is(err, ErrStopping) {
		t.Errorf("got %v, want %v", err, ErrStopping)
	}
}

// TestDamagedState: what cannot be read is not started with, and the error says what to do.
func TestDamagedState(t *testing.T) {
	tests := []struct{ name, file, text, want string }{
		{"state.json", stateName, "{", "restore it from a copy"},
		{"another version", stateName, `{"format": 2}`, "a later version of weir"},
		{"no state", stateName, `{}`, "not what weir has written"},
		{"log", logName, "hello", "not what weir has written"},
		{"log of another version", logName, "weir state.log 7\n", "a later version of weir"},
		{"gap", logName, string(append([]byte(logHeader), mustFrame(t, record{Sequence: 3})...)), "change 3 follows on change 0"},
		{"override", stateName, `{"format": 1, "overrides": [{"pool": "app", "backend": "b1", "weight": 1000}]}`, "0…256"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := openKept(t, plainFile)
			if err := k.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(k.dir, tt.file), []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(Options{File: k.file})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "state_dir: ") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func mustFrame(t *testing.T, r record) []byte {
	t.Helper()
	b, err := frame(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTornStateLog: a change that was being written when the machine stopped is left out, and said.
func TestTornStateLog(t *testing.T) {
	k := openKept(t, plainFile)
	k.override("app", "b1", config.Override{Weight: new(3)})
	path := filepath.Join(k.dir, logName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	k.override("app", "b1", config.Override{Weight: new(4)})
	if err := os.Truncate(path, int64(len(whole)+20)); err != nil {
		t.Fatal(err)
	}
	k.restart()
	if r := k.Remarks(); len(r) != 1 || !strings.Contains(r[0], "20 bytes of a change that was not finished") {
		t.Errorf("got %q", r)
	}
	k.override("app", "b2", config.Override{Weight: new(5)})
	k.restart()
	if o := k.Current().Overrides; len(o) != 2 || *o[BackendRef{"app", "b1"}].Weight != 3 || *o[BackendRef{"app", "b2"}].Weight != 5 {
		t.Errorf("got %v", o)
	}
}

// TestInherited: without a state directory, a process can go on for another one.
func TestInherited(t *testing.T) {
	o := open(t, plainFile)
	o.edit(put(Ref{Kind: Pool, Name: "own"}, `{"backends": ["10.0.3.1:80"]}`))
	o.edit(func(d *Draft) error {
		return d.SetOverride(BackendRef{"own", "10.0.3.1:80"}, config.Override{Weight: new(2)})
	})
	image, err := o.Export()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{File: o.file, Inherited: image})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Current().Tag(), o.Current().Tag(); got != want {
		t.Errorf("got revision %s, want %s", got, want)
	}
	if _, err := Open(Options{File: o.file, Inherited: json.RawMessage("nonsense")}); err == nil {
		t.Error("nonsense is inherited")
	}
}

// TestInheritedIntoNewDirectory: what was wanted without a state directory, or in another one, goes on under one
// that has nothing yet, and is in it once the process serves.
func TestInheritedIntoNewDirectory(t *testing.T) {
	o := open(t, plainFile)
	o.edit(put(Ref{Kind: Pool, Name: "own"}, `{"backends": ["10.0.3.1:80"]}`))
	o.edit(func(d *Draft) error { return d.SetOverride(BackendRef{"app", "b1"}, config.Override{Weight: new(7)}) })
	image, err := o.Export()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	o.write(plainFile + "state_dir: " + dir + "\n")
	restart := func(inherited []byte) *Store {
		t.Helper()
		s, err := Open(Options{File: o.file, Inherited: inherited})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	wanted := func(s *Store) bool {
		r := s.Current()
		return r.Config.Pools["own"] != nil && len(r.Overrides) == 1 && *r.Overrides[BackendRef{"app", "b1"}].Weight == 7
	}
	end := func(s *Store) {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := restart(image)
	if !wanted(s) {
		t.Error("what was wanted is lost")
	}
	end(s) // it has not come into service
	s = restart(nil)
	if wanted(s) {
		t.Error("a process that has not served has changed the directory")
	}
	end(s)
	s = restart(image)
	for range 2 {
		if err := s.Keep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	end(s)
	s = restart(nil)
	if !wanted(s) {
		t.Error("what was wanted is not in the directory")
	}
	if _, err := s.Update(t.Context(), Change{Edit: func(d *Draft) error { return d.ClearOverride(BackendRef{"app", "b1"}) }}); err != nil {
		t.Fatal(err)
	}
	end(s)
	s = restart(image)
	if len(s.Current().Overrides) != 0 {
		t.Error("the directory does not come before what is inherited")
	}
	end(s)
}
