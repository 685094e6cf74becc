package main

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"weir/balancer"
	"weir/config"
)

// feedWatchdog tells the service manager twice in its time that the process lives, for as long as what it is
// there for moves. Else it says nothing, and is ended and started anew.
func (d *daemon) feedWatchdog(ctx context.Context) {
	n := d.options.notify
	s, ok := d.plane.(server)
	if n == nil || n.watchdog == 0 || !ok {
		return
	}
	pulse, round := s.Server().NewPulse(), n.watchdog/2
	tick := time.NewTicker(round)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		look, cancel := context.WithTimeout(ctx, round)
		err := pulse.Check(look)
		cancel()
		if err != nil && ctx.Err() == nil {
			d.log.Error("the watchdog is not fed", zap.Error(err))
			continue
		}
		if err := n.alive(d.summary()); err != nil {
			d.log.Warn("the watchdog is not fed", zap.Error(err))
		}
	}
}

// summary is how the process is, in a line.
func (d *daemon) summary() string {
	up, all := 0, 0
	for _, p := range d.plane.Pools() {
		for _, m := range p.Snapshot().Members() {
			if all++; m.Health == balancer.Up && m.State != config.Maintenance {
				up++
			}
		}
	}
	return fmt.Sprintf("%s, %d/%s up", plural(len(d.plane.Listeners()), "listener"), up, plural(all, "backend"))
}

// plural is a number of things.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// tellManager tells the service manager something. That it cannot is no reason not to serve.
func (d *daemon) tellManager(tell func(*notifier) error) {
	if err := tell(d.options.notify); err != nil {
		d.log.Warn("the service manager was not told", zap.Error(err))
	}
}
