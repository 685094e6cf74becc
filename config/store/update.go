package store

import (
	"context"
	"fmt"
	"time"

	"weir/config"
)

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
	// Warnings are those of the configuration, what will only take effect later, and what has been dropped;
	// a line each.
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
	return s.carryOut(ctx, step{next: next, diff: diff, actor: c.Actor, must: true, began: began})
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
		next, report = old.Config.With(d.objects.objects()) // the plane looks at the files of what is new
	}
	if next == nil {
		return nil, nil, &InvalidError{report}
	}
	r := s.revise(next, report, d.objects, d.overrides)
	r.Number = old.Number + 1
	r.sign()
	return r, differences(old, r), nil
}

// revise makes the revision of a configuration. Overrides of pools that are not in it are left out.
func (s *Store) revise(c *config.Config, report config.Report, objects Document, overrides Overrides) *Revision {
	old := s.Current()
	kept, _ := retained(overrides, c)
	return &Revision{
		Number: old.Number, Generation: old.Generation + 1, Config: c.WithOverrides(kept.byPool()),
		Objects: objects, Overrides: kept, Report: report,
	}
}

// retained are the overrides of the pools of c, and remarks about the others.
func retained(overrides Overrides, c *config.Config) (kept Overrides, remarks []string) {
	kept = Overrides{}
	for _, l := range overrides.list() {
		if c.Pools[l.Pool] == nil {
			remarks = append(remarks, fmt.Sprintf("the override of %s (%s) is dropped: there is no pool %s any more", l.BackendRef, l.Override, l.Pool))
			continue
		}
		kept[l.BackendRef] = l.Override
	}
	return kept, remarks
}
