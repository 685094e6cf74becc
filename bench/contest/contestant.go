package contest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// contestant is a proxy that can take part.
type contestant struct {
	name    string
	program func(o Options) string // name or path
	version []string               // arguments that make it print its version; nil: it is Go code of ours
	remedy  string                 // what to do when it is not there
	relay   bool                   // forwards bytes as they are: no fields to verify, no metrics
	prepare func(p plan) setup
}

// plan is what a contestant's configuration depends on.
type plan struct {
	dir         string // for its files; absolute
	listen      netip.AddrPort
	metrics     netip.AddrPort
	backends    []netip.AddrPort
	cpu         int
	connections int  // of clients
	promex      bool // haproxy: built with the Prometheus exporter
}

// setup is how a contestant is started.
type setup struct {
	files   map[string]string // to be written into plan.dir
	args    []string
	env     []string
	metrics string // path on plan.metrics; empty: none
}

// Names of the contestants.
const (
	Weir    = "weir"
	Haproxy = "haproxy"
	Nginx   = "nginx"
	Floor   = "floor"
)

// contestants lists all, in the order of their turns.
func contestants() []contestant {
	return []contestant{
		{
			name:    Weir,
			program: func(o Options) string { return o.Weir },
			version: []string{"version"},
			remedy:  "build it with: make build",
			prepare: prepareWeir,
		},
		{
			name:    Haproxy,
			program: func(Options) string { return "haproxy" },
			version: []string{"-vv"},
			remedy:  "install it with: make bench-deps",
			prepare: prepareHaproxy,
		},
		{
			name:    Nginx,
			program: func(Options) string { return "nginx" },
			version: []string{"-v"},
			remedy:  "install it with: make bench-deps",
			prepare: prepareNginx,
		},
		{
			name:    Floor,
			program: func(o Options) string { return o.Self },
			relay:   true,
			prepare: prepareFloor,
		},
	}
}

// entrant is a contestant that was found on this machine.
type entrant struct {
	contestant
	path    string
	version string
	promex  bool
}

// Absence is a contestant that cannot take part.
type Absence struct {
	Name   string `json:"name"`
	Reason string `json:"reason"` // with what to do about it
}

// find looks for the contestants by name, all if there are no names. One that was named and is not
// there is an error; else it is absent.
func find(ctx context.Context, o Options) (entrants []entrant, absent []Absence, err error) {
	known := contestants()
	wanted := map[string]bool{}
	for _, name := range o.Contestants {
		wanted[name] = true
	}
	var errs []error
	for _, c := range known {
		if len(o.Contestants) > 0 && !wanted[c.name] {
			continue
		}
		named := wanted[c.name]
		delete(wanted, c.name)
		e, err := c.find(ctx, o)
		switch {
		case err == nil:
			entrants = append(entrants, e)
		case named || ctx.Err() != nil:
			errs = append(errs, fmt.Errorf("%s: %w", c.name, err))
		default:
			absent = append(absent, Absence{c.name, err.Error()})
		}
	}
	for name := range wanted {
		errs = append(errs, fmt.Errorf("there is no contestant %q: choose from weir, haproxy, nginx, floor", name))
	}
	return entrants, absent, errors.Join(errs...)
}

// versionPatience bounds how long a program may take to print its version.
const versionPatience = 10 * time.Second

func (c contestant) find(ctx context.Context, o Options) (entrant, error) {
	program := c.program(o)
	path, err := exec.LookPath(program)
	if err != nil {
		return entrant{}, fmt.Errorf("not found (%w); %s", err, c.remedy)
	}
	e := entrant{contestant: c, path: path}
	if c.version == nil {
		e.version = "four system calls per request, " + runtime.Version()
		return e, nil
	}
	ctx, cancel := context.WithTimeout(ctx, versionPatience)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, c.version...).CombinedOutput()
	if err != nil {
		return entrant{}, fmt.Errorf("%s %s: %w: %s; %s", path, strings.Join(c.version, " "), err, firstLine(string(out)), c.remedy)
	}
	e.version = versionOf(string(out))
	e.promex = strings.Contains(string(out), "prometheus-exporter")
	return e, nil
}

var versionWords = regexp.MustCompile(`(?i)^(?:nginx version: |haproxy version )?(?:nginx/|weir )?(.*?)(?: - https?://\S*)?$`)

// versionOf shortens the first line of what a program says of itself.
func versionOf(out string) string {
	line := firstLine(out)
	if m := versionWords.FindStringSubmatch(line); m != nil {
		return m[1]
	}
	return line
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(line)
}
