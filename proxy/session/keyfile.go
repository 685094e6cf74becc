package session

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"weir/config"
)

// temporaryKeys are key files in the making; those of processes that were killed meanwhile stay behind.
const temporaryKeys = ".session.key-*"

// KeyFile returns the key in the file path. If there is none it makes one, with its folder: a random key in
// hexadecimal, which cookie.keys takes as well. made says so. A file that is there is never changed, whatever
// it holds. Any number of processes may call it at a time; they get the same key. It can be killed at any
// moment: the file is there as a whole, or not at all.
func KeyFile(path string) (key []byte, made bool, err error) {
	key, err = config.ReadKey(path)
	if err == nil {
		return key, false, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, false, fmt.Errorf("%s: %w — %s", path, err, config.KeyRemedy)
	}
	made, failed := makeKey(path)
	key, err = config.ReadKey(path) // ours, or that of whoever was faster
	if err == nil && !(made && failed != nil) {
		return key, made, nil
	}
	if failed == nil {
		failed = err
	}
	return nil, false, fmt.Errorf("%s cannot be made: %w — create the directory %s and give it to the user that weir runs as", path, failed, filepath.Dir(path))
}

// makeKey writes a new key to path, unless there is a file.
func makeKey(path string) (made bool, err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, err
	}
	temporary, err := writeKey(dir)
	if err != nil {
		return false, err
	}
	// A link, because a rename would replace what another process has made meanwhile.
	if err = os.Link(temporary, path); err != nil {
		return false, errors.Join(err, remove(temporary))
	}
	stale, err := filepath.Glob(filepath.Join(dir, temporaryKeys)) // the one above among them
	if err != nil {
		return true, err
	}
	for _, name := range stale {
		if err := remove(name); err != nil {
			return true, err
		}
	}
	return true, errors.Join(syncDir(dir), syncDir(filepath.Dir(dir)))
}

// writeKey writes a new key to a new file, down to the disk.
func writeKey(dir string) (name string, err error) {
	f, err := os.CreateTemp(dir, temporaryKeys) // mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(hex.EncodeToString(NewKey()) + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return "", errors.Join(err, remove(f.Name()))
	}
	return f.Name(), nil
}

// remove is os.Remove of what may have been removed by another process.
func remove(name string) error {
	if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncDir brings the names in a folder down to the disk.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
