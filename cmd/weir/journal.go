package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"weir/api"
	"weir/config"
	"weir/telemetry"
)

const (
	// journalName is the file of the journal in the state directory.
	journalName = "journal.jsonl"
	// drainRound is how often it is looked whether a backend has drained.
	drainRound = time.Second
)

// openJournal opens the journal in the state directory. Without one, or if it cannot be written, events are
// held in memory alone: they are no reason not to serve.
func (d *daemon) openJournal(c *config.Config) error {
	o := telemetry.JournalOptions{Lost: d.registry.JournalLost}
	if c.StateDir != "" {
		o.File = filepath.Join(c.StateDir, journalName)
	}
	var err error
	if d.journal, err = telemetry.OpenJournal(o); err == nil {
		return nil
	}
	d.log.Warn("events are held in memory alone", zap.Error(err))
	o.File = ""
	d.journal, err = telemetry.OpenJournal(o)
	return err
}

// closeLogs closes the access log and the journal.
func (d *daemon) closeLogs() error {
	return errors.Join(d.access.Load().Close(), d.journal.Close())
}

// watchDrains tells when backends begin to drain and when they have no flows left.
func (d *daemon) watchDrains(ctx context.Context, w drainWatch) {
	tick := time.NewTicker(drainRound)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for _, e := range w.look(d.plane.Pools()) {
				d.journal.Add(e)
			}
		case <-ctx.Done():
			return
		}
	}
}

// drainWatch knows which backends drain, and whether they have drained.
type drainWatch struct{ drained map[drainKey]bool }

type drainKey struct{ pool, backend string }

// look compares with the last look, in the order of the pools. Sessions may come back to a backend that has
// drained; that is not told again.
func (w *drainWatch) look(pools []api.Pool) (events []telemetry.Event) {
	now := map[drainKey]bool{}
	for _, p := range pools {
		for _, m := range p.Snapshot().Members() {
			if m.State != config.Drain {
				continue
			}
			key, active := drainKey{p.Name(), m.Backend.Name()}, m.Backend.Active()
			tell := func(kind, message string) {
				events = append(events, telemetry.Event{Kind: kind, Pool: key.pool, Backend: key.backend,
					Message: key.pool + "/" + key.backend + " " + message})
			}
			drained, known := w.drained[key]
			if !known {
				tell(telemetry.EventDrainBegun, fmt.Sprintf("drains, flows that are left: %d", active))
			}
			if active == 0 && !drained {
				tell(telemetry.EventDrainEnded, "has drained: no flow is left")
				drained = true
			}
			now[key] = drained
		}
	}
	w.drained = now
	return events
}
