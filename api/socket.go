package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	socketMode    = 0o660
	directoryMode = 0o750
	// maxSocketPath is what sun_path holds on Linux, without its closing zero (unix(7)).
	maxSocketPath = 107
	// staleTimeout bounds the question whether somebody answers on an existing socket.
	staleTimeout = time.Second
	// lockTimeout bounds the wait for another process that claims a socket in the same directory.
	lockTimeout = 5 * time.Second
	lockPause   = 10 * time.Millisecond
)

// socket is a bound unix socket that removes its file at close, unless the file is another's by then.
type socket struct {
	*net.UnixListener
	path string
	own  fs.FileInfo // nil: the file is another process's
}

// listenSocket binds path with mode 0660, makes its directory if that is missing, and replaces a socket
// that a dead process left behind.
func listenSocket(path string) (*socket, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("admin.socket %s has %d bytes, the system allows %d: choose a shorter path", path, len(path), maxSocketPath)
	}
	if err := os.MkdirAll(filepath.Dir(path), directoryMode); err != nil {
		return nil, fmt.Errorf("admin.socket: %w", err)
	}
	// Of two processes that find a socket of a dead one, the second would remove what the first has just
	// bound; with the directory locked it finds somebody listening.
	locked, err := lockDirectory(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("admin.socket: %w", err)
	}
	defer locked.Close() // read only: nothing can be lost
	return replaceSocket(path)
}

// replaceSocket binds path in the place of what a dead process left behind.
func replaceSocket(path string) (*socket, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	// Linux gives the file the mode that the descriptor has at bind, less the umask, so there is no moment
	// at which others may connect. The chmod below gives back what the umask took.
	restrict := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if controlErr := c.Control(func(fd uintptr) { err = syscall.Fchmod(int(fd), socketMode) }); controlErr != nil {
			return controlErr
		}
		return err
	}}
	l, err := restrict.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("admin.socket: %w", err)
	}
	s := &socket{UnixListener: l.(*net.UnixListener), path: path}
	// By path, it could remove the socket of a process that has taken the place.
	s.SetUnlinkOnClose(false)
	if err := s.claim(); err != nil {
		return nil, errors.Join(fmt.Errorf("admin.socket: %w", err), l.Close(), os.Remove(path))
	}
	return s, nil
}

// lockDirectory waits until this process alone claims sockets in a directory. Closing
// the file gives the lock back.
func lockDirectory(path string) (*os.File, error) {
	directory, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(lockTimeout); ; time.Sleep(lockPause) {
		err = syscall.Flock(int(directory.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return directory, nil
		case errors.Is(err, syscall.EINTR):
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), directory.Close())
		case time.Now().After(deadline):
			return nil, errors.Join(fmt.Errorf("another process has locked %s for longer than %s: choose another directory", path, lockTimeout), directory.Close())
		}
	}
}

// claim sets the mode and remembers the file.
func (s *socket) claim() (err error) {
	if err = os.Chmod(s.path, socketMode); err != nil {
		return err
	}
	if s.own, err = os.Lstat(s.path); err != nil {
		return err
	}
	return checkMode(s.path, s.own.Mode())
}

// checkMode wants the mode to be what it was set to. Some file systems have none of their own, and the mode
// is all that keeps others out.
func checkMode(path string, mode fs.FileMode) error {
	if got := mode.Perm(); got != socketMode {
		return fmt.Errorf("%s has mode %04o, not %04o, whatever it is set to: choose a path on another file system", path, got, socketMode)
	}
	return nil
}

// Close stops listening and removes the file.
func (s *socket) Close() error {
	err := s.UnixListener.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	if found, statErr := os.Lstat(s.path); statErr == nil && s.own != nil && os.SameFile(found, s.own) {
		err = errors.Join(err, os.Remove(s.path))
	}
	return err
}

// removeStale removes a socket on which nobody answers. Anything else at path is left alone and is an error.
func removeStale(path string) error {
	found, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("admin.socket: %w", err)
	}
	if found.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("admin.socket %s exists and is not a socket: remove it or choose another path", path)
	}
	c, err := net.DialTimeout("unix", path, staleTimeout)
	if err == nil {
		return errors.Join(
			fmt.Errorf("admin.socket %s is in use by a running process: stop it or choose another path", path),
			c.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("admin.socket %s exists, and it is not certain that nobody uses it: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("admin.socket: remove what a dead process left: %w", err)
	}
	return nil
}
