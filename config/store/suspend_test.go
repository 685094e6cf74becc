package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"weir/config"
)

// While a store is suspended another process has the state directory, and changes wait; when it resumes, it
// is as before.
func TestSuspend(t *testing.T) {
	o := open(t, plainFile+"state_dir: "+t.TempDir()+"\n")
	s := o.Store
	weigh := func(w int) func(*Draft) error {
		return func(d *Draft) error {
			return d.SetOverride(BackendRef{"app", "b1"}, config.Override{Weight: new(w)})
		}
	}
	o.edit(weigh(5))
	if err := s.Suspend(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Update(ctx, Change{Edit: weigh(6)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a change meanwhile: got %v, want it to wait", err)
	}
	other, err := Open(Options{File: o.file})
	if err != nil {
		t.Fatalf("the other process: %v", err)
	}
	if got := other.Current().Overrides[BackendRef{"app", "b1"}]; *got.Weight != 5 {
		t.Errorf("the other process has weight %d, want 5", *got.Weight)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	o.edit(weigh(7))
	if _, err := Open(Options{File: o.file}); err == nil {
		t.Error("after Resume, another process has the state directory")
	}

	if err := s.Suspend(t.Context()); err != nil {
		t.Fatal(err)
	}
	other, err = Open(Options{File: o.file})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if got := other.Current().Overrides[BackendRef{"app", "b1"}]; *got.Weight != 7 {
		t.Errorf("the other process has weight %d, want 7", *got.Weight)
	}
	s.Leave()
	if _, err := s.Update(t.Context(), Change{Edit: weigh(8)}); !errors.Is(err, ErrStopping) {
		t.Errorf("a change after Leave: got %v, want ErrStopping", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Without a state directory, what is wanted goes by Export.
func TestSuspendWithoutDirectory(t *testing.T) {
	o := open(t, plainFile)
	o.edit(func(d *Draft) error { return d.SetOverride(BackendRef{"app", "b1"}, config.Override{Weight: new(5)}) })
	if err := o.Suspend(t.Context()); err != nil {
		t.Fatal(err)
	}
	wish, err := o.Export()
	if err != nil {
		t.Fatal(err)
	}
	other, err := Open(Options{File: o.file, Inherited: wish})
	if err != nil {
		t.Fatal(err)
	}
	if got := other.Current(); *got.Overrides[BackendRef{"app", "b1"}].Weight != 5 || got.Number != o.Current().Number {
		t.Errorf("the other process is at revision %d with %v", got.Number, got.Overrides)
	}
	if err := o.Resume(); err != nil {
		t.Fatal(err)
	}
	o.edit(func(d *Draft) error { return d.ClearOverride(BackendRef{"app", "b1"}) })
}
