package store

import (
	"context"
	"errors"
	"fmt"
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
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Store keeps what is wanted. See the package documentation.
type Store struct {
	options Options
	current atomic.Pointer[Revision]
	turn    chan struct{} // has one place: who has taken it may change what follows
	plane   Plane         // nil: changes are checked and kept, and carried out by nobody
	read    config.Report // of the last attempt to read the files
	closed  bool
}

// Open reads the files and what is kept in their state directory. The result is not in force: the
// caller makes a data plane of Current().Config and gives it to Carry. An *InvalidError says what is
// wrong with the configuration.
func Open(o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{options: o, turn: make(chan struct{}, 1)}
	c, report := config.Load(o.File, o.Load...)
	s.read = report
	if c == nil {
		return nil, &InvalidError{report}
	}
	r := &Revision{Number: 1, Generation: 1, Config: c.WithOverrides(nil), Report: report, Overrides: Overrides{}}
	s.publish(r)
	return s, nil
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
	return nil
}

// Change is a change of what is wanted.
type Change struct {
	// IfMatch is the Tag of the revision that Current must be; else ErrPrecondition. Empty: any.
	IfMatch string
	// Actor is who wants it, for the log.
	Actor string
	// Edit edits the draft. Its error ends the change, and is returned as it is. It must not call the
	// Store.
	Edit func(*Draft) error
}

// Result is what a change or a reload has led to.
type Result struct {
	Revision *Revision // in force now; of a DryRun, the one that would be
	Diff     Diff
	Summary  string // one line: "1 backend added, 1 weight changed, 0 connections closed"
	// Warnings are those of the configuration, and what will only take effect later; a line each.
	Warnings []string
	Took     time.Duration
}

// Update carries out a change. A change that changes nothing makes no revision.
func (s *Store) Update(ctx context.Context, c Change) (Result, error) {
	began := s.options.Now()
	if err := s.take(ctx); err != nil {
		return Result{}, err
	}
	defer s.release()
	next, diff, err := s.edit(c)
	if err != nil {
		return Result{}, err
	}
	old := s.Current()
	if next == old {
		return Result{Revision: old, Summary: diff.Summary(), Took: s.options.Now().Sub(began)}, nil
	}
	return s.carryOut(ctx, next, diff, false, began)
}

// DryRun checks a change and tells what it would do. Nothing is prepared: an address that somebody else
// has, or a certificate that cannot be read, is not noticed.
func (s *Store) DryRun(ctx context.Context, c Change) (Result, error) {
	began := s.options.Now()
	if err := s.take(ctx); err != nil {
		return Result{}, err
	}
	defer s.release()
	next, diff, err := s.edit(c)
	if err != nil {
		return Result{}, err
	}
	return Result{Revision: next, Diff: diff, Summary: diff.Summary(), Warnings: warnings(next.Report), Took: s.options.Now().Sub(began)}, nil
}

// edit makes the revision that a change leads to: the current one, if it changes nothing.
func (s *Store) edit(c Change) (*Revision, Diff, error) {
	old := s.Current()
	if c.IfMatch != "" && c.IfMatch != old.Tag() {
		return nil, nil, fmt.Errorf("the configuration %w: revision %s is in force", ErrPrecondition, old.Tag())
	}
	d := newDraft(old)
	if err := c.Edit(d); err != nil {
		return nil, nil, err
	}
	if d.objects.equal(old.Objects) && d.overrides.equal(old.Overrides) {
		return old, nil, nil
	}
	next, report := old.Config, old.Report
	if !d.objects.equal(old.Objects) {
		next, report = old.Config.With(d.objects.objects(), s.options.Load...)
	}
	if next == nil {
		return nil, nil, &InvalidError{report}
	}
	r := s.revise(next, report, d.objects, d.overrides)
	r.Number = old.Number + 1
	return r, differences(old, r), nil
}

// revise makes the revision of a configuration. Overrides of pools that are not in it are left out.
func (s *Store) revise(c *config.Config, report config.Report, objects Document, overrides Overrides) *Revision {
	kept := Overrides{}
	for ref, o := range overrides {
		if c.Pools[ref.Pool] != nil {
			kept[ref] = o
		}
	}
	old := s.Current()
	return &Revision{
		Number: old.Number, Generation: old.Generation + 1, Config: c.WithOverrides(kept.byPool()),
		Objects: objects, Overrides: kept, Report: report,
	}
}

// carryOut goes the steps that can fail and the one that cannot.
func (s *Store) carryOut(ctx context.Context, next *Revision, diff Diff, reread bool, began time.Time) (Result, error) {
	var prepared Prepared = nothing{}
	if s.plane != nil {
		var err error
		if prepared, err = s.plane.Prepare(ctx, next, reread); err != nil {
			return Result{}, &refused{err}
		}
	}
	effect := prepared.Commit()
	s.publish(next)
	done := Result{
		Revision: next, Diff: diff, Took: s.options.Now().Sub(began),
		Warnings: append(warnings(next.Report), effect.Warnings...),
		Summary:  fmt.Sprintf("%s, %s closed", diff.Summary(), plural(effect.Closed, "connection")),
	}
	return done, nil
}

// nothing is what a plane that is not there prepares.
type nothing struct{}

func (nothing) Commit() Effect { return Effect{} }
func (nothing) Abandon()       {}

// Reload reads the files again and puts them in force. On an error nothing has changed.
func (s *Store) Reload(ctx context.Context) (Result, error) {
	began := s.options.Now()
	if err := s.take(ctx); err != nil {
		return Result{}, err
	}
	defer s.release()
	next, diff, err := s.reread()
	if err != nil {
		return Result{}, err
	}
	return s.carryOut(ctx, next, diff, true, began)
}

// reread makes the revision that the files lead to.
func (s *Store) reread() (*Revision, Diff, error) {
	old := s.Current()
	c, report := config.Load(s.options.File, append([]config.Option{config.Objects(old.Objects.objects())}, s.options.Load...)...)
	s.read = report
	if c == nil {
		return nil, nil, &InvalidError{report}
	}
	r := s.revise(c, report, old.Objects, old.Overrides)
	if c.Digest != old.Config.Digest || !r.Overrides.equal(old.Overrides) {
		r.Number++
	}
	return r, differences(old, r), nil
}

// Diff reads the files and tells what a reload would change. The report has the warnings; an
// *InvalidError says why a reload would be refused.
func (s *Store) Diff(ctx context.Context) (Diff, config.Report, error) {
	if err := s.take(ctx); err != nil {
		return nil, config.Report{}, err
	}
	defer s.release()
	before := s.read
	next, diff, err := s.reread()
	s.read = before // it was no attempt
	if invalid, ok := errors.AsType[*InvalidError](err); ok {
		return nil, invalid.Report, err
	}
	return diff, next.Report, nil
}

// Validate checks a configuration, the text of a main file, together with the objects that were made
// through the API. Paths in it are relative to the directory of the file in force. It changes nothing.
func (s *Store) Validate(text []byte) config.Report {
	_, report := config.LoadBytes(s.options.File, text, append([]config.Option{config.Objects(s.Current().Objects.objects())}, s.options.Load...)...)
	return report
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
	r.At = s.options.Now()
	r.sign()
	s.current.Store(r)
}

// warnings lists the warnings of a report, a line each.
func warnings(r config.Report) (lines []string) {
	for _, d := range r.Diagnostics {
		if d.Severity == config.Warning {
			lines = append(lines, d.Sentence())
		}
	}
	return lines
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
