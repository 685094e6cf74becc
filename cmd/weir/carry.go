package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"weir/config/store"
	"weir/telemetry"
)

// errStopping refuses changes at the end.
var errStopping = errors.New("the process is stopping")

var _ store.Plane = (*daemon)(nil)

// Prepare makes the data plane ready for a revision, and everything else that can fail. Nothing else changes
// the data plane until it is committed or abandoned.
func (d *daemon) Prepare(_ context.Context, r *store.Revision, reread bool) (store.Prepared, error) {
	d.applying.Lock()
	if d.draining.Load() {
		d.applying.Unlock()
		return nil, errStopping
	}
	access, err := d.openAccess(r.Config.Log.Access)
	if err != nil {
		d.applying.Unlock()
		return nil, fmt.Errorf("log.access: %w", err)
	}
	p, err := d.plane.Prepare(r.Config, reread)
	if err != nil {
		err = errors.Join(explainBind(err), d.dropAccess(access))
		d.applying.Unlock()
		return nil, err
	}
	return &preparedRevision{d, p, access, r}, nil
}

// preparedRevision is a revision that only has to be put in force.
type preparedRevision struct {
	daemon   *daemon
	plane    preparedPlane
	access   *telemetry.AccessLog
	revision *store.Revision
}

// Commit puts it in force.
func (p *preparedRevision) Commit() store.Effect {
	d := p.daemon
	defer d.applying.Unlock()
	closed := p.plane.Commit()
	d.logging.Set(p.revision.Config.Log)
	d.useAccess(p.access)
	d.registry.Revised(p.revision.Generation)
	return store.Effect{Closed: closed, Warnings: d.fixed.differences(p.revision.Config)}
}

// Abandon gives it up.
func (p *preparedRevision) Abandon() {
	p.plane.Abandon()
	if err := p.daemon.dropAccess(p.access); err != nil {
		p.daemon.log.Error("closing an access log that is not used", zap.Error(err))
	}
	p.daemon.applying.Unlock()
}

// Reload reads the files again and puts them in force. On an error nothing has changed.
func (d *daemon) Reload(ctx context.Context) (store.Result, error) {
	d.tellManager((*notifier).reloading)
	defer d.tellManager(func(n *notifier) error { return n.ready(d.summary()) })
	done, err := d.options.store.Reload(ctx)
	d.journalReload(done, err)
	if err != nil {
		d.registry.Reload(false, time.Now(), 0, "")
		d.log.Error("reload refused, the running configuration is unchanged",
			zap.Uint64("generation", d.options.store.Current().Generation), zap.Error(err))
		return store.Result{}, err
	}
	d.published(done.Revision)
	d.log.Info("reloaded", zap.Uint64("generation", done.Revision.Generation), zap.Uint64("revision", done.Revision.Number),
		zap.String("sha256", done.Revision.Config.Digest), zap.String("changes", done.Summary),
		zap.Duration("took", done.Took), zap.Strings("warnings", done.Warnings))
	return done, nil
}

// watchRound is how often the files are read to see whether they have changed. Notices of the kernel miss
// the swaps of links with which a ConfigMap changes.
const watchRound = 2 * time.Second

// startWatching reloads when a file changes, while that is wanted, and tells how drains go.
func (d *daemon) startWatching() {
	d.watching.Go(func() { d.watch(d.background) })
	w := drainWatch{}
	w.look(d.plane.Pools()) // what drains from the start is no news
	d.watching.Go(func() { d.watchDrains(d.background, w) })
	d.watching.Go(func() { d.feedWatchdog(d.background) })
}

func (d *daemon) watch(ctx context.Context) {
	wanted := func() bool { return d.options.watch || d.options.store.Current().Config.Watch }
	// Reload has logged the outcome.
	d.options.store.Watch(ctx, watchRound, wanted, func() { _, _ = d.Reload(ctx) })
}
