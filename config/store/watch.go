package store

import (
	"context"
	"time"

	"weir/config"
)

// Watch looks at the files every round, while wanted says so, and calls reload when their content is
// another than at the last attempt to read them. A file that is being written is let come to rest: its
// content must be the same in two rounds. Watch returns when ctx ends; reload must call Reload.
func (s *Store) Watch(ctx context.Context, round time.Duration, wanted func() bool, reload func()) {
	tick := time.NewTicker(round)
	defer tick.Stop()
	var seen config.Trace // in the last round, if it was news
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !wanted() {
			continue
		}
		last, err := s.lastRead(ctx)
		if err != nil {
			return
		}
		now := last.Again()
		if now.Equal(last) || !now.Equal(seen) {
			seen = now
			continue
		}
		reload()
	}
}

// lastRead is what the last attempt to read the files has read.
func (s *Store) lastRead(ctx context.Context) (config.Trace, error) {
	if err := s.take(ctx); err != nil {
		return config.Trace{}, err
	}
	defer s.release()
	return s.read.Trace(), nil
}
