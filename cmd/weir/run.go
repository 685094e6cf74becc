package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"weir/api"
	"weir/config"
	"weir/config/store"
)

func newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run -c FILE",
		Short: "Run the load balancer, in the foreground",
		Long: `Run the load balancer, in the foreground, with the configuration in FILE.

Signals: HUP reload; USR1 reopen the access log; TERM, QUIT, INT stop gracefully: not ready at once, then
pre_stop, then no new connections and up to grace for work in flight; a second one: stop now. USR2 puts the
program that is installed in the place of this process, as 'weir upgrade' does.

Under systemd it tells when it serves, reloads and stops, feeds the watchdog, and takes the sockets of a .socket
unit whose FileDescriptorName is that of a listener.`,
		Args: noArgs,
	}
	file := cmd.Flags().StringP("config", "c", defaultConfig, "configuration file")
	watch := cmd.Flags().Bool("watch", false, "reload when the content of the configuration changes, as with watch: true in it")
	takeOver := cmd.Flags().Bool("take-over", false, "take the place of the process that runs with the same admin socket, without a client noticing")
	cmd.RunE = verb(func(cmd *cobra.Command, _ []string) error {
		// Whoever reads a log at night should not have to know where the process was started, and a reload
		// must find the same paths.
		path, err := filepath.Abs(*file)
		if err != nil {
			return err
		}
		this := thisProgram()
		from, err := inherit(*takeOver, path)
		if err != nil {
			return err
		}
		wanted, err := from.open(cmd, store.Options{File: path, Load: []config.Option{config.CheckFiles()}})
		if err != nil {
			return from.refuse(err)
		}
		signals := make(chan os.Signal, 8)
		// Asked for before anything starts, so that no signal finds the default action.
		signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGINT)
		defer signal.Stop(signals)
		// A log whose reader ended must not end the balancer.
		signal.Ignore(syscall.SIGPIPE)
		d, err := startDaemon(cmd.Context(), daemonOptions{
			file: path, store: wanted, watch: *watch, stderr: cmd.ErrOrStderr(), newPlane: newPlane,
			program: this, inherited: from, notify: newNotifier(),
		})
		if err != nil {
			return from.refuse(errors.Join(err, wanted.Close()))
		}
		d.taken()
		d.tellManager(func(n *notifier) error { return n.ready(d.summary()) })
		return d.obey(cmd.Context(), signals)
	})
	return cmd
}

// obey acts on signals until one of them, or the end of ctx, ends the daemon.
func (d *daemon) obey(ctx context.Context, signals <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return d.end(signals)
		case <-d.replaced:
			return d.depart(signals, false)
		case s := <-signals:
			switch s {
			case syscall.SIGHUP:
				if d.isReplaced() {
					d.noReload(s)
					continue
				}
				// Reload has logged the outcome; a bad file must not end the process.
				_, _ = d.Reload(ctx)
			case syscall.SIGUSR1:
				d.Reopen()
			case syscall.SIGUSR2:
				// Upgrade logs the outcome. The other signals are obeyed meanwhile.
				d.watching.Go(func() { _, _ = d.Upgrade(ctx, api.DefaultUpgradeTime) })
			default:
				d.log.Info("stopping", append(d.inFlight(), zap.Stringer("signal", s))...)
				if d.endUpgrades() {
					return d.depart(signals, true)
				}
				return d.end(signals)
			}
		}
	}
}

// end stops gracefully; a further signal to stop ends the patience.
func (d *daemon) end(signals <-chan os.Signal) error {
	d.Drain()
	d.tellManager(func(n *notifier) error { return n.stopping("stopping: work in flight comes to its end") })
	process := d.options.store.Current().Config.Process
	ctx, cancel := context.WithTimeout(context.Background(), process.PreStop+process.Grace)
	defer cancel()
	stopped := make(chan error, 1)
	go d.endQuietly(ctx, process.PreStop, stopped)
	for {
		select {
		case err := <-stopped:
			return err
		case s := <-signals:
			if s == syscall.SIGTERM || s == syscall.SIGQUIT || s == syscall.SIGINT {
				d.log.Warn("stopping now", zap.Stringer("signal", s))
				cancel()
			}
		}
	}
}

// endQuietly waits preStop, so that whoever asks /readyz has noticed, and stops.
func (d *daemon) endQuietly(ctx context.Context, preStop time.Duration, stopped chan<- error) {
	timer := time.NewTimer(preStop)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	stopped <- d.Stop(ctx)
}
