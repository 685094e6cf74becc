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
func (d *daemon) watchDrains(ctx context.Context) {
	tick := time.NewTicker(drainRound)
	defer tick.Stop()
	w := drainWatch{known: drains(d.plane.Pools())}
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

// drainWatch knows which backends drain.
type drainWatch struct {
	known map[drainKey]drainState
}

type drainKey struct{ pool, backend string }

// drainState is a backend that drains, and how many flows it had when it was looked at last.
type drainState struct{ active int64 }

// drains are the backends that drain at this moment.
func drains(pools []api.Pool) map[drainKey]drainState {
	found := map[drainKey]drainState{}
	for _, p := range pools {
		for _, m := range p.Snapshot().Members() {
			if m.State == config.Drain {
				found[drainKey{p.Name(), m.Backend.Name()}] = drainState{m.Backend.Active()}
			}
		}
	}
	return found
}

// look compares with the last look, in the order of the pools.
func (w *drainWatch) look(pools []api.Pool) (events []telemetry.Event) {
	now := drains(pools)
	for _, p := range pools {
		for _, m := range p.Snapshot().Members() {
			key := drainKey{p.Name(), m.Backend.Name()}
			state, draining := now[key]
			if !draining {
				continue
			}
			before, known := w.known[key]
			name := key.pool + "/" + key.backend
			if !known {
				events = append(events, telemetry.Event{Kind: telemetry.EventDrainBegun, Pool: key.pool, Backend: key.backend,
					Message: fmt.Sprintf("%s drains: %d flows are left", name, state.active)})
			}
			if state.active == 0 && (!known || before.active > 0) {
				events = append(events, telemetry.Event{Kind: telemetry.EventDrainEnded, Pool: key.pool, Backend: key.backend,
					Message: name + " has drained: no flow is left"})
			}
		}
	}
	w.known = now
	return events
}
