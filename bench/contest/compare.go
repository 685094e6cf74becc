package contest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Options say what to compare and for how long. The zero value of a field means its default.
type Options struct {
	Scenario    string        // a name out of Scenarios, default http1-keepalive
	Contestants []string      // names; default: all that are there
	Rounds      int           // 1…1000, default 3
	Warmup      time.Duration // of each turn, default 500ms
	Duration    time.Duration // of each turn's window, default 3s, at least 10ms
	Connections int           // of clients, 1…10,000, default that of the scenario
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
	s, unknown := scenario(o.Scenario)
	setDefault(&o.Connections, s.Connections)
	setDefault(&o.Backends, 4)
	setDefault(&o.Weir, filepath.Join("bin", "weir"))
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if unknown != nil {
		return o, s, unknown
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
	return o, s, errors.Join(errs...)
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
	entrants, absent, err := find(ctx, o, scenario)
	if err != nil {
		return Report{}, err
	}
	a, err := newArena(ctx, o, scenario)
	if err != nil {
		return Report{}, err
	}
	entrants, refused, err := a.judgeFiles(ctx, entrants)
	absent = append(absent, refused...)
	if err == nil && len(entrants) == 0 {
		err = fmt.Errorf("no contestant takes part: %v", absent)
	}
	var turns []Turn
	if err == nil {
		turns, err = a.rounds(ctx, entrants)
	}
	if err := errors.Join(err, a.close()); err != nil {
		return Report{}, err
	}
	return newReport(a, entrants, absent, turns), nil
}

// arena is what all turns share: the CPUs, the origin, a folder with the certificate.
type arena struct {
	options     Options
	scenario    Scenario
	proxyCPU    int
	loadCPUs    []int
	dir         string
	certificate []byte // DER; nil: the scenario has no TLS
	origin      *process
	stats       netip.AddrPort // of the origin
	backends    []netip.AddrPort
	undo        func() error // of the pinning
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
	if s.TLS {
		if a.certificate, err = writeCertificate(a.dir); err != nil {
			return nil, errors.Join(err, a.close())
		}
	}
	if err := a.startOrigin(ctx); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

// startOrigin starts the server and learns its addresses.
func (a *arena) startOrigin(ctx context.Context) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	a.origin, err = start("origin", command{
		path: a.options.Self,
		args: []string{originVerb, a.scenario.Name, fmt.Sprint(a.options.Backends)},
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
	var told originAddrs
	if err := json.NewDecoder(io.LimitReader(r, 1<<16)).Decode(&told); err != nil {
		return fmt.Errorf("origin does not tell its addresses: %w", err)
	}
	if len(told.Backends) != a.options.Backends {
		return fmt.Errorf("origin told %d addresses, want %d", len(told.Backends), a.options.Backends)
	}
	if a.stats, err = netip.ParseAddrPort(told.Stats); err != nil {
		return fmt.Errorf("origin: %w", err)
	}
	for _, text := range told.Backends {
		addr, err := netip.ParseAddrPort(text)
		if err != nil {
			return fmt.Errorf("origin: %w", err)
		}
		a.backends = append(a.backends, addr)
	}
	return nil
}

// notYet is how weir says that it does not have a feature that its configuration can ask for.
const notYet = "is not supported by this version"

// judgeFiles has those contestants judge their configuration that can. What it asks for and this
// version does not have is a reason to leave one out; any other fault is an error.
func (a *arena) judgeFiles(ctx context.Context, entrants []entrant) (able []entrant, refused []Absence, err error) {
	for _, e := range entrants {
		p, err := a.plan(e)
		if err != nil {
			return nil, nil, err
		}
		s := e.prepare(p)
		if s.check == nil {
			able = append(able, e)
			continue
		}
		if err := s.write(p.dir); err != nil {
			return nil, nil, err
		}
		checking, cancel := context.WithTimeout(ctx, startPatience)
		out, err := exec.CommandContext(checking, e.path, s.check...).CombinedOutput()
		cancel()
		switch {
		case err == nil:
			able = append(able, e)
		case strings.Contains(string(out), notYet):
			refused = append(refused, Absence{e.name, fmt.Sprintf("%s %s says: %s", e.name, s.check[0], firstLine(string(out)))})
		default:
			return nil, nil, fmt.Errorf("%s %s: %w: %s", e.name, s.check[0], err, out)
		}
	}
	return able, refused, nil
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
