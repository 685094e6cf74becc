package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"weir/config"
)

// step is the way from the current revision to another one.
type step struct {
	next   *Revision
	diff   Diff
	actor  string
	reread bool // files are read again
	must   bool // it must be kept in the state directory
	began  time.Time
}

// carryOut goes the steps that can fail and the one that cannot.
func (s *Store) carryOut(ctx context.Context, t step) (Result, error) {
	var prepared Prepared = nothing{}
	if s.plane != nil {
		var err error
		if prepared, err = s.plane.Prepare(ctx, t.next, t.reread); err != nil {
			return Result{}, &refused{err}
		}
	}
	old := s.Current()
	t.next.At = s.options.Now()
	remarks, err := s.keep(old, t)
	if err != nil {
		prepared.Abandon()
		return Result{}, err
	}
	effect := prepared.Commit()
	s.publish(t.next)
	_, dropped := retained(old.Overrides, t.next.Config)
	return Result{
		Revision: t.next, Diff: t.diff, Took: s.options.Now().Sub(t.began),
		Warnings: slices.Concat(warnings(t.next.Report), effect.Warnings, dropped, remarks),
		Summary:  fmt.Sprintf("%s, %s closed", t.diff.Summary(), plural(effect.Closed, "connection")),
	}, nil
}

// keep writes a step down. What a reload leaves out need not be: it would be left out at the next start too.
func (s *Store) keep(old *Revision, t step) (remarks []string, err error) {
	if s.keeper == nil || old.Objects.equal(t.next.Objects) && old.Overrides.equal(t.next.Overrides) {
		return nil, nil
	}
	err = s.keeper.keep(t.next, t.actor)
	switch {
	case err != nil && t.must:
		return nil, &unkept{err}
	case err != nil:
		return []string{"state_dir: " + err.Error()}, nil
	case s.keeper.wantsCompact():
		if err := s.keeper.compact(); err != nil {
			return []string{"state_dir: state.log grows: " + err.Error()}, nil
		}
	}
	return nil, nil
}

// nothing is what a plane that is not there prepares.
type nothing struct{}

func (nothing) Commit() Effect { return Effect{} }
func (nothing) Abandon()       {}

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
