package store

import (
	"context"
	"time"

	"weir/config"
)

// settled is the part of a round for which the content of files must have stayed the same.
const settled = 4

// Watch looks at the files every round, while wanted says so, and calls reload when their content is
// another than at the last attempt to read them. A file that is being written is let come to rest: its
// content must be the same a quarter of a round later. Watch returns when ctx ends; reload must call Reload.
func (s *Store) Watch(ctx context.Context, round time.Duration, wanted func() bool, reload func()) {
	timer := time.NewTimer(round)
	defer timer.Stop()
	var seen config.Trace // in the last look, if it was news
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if !wanted() {
			timer.Reset(round)
			continue
		}
		last, err := s.lastRead(ctx)
		if err != nil {
			return
		}
		now := last.Again()
		news := !now.Equal(last)
		if news && !now.Equal(seen) {
			seen = now
			timer.Reset(round / settled)
			continue
		}
		if news {
			reload()
		}
		timer.Reset(round)
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
