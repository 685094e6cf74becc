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
	report, err := contest.Compare(ctx, s.options)
	if err == nil {
		err = s.write(report, out)
	}
	if err != nil {
		fmt.Fprintf(messages, "compare: %v\n", err)
		return exitFailed
	}
	return 0
}

// settings are what the flags say.
type settings struct {
	options  contest.Options
	json     string
	markdown bool
}

// parse reads the flags; what is wrong with them has been printed when it returns an error.
func parse(args []string, messages io.Writer) (settings, error) {
	var (
		s     settings
		names string
	)
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	f.SetOutput(messages)
	o := &s.options
	f.StringVar(&o.Scenario, "scenario", "http1-keepalive", "the `work` to measure")
	f.StringVar(&names, "contestants", "", "comma-separated `names` out of weir,haproxy,nginx,floor, each of which must be there (default: all that are)")
	f.IntVar(&o.Rounds, "rounds", 3, "how often each has its turn")
	f.DurationVar(&o.Duration, "duration", 0, "measured `time` of each turn (default 3s)")
	f.DurationVar(&o.Warmup, "warmup", 0, "load before it, not measured (default 500ms)")
	f.IntVar(&o.Connections, "connections", 64, "keep-alive connections of clients")
	f.IntVar(&o.Backends, "backends", 4, "ports of the origin, each of them a backend")
	f.Float64Var(&o.Rate, "rate", 0, "open loop: `requests` per second, latency from the intended send time (default: closed loop)")
	f.StringVar(&o.Weir, "weir", "bin/weir", "`path` of weir's binary")
	f.StringVar(&s.json, "json", "", "also write the whole report to this `file`, - for standard output alone")
	f.BoolVar(&s.markdown, "markdown", false, "print Markdown")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if f.NArg() > 0 {
		err := fmt.Errorf("unexpected argument %q", f.Arg(0))
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

// write prints the report in the forms that were asked for.
func (s settings) write(r contest.Report, out io.Writer) error {
	if s.json != "" {
		b, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		b = append(b, '\n')
		if s.json == "-" {
			_, err = out.Write(b)
			return err
		}
		if err := os.WriteFile(s.json, b, 0o644); err != nil {
			return err
		}
	}
	if s.markdown {
		return r.WriteMarkdown(out)
	}
	return r.WriteText(out)
}
