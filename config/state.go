package config

import (
	"errors"
	"path/filepath"
	"strings"
)

// sessionKeyName is the file in state_dir with the key of session cookies.
const sessionKeyName = "session.key"

// SessionKeyFile is the file with the key of the cookies of pools that have no keys of their own; empty
// if there is no such pool, or no directory for it.
func (c *Config) SessionKeyFile() string {
	for _, p := range c.Pools {
		if s := p.Persistence; c.StateDir != "" && s != nil && s.Type == PersistHTTPCookie && len(s.Cookie.Keys) == 0 {
			return filepath.Join(c.StateDir, sessionKeyName)
		}
	}
	return ""
}

// ReadKey reads a key from a file of its own, in one of the forms that cookie.keys has. The error does not
// repeat the path, and shows nothing of the content; it is fs.ErrNotExist if there is no file.
func ReadKey(path string) ([]byte, error) {
	if err := wantRegular(path); err != nil {
		return nil, err
	}
	data, err := readLimited(path, maxSecretBytes)
	if err != nil {
		return nil, err
	}
	raw, problem := parseKey(strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil)
	if problem != nil {
		return nil, errors.New(problem.text)
	}
	return raw.([]byte), nil
}
