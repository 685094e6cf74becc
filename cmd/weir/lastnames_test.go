package main

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"weir/telemetry"
)

// TestNamesAfterRestart wants a process that finds no server of names to go on with the addresses that the one
// before it knew, and a file that is no good to keep nobody from starting.
func TestNamesAfterRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	file := filepath.Join(dir, "names.json")
	run := func(answers bool) (addresses, log string) {
		synctest.Test(t, func(t *testing.T) {
			lookup := func(context.Context, string, []netip.Addr) ([]netip.Addr, error) {
				if answers {
					return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
				}
				return nil, errors.New("nobody is there")
			}
			core, logs := observer.New(zap.WarnLevel)
			fake := readdressed{newFakePlane()}
			close(fake.release)
			c := namesOf("a")
			c.StateDir = dir
			p, err := withNames(planeOptions{config: c, log: zap.New(core), telemetry: telemetry.New(telemetry.Options{})}, lookup,
				func(planeOptions) (addressable, error) { return fake, nil })
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second / 2)
			synctest.Wait()
			addresses = fake.addressesOf()
			if err := p.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, e := range logs.All() {
				log += e.Message + "\n"
			}
		})
		return addresses, log
	}
	const known, none = "a/10.0.0.1 (0 resolving)", " (0 resolving)"
	if got, _ := run(false); got != none {
		t.Errorf("at first, no answer: got %q, want %q", got, none)
	}
	if got, _ := run(true); got != known {
		t.Errorf("an answer: got %q, want %q", got, known)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v", info.Mode())
	}
	if got, log := run(false); got != known || !strings.Contains(log, "stay in use") {
		t.Errorf("after a restart, no answer: got %q, want %q; log %s", got, known, log)
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, log := run(false); got != none || !strings.Contains(log, "are looked up") {
		t.Errorf("a bad file: got %q, want %q; log %s", got, none, log)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // no directory can be here
		t.Fatal(err)
	}
	if got, log := run(true); got != known || strings.Count(log, "are not kept for a restart") != 1 {
		t.Errorf("no directory: got %q, want %q; log %s", got, known, log)
	}
}

// TestNamesAreNotWrittenThroughLinks wants what somebody has put into the directory to be replaced.
func TestNamesAreNotWrittenThroughLinks(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious")
	if err := errors.Join(os.WriteFile(precious, nil, 0o600), os.Symlink(precious, filepath.Join(dir, "names.json.new"))); err != nil {
		t.Fatal(err)
	}
	l := newLastNames(dir, zap.NewNop())
	if l.save(nil); l.fault != "" {
		t.Error(l.fault)
	}
	if text, err := os.ReadFile(precious); len(text) > 0 || err != nil {
		t.Errorf("what the link names is %q, %v", text, err)
	}
	if info, err := os.Lstat(filepath.Join(dir, "names.json")); err != nil || info.Mode() != 0o600 {
		t.Errorf("got %v, %v", info, err)
	}
}
