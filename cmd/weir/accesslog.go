package main

import (
	"time"

	"go.uber.org/zap"

	"weir/config"
	"weir/telemetry"
)

// lastLines is how long an access log that was replaced stays open, for lines that are being written.
const lastLines = time.Second

// openAccess opens the access log that is wanted: the one that is open, if nothing about it differs.
func (d *daemon) openAccess(wanted config.AccessLog) (*telemetry.AccessLog, error) {
	if wanted == d.options.store.Current().Config.Log.Access {
		return d.access.Load(), nil
	}
	return telemetry.OpenAccessLog(wanted, d.registry.AccessLogLost)
}

// dropAccess closes an access log that was opened in vain.
func (d *daemon) dropAccess(l *telemetry.AccessLog) error {
	if l == d.access.Load() {
		return nil
	}
	return l.Close()
}

// useAccess puts an access log in the place of the one that is open, which is closed a moment later.
func (d *daemon) useAccess(l *telemetry.AccessLog) {
	former := d.access.Swap(l)
	if former == l {
		return
	}
	d.plane.SetAccessLog(l)
	d.watching.Go(func() {
		timer := time.NewTimer(lastLines)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-d.background.Done():
		}
		if err := former.Close(); err != nil {
			d.log.Error("closing the access log of before", zap.Error(err))
		}
	})
}
