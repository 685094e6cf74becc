package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// stateFiles looks whether the state directory can hold what it is for. It makes nothing.
func (c *checker) stateFiles() {
	v := c.root.child("state_dir")
	dir := c.root.file("state_dir")
	if v.broken || dir == "" || !c.keepsKey() {
		return
	}
	path := filepath.Join(dir, sessionKeyName)
	_, err := ReadKey(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if where, err := roomFor(dir); err != nil {
			c.fail(v, fmt.Sprintf("%s: %s: no file can be made there: %v", v.path, where, err),
				fmt.Sprintf("create the directory %s and give it to the user that weir runs as", dir))
		}
		return
	case err != nil:
		c.fail(v, fmt.Sprintf("%s: %s: %v", v.path, path, err), KeyRemedy)
		return
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		c.warn(v, fmt.Sprintf("%s: %s can be read by others (mode %#o)", v.path, path, info.Mode().Perm()), "chmod 600 "+path)
	}
}

// KeyRemedy is what to do about a key file that cannot be used. It is never overwritten.
const KeyRemedy = "make it readable for weir, or restore it; moved away, a new one is made, which ends the sessions of the old one"

// keepsKey reports whether a pool needs a key from the state directory.
func (c *checker) keepsKey() bool {
	for _, p := range c.root.child("pools").items {
		if s := p.child("session_persistence"); s.fields != nil && c.ownCookie(p, s) && len(s.child("cookie").child("keys").items) == 0 {
			return true
		}
	}
	return false
}

// ownCookie reports whether the persistence s of pool p is a cookie of weir's own.
func (c *checker) ownCookie(p, s *value) bool {
	if s.has("type") {
		return s.child("type").raw == string(PersistHTTPCookie)
	}
	return persistenceTypes(Protocol(get[string](p, "protocol")))[0] == PersistHTTPCookie
}

// mayMake asks access(2) for writing and searching.
const mayMake = 2 | 1

// roomFor reports why no file can be made in dir, or in the nearest folder above it that exists, in which
// dir would be made.
func roomFor(dir string) (where string, err error) {
	for where = filepath.Clean(dir); ; where = filepath.Dir(where) {
		info, err := os.Stat(where)
		if errors.Is(err, fs.ErrNotExist) && filepath.Dir(where) != where {
			continue
		}
		if err != nil {
			return where, cause(err)
		}
		if !info.IsDir() {
			return where, errors.New("is not a directory")
		}
		return where, syscall.Access(where, mayMake)
	}
}
