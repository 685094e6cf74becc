// Command compare measures weir against haproxy, nginx and a bare relay on this machine, in turns,
// and prints CPU time per request, throughput, latency, memory and the ratios with their range.
// bench/README.md says how; -help lists the flags.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"weir/bench/contest"
)

// Exit codes, as of weir itself.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	if asked, err := contest.Child(os.Args[1:]); asked {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitFailed)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the command; it returns the exit code.
func run(ctx context.Context, args []string, out, messages io.Writer) int {
	s, err := parse(args, messages)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return exitUsage
	}
	s.options.Progress = func(line string) { fmt.Fprintln(messages, line) }
	reports, err := s.compare(ctx, out)
	if err = errors.Join(err, s.finish(reports, out)); err != nil {
		fmt.Fprintf(messages, "compare: %v\n", err)
		return exitFailed
	}
	return 0
}

// settings are what the flags say.
type settings struct {
	scenarios []contest.Scenario
	options   contest.Options
	json      string
	markdown  bool
}

// compare runs the scenarios one after the other and prints each report when it is there. One that
// fails does not keep the others from running, unless the context has ended.
func (s settings) compare(ctx context.Context, out io.Writer) ([]contest.Report, error) {
	var (
		reports []contest.Report
		errs    []error
	)
	for _, scenario := range s.scenarios {
		o := s.options
		o.Scenario = scenario.Name
		r, err := contest.Compare(ctx, o)
		if err == nil {
			reports = append(reports, r)
			err = s.write(r, len(reports) > 1, out)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", scenario.Name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return reports, errors.Join(errs...)
}

// parse reads the flags; what is wrong with them has been printed when it returns an error.
func parse(args []string, messages io.Writer) (settings, error) {
	var (
		s         settings
		names     string
		scenarios string
	)
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	f.SetOutput(messages)
	o := &s.options
	f.StringVar(&scenarios, "scenario", "http1-keepalive", "the `work` to measure: comma-separated names, or all")
	f.StringVar(&names, "contestants", "", "comma-separated `names` out of weir,haproxy,haproxy-copy,nginx,floor, each of which must be there (default: all that are)")
	f.IntVar(&o.Rounds, "rounds", 3, "how often each has its turn")
	f.DurationVar(&o.Duration, "duration", 0, "measured `time` of each turn (default 3s)")
	f.DurationVar(&o.Warmup, "warmup", 0, "load before it, not measured (default 500ms)")
	f.IntVar(&o.Connections, "connections", 0, "connections of clients at a time (default 64, bulk 16)")
	f.IntVar(&o.Backends, "backends", 4, "ports of the origin, each of them a backend")
	f.Float64Var(&o.Rate, "rate", 0, "open loop: `requests` per second, latency from the intended send time (default: closed loop)")
	f.StringVar(&o.Weir, "weir", "bin/weir", "`path` of weir's binary")
	f.StringVar(&s.json, "json", "", "also write the whole reports, as an array, to this `file`, - for standard output alone")
	f.BoolVar(&s.markdown, "markdown", false, "print Markdown")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if f.NArg() > 0 {
		err := fmt.Errorf("unexpected argument %q", f.Arg(0))
		fmt.Fprintf(messages, "compare: %v\n", err)
		return s, err
	}
	var err error
	if s.scenarios, err = contest.Select(scenarios); err != nil {
		fmt.Fprintf(messages, "compare: %v\n", err)
		return s, err
	}
	for name := range strings.SplitSeq(names, ",") {
		if name = strings.TrimSpace(name); name != "" {
			o.Contestants = append(o.Contestants, name)
		}
	}
	return s, nil
}

// write prints a report, below others or alone.
func (s settings) write(r contest.Report, below bool, out io.Writer) error {
	if s.json == "-" {
		return nil
	}
	if below {
		fmt.Fprint(out, "\n\n")
	}
	if s.markdown {
		return r.WriteMarkdown(out)
	}
	return r.WriteText(out)
}

// finish prints what is said of all reports together.
func (s settings) finish(reports []contest.Report, out io.Writer) error {
	if len(reports) > 1 && s.json != "-" {
		fmt.Fprint(out, "\n\n")
		if err := contest.WriteSummary(out, reports, s.markdown); err != nil {
			return err
		}
	}
	if s.json == "" || len(reports) == 0 {
		return nil
	}
	b, err := json.MarshalIndent(reports, "", "  ")
	if err != nil {
		return err
	}
	b = append(b, '\n')
	if s.json == "-" {
		_, err = out.Write(b)
		return err
	}
	return os.WriteFile(s.json, b, 0o644)
}
