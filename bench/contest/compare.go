package contest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Options say what to compare and for how long. The zero value of a field means its default.
type Options struct {
	Scenario    string        // default http1-keepalive
	Contestants []string      // names; default: all that are there
	Rounds      int           // 1…1000, default 3
	Warmup      time.Duration // of each turn, default 500ms
	Duration    time.Duration // of each turn's window, default 3s, at least 10ms
	Connections int           // of clients, 1…10,000, default 64
	Backends    int           // ports of the origin, 1…100, default 4
	Rate        float64       // requests per second, open loop; 0: closed loop

	Weir     string       // weir's binary, default bin/weir
	Self     string       // a program whose main calls Child; default: this one
	Progress func(string) // is told a line before each turn; nil: nobody is
}

func (o Options) resolved() (Options, Scenario, error) {
	setDefault(&o.Scenario, "http1-keepalive")
	setDefault(&o.Rounds, 3)
	setDefault(&o.Warmup, 500*time.Millisecond)
	setDefault(&o.Duration, 3*time.Second)
	setDefault(&o.Connections, 64)
	setDefault(&o.Backends, 4)
	setDefault(&o.Weir, filepath.Join("bin", "weir"))
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	var errs []error
	if o.Self == "" {
		self, err := os.Executable()
		errs = append(errs, err)
		o.Self = self
	}
	if !filepath.IsAbs(o.Weir) {
		weir, err := filepath.Abs(o.Weir)
		errs = append(errs, err)
		o.Weir = weir
	}
	bound := func(name string, got, most int) {
		if got < 1 || got > most {
			errs = append(errs, fmt.Errorf("%s %d: want 1 to %d", name, got, most))
		}
	}
	bound("rounds", o.Rounds, 1000)
	bound("connections", o.Connections, 10_000)
	bound("backends", o.Backends, 100)
	if o.Duration < 10*time.Millisecond || o.Warmup < 0 {
		errs = append(errs, fmt.Errorf("duration %v, warm-up %v: want at least 10ms and 0s", o.Duration, o.Warmup))
	}
	i := slices.IndexFunc(Scenarios(), func(s Scenario) bool { return s.Name == o.Scenario })
	if i < 0 {
		errs = append(errs, fmt.Errorf("there is no scenario %q", o.Scenario))
		return o, Scenario{}, errors.Join(errs...)
	}
	return o, Scenarios()[i], errors.Join(errs...)
}

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// overhead is about what a turn takes beside the load: start, checks, stop.
const overhead = 300 * time.Millisecond

// Compare measures the contestants in turns and returns the report. It fails if options are wrong,
// a named contestant is missing, none is there, or a contestant does not do the whole job: then the
// error says which and how. All processes have ended when it returns.
func Compare(ctx context.Context, o Options) (Report, error) {
	o, scenario, err := o.resolved()
	if err != nil {
		return Report{}, err
	}
	entrants, absent, err := find(ctx, o)
	if err != nil {
		return Report{}, err
	}
	if len(entrants) == 0 {
		return Report{}, errors.New("no contestant is there")
	}
	a, err := newArena(ctx, o, scenario)
	if err != nil {
		return Report{}, err
	}
	turns, err := a.rounds(ctx, entrants)
	if err := errors.Join(err, a.close()); err != nil {
		return Report{}, err
	}
	return newReport(a, entrants, absent, turns), nil
}

// arena is what all turns share: the CPUs, the origin, a folder.
type arena struct {
	options  Options
	scenario Scenario
	proxyCPU int
	loadCPUs []int
	dir      string
	origin   *process
	backends []netip.AddrPort
	undo     func() error // of the pinning
}

func newArena(ctx context.Context, o Options, s Scenario) (*arena, error) {
	cpus, err := allowedCPUs()
	if err != nil {
		return nil, err
	}
	a := &arena{options: o, scenario: s}
	a.proxyCPU, a.loadCPUs = split(cpus)
	if a.undo, err = pinSelf(a.loadCPUs); err != nil {
		return nil, err
	}
	if a.dir, err = os.MkdirTemp("", "weir-bench-"); err != nil {
		return nil, errors.Join(err, a.close())
	}
	if err := a.startOrigin(ctx); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

// startOrigin starts the web server and learns its addresses.
func (a *arena) startOrigin(ctx context.Context) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	a.origin, err = start("origin", command{
		path: a.options.Self,
		args: []string{originVerb, fmt.Sprint(a.options.Backends)},
		out:  w,
		cpus: a.loadCPUs,
	})
	if err := errors.Join(err, w.Close()); err != nil {
		return err
	}
	unblock := context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Unix(1, 0)) })
	defer unblock()
	if err := r.SetReadDeadline(time.Now().Add(startPatience)); err != nil {
		return err
	}
	if err := json.NewDecoder(io.LimitReader(r, 1<<16)).Decode(&a.backends); err != nil {
		return fmt.Errorf("origin does not tell its addresses: %w", err)
	}
	if len(a.backends) != a.options.Backends {
		return fmt.Errorf("origin told %d addresses, want %d", len(a.backends), a.options.Backends)
	}
	return nil
}

// rounds runs all turns.
func (a *arena) rounds(ctx context.Context, entrants []entrant) ([]Turn, error) {
	all := a.options.Rounds * len(entrants)
	each := a.options.Warmup + a.options.Duration + overhead
	var turns []Turn
	for round := 1; round <= a.options.Rounds; round++ {
		for _, e := range entrants {
			left := each * time.Duration(all-len(turns))
			a.options.Progress(fmt.Sprintf("turn %d of %d: round %d, %s; about %v left",
				len(turns)+1, all, round, e.name, left.Round(time.Second)))
			t, err := a.turn(ctx, e)
			if err != nil {
				return nil, fmt.Errorf("round %d: %s: %w", round, e.name, err)
			}
			t.Round = round
			turns = append(turns, t)
		}
	}
	return turns, nil
}

// close undoes what newArena did, as far as it got.
func (a *arena) close() error {
	var errs []error
	if a.origin != nil {
		errs = append(errs, a.origin.stop())
	}
	if a.dir != "" {
		errs = append(errs, os.RemoveAll(a.dir))
	}
	return errors.Join(append(errs, a.undo())...)
}
