package store

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// must ends the test on an error of what is not tested.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What somebody else has put into the state directory does not lead out of it, and does not make readable
// what is written.
func TestStrangeFiles(t *testing.T) {
	dir := t.TempDir()
	state, precious := filepath.Join(dir, "state"), filepath.Join(dir, "precious")
	must(t, os.Mkdir(state, 0o700))
	must(t, os.WriteFile(precious, []byte("precious"), 0o644))
	d := directory{state}
	must(t, os.Symlink(precious, filepath.Join(state, "linked")))
	must(t, os.WriteFile(filepath.Join(state, "open"), []byte("left"), 0o666))
	must(t, os.Chmod(filepath.Join(state, "open"), 0o666))
	for _, name := range []string{"linked", "open", "new"} {
		f, err := d.open(name, 0)
		must(t, err)
		_, err = f.Write([]byte("secret"))
		must(t, err)
		must(t, f.Close())
		info, err := os.Lstat(filepath.Join(state, name))
		must(t, err)
		if info.Mode() != stateMode {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), os.FileMode(stateMode))
		}
		must(t, os.Chmod(filepath.Join(state, name), 0o644))
		f, err = d.open(name, 3)
		must(t, err)
		must(t, f.Close())
		if info, err = os.Lstat(filepath.Join(state, name)); err != nil || info.Mode() != stateMode || info.Size() != 3 {
			t.Errorf("%s, opened again, is %v, %v", name, info, err)
		}
	}
	must(t, os.Symlink(precious, filepath.Join(state, "later")))
	if _, err := d.open("later", 3); err == nil {
		t.Error("a link is followed")
	}
	if text, err := os.ReadFile(precious); string(text) != "precious" {
		t.Errorf("what the link names is %q, %v", text, err)
	}
}

// Who can write in the state directory decides what is loaded: that is said.
func TestStateDirOfAll(t *testing.T) {
	for mode, want := range map[os.FileMode]bool{0o700: false, 0o755: false, 0o777: true, 0o777 | os.ModeSticky: true} {
		dir := t.TempDir()
		must(t, os.Chmod(dir, mode))
		file := filepath.Join(t.TempDir(), "weir.yaml")
		must(t, os.WriteFile(file, []byte("state_dir: "+dir+"\nlisteners: { web: { protocol: http, address: \"127.0.0.1:0\", pool: web } }\npools: { web: { backends: { b1: 10.0.0.1:80 } } }\n"), 0o600))
		s, err := Open(Options{File: file})
		must(t, err)
		if got := strings.Contains(strings.Join(s.Remarks(), "\n"), "every user may write"); got != want {
			t.Errorf("%v: got %v, want %v: %v", mode, got, want, s.Remarks())
		}
		must(t, s.Close())
	}
}

// A umask that takes nothing, or much, makes no difference.
func TestStateModeAndUmask(t *testing.T) {
	for _, mask := range []int{0, 0o077, 0o277} {
		d := directory{t.TempDir()}
		before := syscall.Umask(mask)
		f, err := d.open("x", 0)
		syscall.Umask(before)
		must(t, err)
		must(t, f.Close())
		info, err := os.Stat(filepath.Join(d.path, "x"))
		must(t, err)
		if info.Mode() != stateMode {
			t.Errorf("umask %04o: mode %v", mask, info.Mode())
		}
	}
}
