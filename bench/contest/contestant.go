package contest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
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
	extra   bool                   // of some scenarios only, and not missed in others
	prepare func(p plan) setup
	unfit   func(s Scenario) string // why it cannot do the work; empty: it can
}

// plan is what a contestant's configuration depends on.
type plan struct {
	scenario     Scenario
	dir          string // for its files; absolute
	certificates string // folder of the certificate, for TLS
	listen       netip.AddrPort
	metrics      netip.AddrPort
	backends     []netip.AddrPort
	cpu          int
	connections  int    // of clients
	promex       bool   // haproxy: built with the Prometheus exporter
	stream       string // nginx: file of the stream module; empty: built in, or not there
}

// setup is how a contestant is started.
type setup struct {
	files   map[string]string // to be written into plan.dir
	args    []string
	check   []string // arguments that judge the files without serving; nil: it has no such verb
	env     []string
	metrics string // path on plan.metrics; empty: none
}

// Names of the contestants.
const (
	Weir        = "weir"
	Haproxy     = "haproxy"
	HaproxyCopy = "haproxy-copy" // without splicing
	Nginx       = "nginx"
	Floor       = "floor"
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
			unfit:   fit,
		},
		{
			name:    Haproxy,
			program: func(Options) string { return "haproxy" },
			version: []string{"-vv"},
			remedy:  "install it with: make bench-deps",
			prepare: prepareHaproxy,
			unfit:   haproxyUnfit,
		},
		{
			name:    HaproxyCopy,
			program: func(Options) string { return "haproxy" },
			version: []string{"-vv"},
			remedy:  "install it with: make bench-deps",
			extra:   true,
			prepare: prepareHaproxyCopy,
			unfit:   haproxyCopyUnfit,
		},
		{
			name:    Nginx,
			program: func(Options) string { return "nginx" },
			version: []string{"-V"},
			remedy:  "install it with: make bench-deps",
			prepare: prepareNginx,
			unfit:   fit,
		},
		{
			name:    Floor,
			program: func(o Options) string { return o.Self },
			relay:   true,
			prepare: prepareFloor,
			unfit:   floorUnfit,
		},
	}
}

func fit(Scenario) string { return "" }

func haproxyUnfit(s Scenario) string {
	if s.Protocol == UDP {
		return "it does not forward UDP"
	}
	return ""
}

func haproxyCopyUnfit(s Scenario) string {
	if s.Protocol != TCP || s.MiB == 0 {
		return "it would do what haproxy does, for only TCP bulk is measured with and without splicing"
	}
	return ""
}

func floorUnfit(s Scenario) string {
	switch {
	case s.Protocol == UDP:
		return "it relays TCP alone"
	case s.TLS:
		return "it relays bytes, and TLS ends at a proxy"
	case s.MiB > 0:
		return "it copies, and a proxy that splices can be below it"
	case s.Protocol == HTTP && s.Fresh:
		return "its backend connections end with those of clients"
	}
	return ""
}

// entrant is a contestant that was found on this machine.
type entrant struct {
	contestant
	path    string
	version string
	promex  bool
	stream  string
}

// Absence is a contestant that does not take part.
type Absence struct {
	Name   string `json:"name"`
	Reason string `json:"reason"` // with what to do about it
}

// find looks for the contestants by name, all if there are no names. One that was named and is not
// there is an error; else it is absent, as one is that cannot do the work.
func find(ctx context.Context, o Options, s Scenario) (entrants []entrant, absent []Absence, err error) {
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
		if reason := c.unfit(s); reason != "" {
			if named || !c.extra {
				absent = append(absent, Absence{c.name, reason})
			}
			continue
		}
		e, err := c.find(ctx, o, s)
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
		errs = append(errs, fmt.Errorf("there is no contestant %q: choose from weir, haproxy, haproxy-copy, nginx, floor", name))
	}
	return entrants, absent, errors.Join(errs...)
}

// versionPatience bounds how long a program may take to print its version.
const versionPatience = 10 * time.Second

func (c contestant) find(ctx context.Context, o Options, s Scenario) (entrant, error) {
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
	if c.name == Nginx && s.Protocol != HTTP {
		if e.stream, err = streamModule(string(out)); err != nil {
			return entrant{}, fmt.Errorf("%w; %s", err, c.remedy)
		}
	}
	return e, nil
}

var modulesPath = regexp.MustCompile(`--modules-path=(\S+)`)

// streamModule reads what nginx -V says of its stream module: a file that is there, or none if it is
// built in.
func streamModule(out string) (string, error) {
	for word := range strings.FieldsSeq(out) {
		if word == "--with-stream" {
			return "", nil
		}
	}
	m := modulesPath.FindStringSubmatch(out)
	if m == nil {
		return "", errors.New("it has no stream module")
	}
	file := filepath.Join(m[1], "ngx_stream_module.so")
	if _, err := os.Stat(file); err != nil {
		return "", fmt.Errorf("its stream module is not there: %w", err)
	}
	return file, nil
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
