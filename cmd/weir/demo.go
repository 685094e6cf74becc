package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"weir/bench"
	"weir/config/store"
)

const (
	demoListen = "127.0.0.1:8080"
	demoAdmin  = "127.0.0.1:9091"
	// demoTick is the time between two lines about the traffic.
	demoTick = 5 * time.Second
	// demoConnections is how many clients the traffic has.
	demoConnections = 16
)

func newDemo() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run weir with three backends and traffic, all in this process",
		Long: `Run weir with three HTTP backends and traffic, all in this process, until interrupted: one backend
is fast, one is slow, one fails its health check for 8 of every 20 seconds. The configuration is written
to a temporary directory, which is removed at the end.`,
		Args: noArgs,
	}
	duration := cmd.Flags().Duration("duration", 0, "stop after this time (0: when interrupted)")
	rate := cmd.Flags().Float64("rate", 200, "requests per second (0: no traffic)")
	listen := cmd.Flags().String("listen", "", "address to serve (default "+demoListen+", or a free port)")
	admin := cmd.Flags().String("admin", "", "address of metrics and status (default "+demoAdmin+", or a free port)")
	cmd.RunE = verb(func(cmd *cobra.Command, _ []string) error {
		if *rate < 0 {
			return usage("--rate %g: a rate is 0 or more", *rate)
		}
		if *duration < 0 {
			return usage("--duration %s: a time is 0 or more", *duration)
		}
		if err := checkDemoAddresses(*listen, *admin); err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
		defer stop()
		if *duration > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, *duration)
			defer cancel()
		}
		// When its reader ends ("weir demo | head"), the demo ends as when it is interrupted, and cleans up.
		signal.Ignore(syscall.SIGPIPE)
		defer signal.Reset(syscall.SIGPIPE)
		d := &demo{out: untilClosed{cmd.OutOrStdout(), stop}, log: untilClosed{cmd.ErrOrStderr(), stop}, rate: *rate}
		return d.run(ctx, cmd, *listen, *admin)
	})
	return cmd
}

// untilClosed is an output that calls stop when nobody reads it any more.
type untilClosed struct {
	io.Writer
	stop func()
}

func (u untilClosed) Write(p []byte) (int, error) {
	n, err := u.Writer.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		u.stop()
	}
	return n, err
}

// demo is one run of the verb.
type demo struct {
	out, log io.Writer
	rate     float64
	daemon   *daemon
}

// run starts everything, waits for ctx, and ends everything in the opposite order.
func (d *demo) run(ctx context.Context, cmd *cobra.Command, listen, admin string) (err error) {
	dir, err := os.MkdirTemp("", "weir-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if dir, err = filepath.Abs(dir); err != nil { // TMPDIR may be relative
		return err
	}

	backends, err := startDemoBackends()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, backends.close()) }()

	file := filepath.Join(dir, "weir.yaml")
	text := demoConfig(pick(listen, demoListen), pick(admin, demoAdmin), filepath.Join(dir, "admin.sock"), backends)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	wanted, err := openStore(cmd, store.Options{File: file})
	if err != nil {
		return err
	}
	d.daemon, err = startDaemon(ctx, daemonOptions{file: file, store: wanted, stderr: d.log, newPlane: newPlane})
	if err != nil {
		return errors.Join(err, wanted.Close())
	}
	err = d.serve(ctx, file)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), wanted.Current().Config.Process.Grace)
	defer cancel()
	return errors.Join(err, d.daemon.Stop(stop))
}

// serve says what there is, drives traffic and reports until ctx ends.
func (d *demo) serve(ctx context.Context, file string) error {
	url := "http://" + d.daemon.plane.Listeners()[0].Addresses[0]
	d.introduce(url, file)
	var reporting sync.WaitGroup
	reporting.Go(func() { d.report(ctx) })
	defer reporting.Wait()
	if d.rate == 0 {
		<-ctx.Done()
		return nil
	}
	result, err := bench.Load(ctx, bench.LoadOptions{URL: url + "/", Rate: d.rate, Connections: demoConnections})
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("traffic: %w", err)
	}
	fmt.Fprintf(d.out, "\n%d requests in %s: %.0f/s, %d failed, p50 %s, p99 %s\n",
		result.Requests, age(result.Elapsed), result.Rate(), result.Failed(),
		round(result.Latency.Quantile(0.5)), round(result.Latency.Quantile(0.99)))
	return nil
}

// introduce prints the addresses and what to try.
func (d *demo) introduce(url, file string) {
	fmt.Fprintf(d.out, `weir demo: 3 HTTP backends (fast, slow, flaky) and %g requests/s, all in this process
  app      %s   least_connections, slow start 10s
  admin    http://%s   /metrics, /readyz, /v1/status
  config   %s   (edit it, then: weir reload -c %s)
  try:  curl -i %s     weir status -c %s
Ctrl-C stops it.

`, d.rate, url, d.daemon.admin.Addr(), file, file, url, file)
}

// report prints a line about the traffic at every tick.
func (d *demo) report(ctx context.Context) {
	ticker := time.NewTicker(demoTick)
	defer ticker.Stop()
	before := d.picks()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			after := d.picks()
			fmt.Fprintln(d.out, shares(before, after, demoTick))
			before = after
		}
	}
}

// tally is one backend's count at a moment.
type tally struct {
	name, health string
	picks        uint64
	ramp         float64
}

// picks reads the counts of every backend. A reload may have changed which there are.
func (d *demo) picks() (tallies []tally) {
	for _, p := range d.daemon.Pools() {
		for _, m := range p.Snapshot().Members() {
			tallies = append(tallies, tally{p.Name() + "/" + m.Backend.Name(), m.Health.String(), m.Backend.Picks(), m.Ramp})
		}
	}
	return tallies
}

// shares is the line about the traffic between two moments.
func shares(before, after []tally, between time.Duration) string {
	earlier := map[string]uint64{}
	for _, t := range before {
		earlier[t.name] = t.picks
	}
	var total uint64
	gained := make([]uint64, len(after))
	for i, t := range after {
		gained[i] = t.picks
		// A backend that was replaced by one of the same name counts from 0 again.
		if t.picks >= earlier[t.name] {
			gained[i] -= earlier[t.name]
		}
		total += gained[i]
	}
	line := fmt.Sprintf("%4.0f req/s", float64(total)/between.Seconds())
	for i, t := range after {
		line += fmt.Sprintf("   %s %s %2.0f %%", t.name, t.health, 100*float64(gained[i])/float64(max(total, 1)))
		if t.ramp < 1 {
			line += fmt.Sprintf(" (slow start %.0f %%)", 100*t.ramp)
		}
	}
	return line
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
