package certs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxFileBytes bounds every file that is read. Bundles of all public authorities have 256 KiB.
const maxFileBytes = 1 << 20

// readFile reads a regular file. The error names the kind of file, its path and what to do.
func readFile(kind, path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fileError(kind, path, err)
	}
	if !info.Mode().IsRegular() { // a pipe would block
		return nil, fmt.Errorf("%s %s: not a regular file: name a file in PEM or DER form", kind, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(kind, path, err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fileError(kind, path, err)
	}
	if len(content) > maxFileBytes {
		return nil, fmt.Errorf("%s %s: larger than %d bytes: is it the right file?", kind, path, maxFileBytes)
	}
	return content, nil
}

func fileError(kind, path string, err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err // the path is in our message
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s %s: %w: create it or correct the path", kind, path, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s %s: %w: let the user that weir runs as read it", kind, path, err)
	}
	return fmt.Errorf("%s %s: %w", kind, path, err)
}
