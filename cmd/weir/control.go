package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"weir/api"
	"weir/config"
	"weir/config/store"
	"weir/telemetry"
)

// control is how the admin server changes what is wanted: through the store, and what comes of it is told
// to log, metrics and journal.
type control struct {
	*store.Store
	daemon *daemon
}

var _ api.Control = control{}

// Reload is the daemon's.
func (c control) Reload(ctx context.Context) (store.Result, error) { return c.daemon.Reload(ctx) }

// Update carries out a change.
func (c control) Update(ctx context.Context, change store.Change) (store.Result, error) {
	before := c.Current()
	done, err := c.Store.Update(ctx, change)
	d := c.daemon
	switch {
	case err != nil:
		// Whoever asked is told; most of it is theirs to correct.
		d.log.Info("change refused, nothing has changed", zap.String("actor", change.Actor), zap.Error(err))
	case done.Revision == before || len(done.Diff) == 0:
	default:
		d.log.Info("changed", zap.String("actor", change.Actor), zap.Uint64("revision", done.Revision.Number),
			zap.Uint64("generation", done.Revision.Generation), zap.String("changes", done.Summary),
			zap.Duration("took", done.Took), zap.Strings("warnings", done.Warnings))
		d.journalChange(change.Actor, done)
	}
	return done, err
}

// journalChange tells of a change through the API: of overrides for each backend, of all else in one event.
func (d *daemon) journalChange(actor string, done store.Result) {
	fields := map[string]string{"actor": actor, "revision": strconv.FormatUint(done.Revision.Number, 10)}
	objects := 0
	for _, c := range done.Diff {
		if c.Kind != store.KindOverride {
			objects++
			continue
		}
		pool, backend, _ := strings.Cut(c.Name, "/")
		e := telemetry.Event{Kind: telemetry.EventOverride, Pool: pool, Backend: backend, Fields: fields}
		if c.Action == config.Removed {
			e.Kind, e.Message = telemetry.EventOverrideCleared, c.Name+" is as configured again"
		} else {
			e.Message = c.Name + " has an override: " + done.Revision.Overrides[store.BackendRef{Pool: pool, Backend: backend}].String()
		}
		d.journal.Add(e)
	}
	if objects > 0 {
		d.journal.Add(telemetry.Event{Kind: telemetry.EventRevision, Message: done.Summary, Fields: fields})
	}
	d.journalListeners(done.Diff)
}

// journalListeners tells of listeners that have come or gone.
func (d *daemon) journalListeners(diff store.Diff) {
	for _, c := range diff {
		switch {
		case c.Kind != config.KindListener:
		case c.Action == config.Added:
			d.journal.Add(telemetry.Event{Kind: telemetry.EventListenerUp, Listener: c.Name, Message: c.Name + " takes clients"})
		case c.Action == config.Removed:
			d.journal.Add(telemetry.Event{Kind: telemetry.EventListenerDown, Listener: c.Name, Message: c.Name + " takes no new clients"})
		}
	}
}

// journalReload tells of a reload.
func (d *daemon) journalReload(done store.Result, err error) {
	if err != nil {
		d.journal.Add(telemetry.Event{Kind: telemetry.EventReloadFailed,
			Message: "reload refused: " + strings.ReplaceAll(err.Error(), "\n", "; ")})
		return
	}
	d.journal.Add(telemetry.Event{Kind: telemetry.EventReload, Message: done.Summary, Fields: map[string]string{
		"revision":   strconv.FormatUint(done.Revision.Number, 10),
		"generation": strconv.FormatUint(done.Revision.Generation, 10),
		"sha256":     done.Revision.Config.Digest,
		"took":       done.Took.Round(time.Microsecond).String(),
	}})
	d.journalListeners(done.Diff)
}
