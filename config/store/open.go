package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"weir/config"
)

// Open reads the files and what is kept in their state directory, which is this process's until Close. The
// result is not in force: the caller makes a data plane of Current().Config and gives it to Carry. An
// *InvalidError says what is wrong with the configuration.
func Open(o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.files == nil {
		o.files = func(path string) files { return directory{path} }
	}
	s := &Store{options: o, turn: make(chan struct{}, 1)}
	c, report := config.Load(o.File, o.Load...)
	s.read = report
	if c == nil {
		return nil, &InvalidError{report}
	}
	kept, err := s.recall(c.StateDir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("state_dir: %w", err), s.letGo())
	}
	if err := s.begin(c, report, kept); err != nil {
		return nil, errors.Join(err, s.letGo())
	}
	return s, nil
}

// recall returns what is kept, in the directory or by the process before.
func (s *Store) recall(dir string) (image, error) {
	if dir == "" {
		if s.options.Inherited == nil {
			return image{}, nil
		}
		return parseImage(s.options.Inherited)
	}
	var err error
	if s.lock, err = lockDirectory(dir, s.options.Wait); err != nil {
		return image{}, err
	}
	if s.keeper, err = newKeeper(s.options.files(dir)); err != nil {
		return image{}, err
	}
	if s.options.Inherited == nil || s.keeper.image.Number > 0 {
		return s.keeper.image, nil
	}
	return parseImage(s.options.Inherited) // the directory is a new one
}

// Keep writes what a process before this one wanted to a state directory that has nothing yet, once this
// one serves in its place. After an error, the next change does it.
func (s *Store) Keep(ctx context.Context) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.release()
	r := s.Current()
	if s.keeper == nil || s.keeper.image.Number > 0 || len(r.Objects.objects()) == 0 && len(r.Overrides) == 0 {
		return nil
	}
	if err := s.keeper.keep(r, ""); err != nil {
		return fmt.Errorf("state_dir: %w", err)
	}
	return nil
}

// begin makes the first revision.
func (s *Store) begin(c *config.Config, report config.Report, kept image) error {
	objects := kept.document()
	if list := objects.objects(); len(list) > 0 {
		if c, report = c.With(list, s.options.Load...); c == nil {
			return &InvalidError{report}
		}
	}
	r := &Revision{Number: max(kept.Number, 1), Generation: 1, Objects: objects, Report: report}
	r.Overrides, s.remarks = retained(kept.overrides(), c)
	r.Config = c.WithOverrides(r.Overrides.byPool())
	if kept.Number > 0 && kept.Digest != c.Digest {
		r.Number++ // the files have changed in between
	}
	if s.keeper != nil && s.keeper.remark != "" {
		s.remarks = append(s.remarks, "state_dir: "+s.keeper.remark)
	}
	if s.keeper != nil && (directory{c.StateDir}).othersWrite() {
		s.remarks = append(s.remarks, fmt.Sprintf("state_dir: every user may write in %s, and so decide what is loaded at the next start; chmod o-w it", c.StateDir))
	}
	r.sign()
	s.publish(r)
	return nil
}

// Remarks is what Open has found that somebody should know, a line each.
func (s *Store) Remarks() []string { return s.remarks }

// Export is what outlives the process, for a process that goes on for this one (Options.Inherited).
func (s *Store) Export() ([]byte, error) { return json.Marshal(imageOf(s.Current(), 0)) }
