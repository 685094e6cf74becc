package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// files is the directory that a keeper writes to. *directory is it; tests have one that fails and forgets
// as disks do.
type files interface {
	read(name string) ([]byte, error) // fs.ErrNotExist if there is none
	// open opens a file for writing behind its first size bytes; what follows them is cut off. It makes the
	// file anew if size is 0.
	open(name string, size int64) (file, error)
	rename(from, to string) error
	sync() error // of the directory: names that were made or changed
}

// file is one file that is written to at its end.
type file interface {
	Write([]byte) (int, error)
	Sync() error
	Truncate(size int64) error // what is written next follows there
	Close() error
}

// directory is a directory of the system.
type directory struct{ path string }

var _ files = directory{}

// stateMode is that of what is written: objects may have secrets.
const stateMode = 0o600

func (d directory) read(name string) ([]byte, error) { return os.ReadFile(filepath.Join(d.path, name)) }

// open follows no link, and gives what it opens the mode that it would have made it with: whoever could write in
// the directory, or has restored it from a copy, does not say where secrets go and who reads them.
func (d directory) open(name string, size int64) (file, error) {
	path := filepath.Join(d.path, name)
	flags := os.O_WRONLY | os.O_APPEND | syscall.O_NOFOLLOW // at the end, so that Truncate moves it
	if size == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		flags |= os.O_CREATE | os.O_EXCL
	}
	f, err := os.OpenFile(path, flags, stateMode)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Chmod(stateMode), f.Truncate(size)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// othersWrite reports whether every user may write in the directory.
func (d directory) othersWrite() bool {
	info, err := os.Stat(d.path)
	return err == nil && info.Mode().Perm()&0o002 != 0
}

func (d directory) rename(from, to string) error {
	return os.Rename(filepath.Join(d.path, from), filepath.Join(d.path, to))
}

func (d directory) sync() error {
	f, err := os.Open(d.path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// readIfThere is what a file has, nil if there is none.
func readIfThere(d files, name string) ([]byte, error) {
	data, err := d.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}
