package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lock is the right of one process to a state directory. It ends with the process, however that ends.
type lock struct{ directory *os.File }

// lockRound is how often a process that waits for the lock looks.
const lockRound = 20 * time.Millisecond

// lockDirectory takes the lock of a directory, which is made if it is not there, and waits for it if another
// process has it.
func lockDirectory(path string, wait time.Duration) (*lock, error) {
	if err := os.MkdirAll(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%w; create it and give it to the user that weir runs as", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(wait)
	for {
		// The directory itself is locked: that takes no room, and no right to write.
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return &lock{f}, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || !time.Now().Before(deadline) {
			if errors.Is(err, syscall.EWOULDBLOCK) {
				err = fmt.Errorf("another process of weir uses %s; stop it, or give this one a state_dir of its own", filepath.Clean(path))
			}
			return nil, errors.Join(err, f.Close())
		}
		time.Sleep(lockRound)
	}
}

// release lets another process have it.
func (l *lock) release() error { return l.directory.Close() }
