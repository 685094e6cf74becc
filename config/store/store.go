package store

import (
	"context"
	"sync/atomic"
	"time"

	"weir/config"
)

// Plane carries revisions out. Its methods are called one after the other, and after a Prepare that
// succeeded comes one of the two methods of what it has returned before anything else.
type Plane interface {
	// Prepare does everything for r that can fail, and nothing that shows. With reread, files that r
	// names, like certificates, are read again; without, those that r names as before need not be.
	Prepare(ctx context.Context, r *Revision, reread bool) (Prepared, error)
}

// Prepared is a revision that can be put in force.
type Prepared interface {
	Commit() Effect // puts it in force; it cannot fail
	Abandon()       // gives it up
}

// Effect is what a commit did beyond what the difference says.
type Effect struct {
	Closed   int      // client connections that were brought to their end
	Warnings []string // what will only take effect later, and why; a line each
}

// Options is what a Store is made of.
type Options struct {
	File string          // the main file; absolute
	Load []config.Option // how it is read, like config.CheckFiles
	// Inherited is what Export has returned in a process that this one goes on for. With a state
	// directory that has something it has no effect: everything is there. See also Keep.
	Inherited []byte
	// Wait is how long another process may take to let go of the state directory.
	Wait time.Duration
	// Now is the clock; nil: time.Now.
	Now func() time.Time

	files func(path string) files // nil: those of the system
}

// Store keeps what is wanted. See the package documentation.
type Store struct {
	options Options
	current atomic.Pointer[Revision]
	turn    chan struct{} // has one place: who has taken it may change what follows
	plane   Plane         // nil: changes are checked and kept, and carried out by nobody
	keeper  *keeper       // nil: there is no state directory
	lock    *lock         // the same
	// suspended is the state directory while another process may have it.
	suspended string
	read      config.Report // of the last attempt to read the files
	closed    bool
	remarks   []string // of Open
}

// Carry makes p carry out the changes from now on. The current revision is in force in it already.
func (s *Store) Carry(p Plane) {
	s.turn <- struct{}{}
	defer s.release()
	s.plane = p
}

// Current is the revision in force. It never waits.
func (s *Store) Current() *Revision { return s.current.Load() }

// Warnings are those of the configuration in force, a line each.
func (s *Store) Warnings() []string { return warnings(s.Current().Report) }

// Close ends all changing, waits for the change under way, and lets another process have the state
// directory. Current goes on. Further calls do nothing.
func (s *Store) Close() error {
	s.turn <- struct{}{}
	defer s.release()
	s.closed = true
	return s.letGo()
}

// letGo closes the state directory.
func (s *Store) letGo() error {
	if s.keeper != nil {
		s.keeper.close()
	}
	l := s.lock
	s.lock = nil
	if l == nil {
		return nil
	}
	return l.release()
}

// take waits for the turn to change something.
func (s *Store) take(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.closed {
		s.release()
		return ErrStopping
	}
	return nil
}

func (s *Store) release() { <-s.turn }

// publish makes r the current revision.
func (s *Store) publish(r *Revision) {
	if r.At.IsZero() {
		r.At = s.options.Now()
	}
	s.current.Store(r)
}
