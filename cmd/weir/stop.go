package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
)

// closingTime is how long the data plane takes at most to close connections that are idle.
const closingTime = 100 * time.Millisecond

// Stop ends everything: it stops accepting, waits for work in flight until ctx ends, and returns when
// every goroutine of the daemon has ended.
func (d *daemon) Stop(ctx context.Context) error {
	d.Drain()
	d.unwatch()
	// A change under way ends first; those that come later are refused, and need not wait for that.
	if err := d.options.store.Close(); err != nil {
		d.log.Error("closing the state directory", zap.Error(err))
	}
	d.watching.Wait()
	err := d.finish(ctx)
	// The admin server goes last, so that the drain can be watched.
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminGrace)
	defer cancel()
	if err := d.admin.Close(bounded); err != nil {
		d.log.Warn("answers of the admin server were cut", zap.Error(err))
	}
	err = errors.Join(err, d.closeLogs())
	d.log.Info("stopped", zap.Duration("uptime", time.Since(d.started)))
	return err
}

// finish shuts the data plane down. What is in flight when ctx ends is cut, which is as asked and so no
// error; it is counted and logged.
func (d *daemon) finish(ctx context.Context) error {
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	ended := make(chan error, 1)
	go func() { ended <- d.plane.Shutdown(work) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	// When ctx has ended early, idle connections are still being closed, which cuts nothing.
	timer := time.NewTimer(closingTime)
	defer timer.Stop()
	select {
	case err := <-ended:
		return err
	case <-timer.C:
	}
	left := d.inFlight()
	cut()
	err := <-ended
	if errors.Is(err, context.Canceled) {
		d.log.Warn("work in flight was cut", left...)
		return nil
	}
	return err
}

// inFlight says how many clients are connected, where, and how many of their requests are with a backend.
func (d *daemon) inFlight() []zap.Field {
	var requests int64
	for _, p := range d.plane.Pools() {
		for _, m := range p.Snapshot().Members() {
			requests += m.Backend.Active()
		}
	}
	where := zap.Skip()
	var listeners []string
	for _, l := range slices.Concat(d.plane.Listeners(), d.plane.Leaving()) {
		if l.Active > 0 {
			listeners = append(listeners, fmt.Sprintf("%s: %d", l.Name, l.Active))
		}
	}
	if listeners != nil {
		where = zap.Strings("listeners", listeners)
	}
	return []zap.Field{zap.Int("connections", d.plane.Connections()), zap.Int64("requests", requests), where}
}
