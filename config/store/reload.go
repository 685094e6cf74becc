package store

import (
	"context"
	"errors"

	"weir/config"
)

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
	return s.carryOut(ctx, step{next: next, diff: diff, actor: "reload", reread: true, began: began})
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
	r.sign()
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
// through the API. Paths in it are relative to the directory of the file in force. Whoever sends it may not read
// what this process may: it includes files that are in force, and messages show no variables. It changes nothing.
func (s *Store) Validate(text []byte) config.Report {
	now := s.Current()
	_, report := config.LoadBytes(s.options.File, text, append([]config.Option{config.Objects(now.Objects.objects()), config.Foreign(now.Config.Files)}, s.options.Load...)...)
	return report
}
