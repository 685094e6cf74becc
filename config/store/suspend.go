package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// resumeWait is how long a process that was to take over may take to let go of the state directory.
const resumeWait = 5 * time.Second

// Suspend waits for the change under way, and lets another process have the state directory, which is to go
// on for this one. Changes wait until Resume or Leave.
func (s *Store) Suspend(ctx context.Context) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	if s.keeper != nil {
		s.keeper.close()
	}
	if l := s.lock; l != nil {
		s.lock, s.suspended = nil, l.directory.Name()
		if err := l.release(); err != nil {
			return errors.Join(err, s.Resume())
		}
	}
	return nil
}

// Resume undoes Suspend: the other process has not come into service, and has ended. If the state directory
// cannot be had again, changes are refused from then on.
func (s *Store) Resume() error {
	defer s.release()
	if s.suspended == "" {
		return nil
	}
	var err error
	if s.lock, err = lockDirectory(s.suspended, resumeWait); err == nil {
		s.keeper, err = newKeeper(s.options.files(s.suspended))
	}
	s.suspended = ""
	if err != nil {
		s.closed = true
		return fmt.Errorf("state_dir: %w; changes are refused until the process is started again", err)
	}
	return nil
}

// Leave is Close after Suspend: the other process goes on.
func (s *Store) Leave() {
	s.closed, s.keeper = true, nil
	s.release()
}
