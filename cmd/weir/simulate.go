package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weir/balancer/sim"
	"weir/config"
)

func newSimulate() *cobra.Command {
	s := &simulation{}
	cmd := &cobra.Command{
		Use:   "simulate -c FILE",
		Short: "Show what the policies of a configuration would do, in virtual time",
		Long: `Show what the policies of a configuration would do: the real algorithms run through virtual time, without
sockets, and print the share of each backend, how many clients an event moves, and how a slow start climbs.
Equal seeds give equal reports. Where backends have max_connections, flows wait in the queue of the pool. Flags win over the script; what neither says has a default.

An event is a time, an action, a backend and perhaps a weight: "10s down b2", "20s up b2", "30s add b4 3",
"35s weight b1 5", "40s drain b1", "45s ready b1", "50s maintenance b1", "55s remove b1".
The forms json and yaml are a list with one report per pool.

A script is a YAML file with these keys, all of them optional:

    duration: 60s            # of virtual time; default 60s
    rate: 200                # flows per second, evenly spaced; default 100
    clients: 1000            # distinct addresses, drawn at random for each flow; default 1000
    service: 20ms            # how long a backend is busy with a flow; default 10ms
    services: { b2: 200ms }  # of single backends
    interval: 5s             # one row of the report; default a round one, for at most 12 rows
    seed: 1                  # of the draws: equal scripts give equal reports
    events:                  # of one pool: give --pool if there are several
      - 10s down b2          # its health check fails; flows in progress end normally
      - 20s up b2
      - 30s add b4 3         # joins with weight 3 (default 1) and is up at once
      - 35s weight b1 5
      - 40s drain b1         # also maintenance, ready
      - 50s remove b1`,
		Example: `weir simulate -c weir.yaml --pool web --event "10s down b2" --event "30s up b2"`,
		Args:    noArgs,
	}
	flags := cmd.Flags()
	flags.StringVarP(&s.file, "config", "c", defaultConfig, "configuration file")
	flags.StringVar(&s.pool, "pool", "", "one pool only")
	flags.StringVar(&s.script, "script", "", "YAML file with traffic and events")
	flags.StringArrayVar(&s.events, "event", nil, "something that happens; may be given several times")
	flags.DurationVar(&s.flags.Duration, "duration", 0, "virtual time that passes (0: 60s)")
	flags.Float64Var(&s.flags.Rate, "rate", 0, "flows per second (0: 100)")
	flags.IntVar(&s.flags.Clients, "clients", 0, "distinct client addresses (0: 1000)")
	flags.DurationVar(&s.flags.Service, "service", 0, "how long a backend is busy with a flow (0: 10ms)")
	flags.DurationVar(&s.flags.Interval, "interval", 0, "one row of the report (0: a round one, for at most 12 rows)")
	flags.Uint64Var(&s.flags.Seed, "seed", 0, "seed of the random clients")
	form := addOutput(cmd)
	cmd.RunE = verb(func(cmd *cobra.Command, _ []string) error {
		reports, err := s.run(cmd)
		if err != nil {
			return err
		}
		return writeReports(cmd.OutOrStdout(), reports, form.value)
	})
	return cmd
}

// simulation is the flags of the verb.
type simulation struct {
	file, pool, script string
	events             []string
	flags              sim.Script // fields whose flag was given
}

// run simulates the pools that were asked for.
func (s *simulation) run(cmd *cobra.Command) ([]sim.Report, error) {
	script, err := s.merged(cmd)
	if err != nil {
		return nil, err
	}
	c, _, err := load(cmd, s.file)
	if err != nil {
		return nil, err
	}
	pools, err := s.pools(c, len(script.Events) > 0)
	if err != nil {
		return nil, err
	}
	var reports []sim.Report
	for _, pool := range pools {
		report, err := sim.Run(pool, script)
		if err != nil {
			return nil, fmt.Errorf("pool %s: %w", pool.Name, err)
		}
		reports = append(reports, report)
	}
	return reports, nil
}

// merged is the script with the flags laid over it.
func (s *simulation) merged(cmd *cobra.Command) (sim.Script, error) {
	var script sim.Script
	if s.script != "" {
		text, err := os.ReadFile(s.script)
		if err != nil {
			return script, fmt.Errorf("--script %s: %w — name a YAML file with traffic and events; 'weir help simulate' shows its keys", s.script, bare(err))
		}
		if script, err = sim.ParseScript(text); err != nil {
			return script, fmt.Errorf("--script %s: %w", s.script, err)
		}
	}
	overlays := map[string]func(){
		"duration": func() { script.Duration = s.flags.Duration },
		"rate":     func() { script.Rate = s.flags.Rate },
		"clients":  func() { script.Clients = s.flags.Clients },
		"service":  func() { script.Service = s.flags.Service },
		"interval": func() { script.Interval = s.flags.Interval },
		"seed":     func() { script.Seed = s.flags.Seed },
	}
	for flag, overlay := range overlays {
		if cmd.Flags().Changed(flag) {
			overlay()
		}
	}
	for _, text := range s.events {
		event, err := sim.ParseEvent(text)
		if err != nil {
			return script, usage("--event: %w", err)
		}
		script.Events = append(script.Events, event)
	}
	return script, nil
}

// pools finds the pools that were asked for: one, or all in order of name. Events name backends, which
// belong to one pool.
func (s *simulation) pools(c *config.Config, events bool) ([]*config.Pool, error) {
	names := slices.Sorted(maps.Keys(c.Pools))
	if s.pool != "" {
		if c.Pools[s.pool] == nil {
			return nil, usage("%s has no pool %q (pools: %s)", s.file, s.pool, strings.Join(names, ", "))
		}
		names = []string{s.pool}
	}
	if events && len(names) > 1 {
		return nil, usage("events happen in one pool: name it with --pool (pools: %s)", strings.Join(names, ", "))
	}
	var pools []*config.Pool
	for _, name := range names {
		pools = append(pools, c.Pools[name])
	}
	return pools, nil
}

// writeReports prints the reports one after the other, or as one list.
func writeReports(w io.Writer, reports []sim.Report, form string) error {
	if form != formTable {
		var list bytes.Buffer
		encoder := json.NewEncoder(&list)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(reports); err != nil {
			return err
		}
		return writeDocument(w, list.Bytes(), form)
	}
	for i, report := range reports {
		if i > 0 {
			if _, err := fmt.Fprintln(w); err != nil {
				return err
			}
		}
		if err := report.Table(w); err != nil {
			return err
		}
	}
	return nil
}
