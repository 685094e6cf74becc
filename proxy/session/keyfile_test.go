package session

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"weir/config"
)

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "weir", "session.key")
	key, made, err := KeyFile(path)
	if err != nil || !made || len(key) != 32 {
		t.Fatalf("got %d bytes, made %v, %v; want a new key of 32", len(key), made, err)
	}
	for name, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700 | fs.ModeDir} {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: got %v %v, want %v", name, info.Mode(), err, want)
		}
	}
	again, made, err := KeyFile(path)
	if err != nil || made || !bytes.Equal(again, key) {
		t.Errorf("the second time: made %v, %v, another key: %v", made, err, !bytes.Equal(again, key))
	}
	wantAlone(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if other, made, err := KeyFile(path); err != nil || !made || bytes.Equal(other, key) {
		t.Errorf("after the file was moved away: made %v, %v", made, err)
	}
}

// wantAlone wants nothing but the key in its folder.
func wantAlone(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("the folder has %v %v, want the key alone", entries, err)
	}
}

// TestKeyFileIsKept: whatever is there stays as it is, with an error that says what to do.
func TestKeyFileIsKept(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "cut off": strings.Repeat("a", 63), "no key": "hello\n", "two": strings.Repeat("ab", 32) + "\n" + strings.Repeat("cd", 32) + "\n",
	} {
		path := filepath.Join(t.TempDir(), "session.key")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		key, made, err := KeyFile(path)
		if err == nil || key != nil || made || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), config.KeyRemedy) {
			t.Errorf("%s: got %v, made %v; want an error with the remedy", name, err, made)
		}
		if err != nil && text != "" && strings.Contains(err.Error(), strings.TrimSpace(text)) {
			t.Errorf("%s: the message shows what is in the file: %v", name, err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != text {
			t.Errorf("%s: the file is %q now, %v", name, after, err)
		}
		wantAlone(t, path)
	}
}

// TestKeyFileOfOtherKinds is about what is no file that can be read.
func TestKeyFileOfOtherKinds(t *testing.T) {
	dir := t.TempDir()
	folder, dangling, blocked := filepath.Join(dir, "folder"), filepath.Join(dir, "dangling"), filepath.Join(dir, "file", "session.key")
	if err := errors.Join(os.Mkdir(folder, 0o700), os.Symlink(filepath.Join(dir, "nowhere"), dangling),
		os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{folder, dangling, blocked} {
		if key, made, err := KeyFile(path); err == nil || key != nil || made || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, made %v; want an error", path, err, made)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, temporaryKeys)); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestKeyFileAfterAKill finds what processes leave that are killed while they make one.
func TestKeyFileAfterAKill(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{".session.key-1": "", ".session.key-2": "00ff"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "session.key")
	if _, made, err := KeyFile(path); err != nil || !made {
		t.Fatalf("made %v, %v", made, err)
	}
	wantAlone(t, path)
}

// TestKeyFileAtATime has many make it at once: all get the same.
func TestKeyFileAtATime(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "state", "session.key")
		keys := make([][]byte, 16)
		var all sync.WaitGroup
		for i := range keys {
			all.Go(func() {
				var err error
				if keys[i], _, err = KeyFile(path); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, k := range keys {
			if !bytes.Equal(k, keys[0]) {
				t.Fatal("two have got different keys")
			}
		}
		wantAlone(t, path)
	}
}
