package main

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// depart ends a process in whose place another one serves: its connections come to their end, or are cut
// when they are no longer to be waited for. A signal to stop bounds that by grace, a second one ends it;
// stopping says that the first has come.
func (d *daemon) depart(signals <-chan os.Signal, stopping bool) error {
	d.draining.Store(true)
	ctx, cut := context.WithCancel(context.Background())
	defer cut()
	left := make(chan error, 1)
	grace := d.options.store.Current().Config.Process.Grace
	go func() { left <- d.leave(ctx, grace) }()
	var patience <-chan time.Time
	hurry := func() {
		stopping, patience = true, time.After(grace)
		d.plane.(server).Server().EndIdle()
	}
	if stopping {
		hurry()
	}
	for {
		select {
		case err := <-left:
			return err
		case <-patience:
			d.log.Warn("work in flight was cut", d.inFlight()...)
			cut()
		case s := <-signals:
			switch {
			case s == syscall.SIGUSR1:
				d.Reopen()
			case s == syscall.SIGHUP || s == syscall.SIGUSR2:
				d.noReload(s)
			case stopping:
				d.log.Warn("stopping now: work in flight was cut", append(d.inFlight(), zap.Stringer("signal", s))...)
				cut()
			default:
				d.log.Info("stopping", append(d.inFlight(), zap.Stringer("signal", s))...)
				hurry()
			}
		}
	}
}

// isReplaced reports whether another process serves.
func (d *daemon) isReplaced() bool {
	select {
	case <-d.replaced:
		return true
	default:
		return false
	}
}

// noReload says why a signal is not obeyed.
func (d *daemon) noReload(s os.Signal) {
	d.log.Warn("another process serves: this one only drains", zap.Stringer("signal", s))
}

// leave waits for the connections that are left, until ctx ends, and ends everything.
func (d *daemon) leave(ctx context.Context, grace time.Duration) error {
	d.unwatch()
	d.watching.Wait()
	err := d.plane.(server).Server().Leave(ctx, grace)
	if errors.Is(err, context.Canceled) {
		err = nil // as asked, and logged
	}
	bounded, cancel := context.WithTimeout(context.Background(), adminGrace)
	defer cancel()
	if err := d.admin.Close(bounded); err != nil {
		d.log.Warn("answers of the admin server were cut", zap.Error(err))
	}
	err = errors.Join(err, d.closeLogs())
	d.log.Info("stopped, another process serves", zap.Duration("uptime", time.Since(d.started)))
	return err
}
