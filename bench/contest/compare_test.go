package contest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/internal/lbtest"
)

// TestMain lets the test binary be the origin and the relay, like any program that calls Compare.
func TestMain(m *testing.M) {
	if asked, err := Child(os.Args[1:]); asked {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// short is a comparison that takes no time and says nothing.
func short() Options {
	return Options{
		Contestants: []string{Floor},
		Rounds:      2,
		Warmup:      5 * time.Millisecond,
		Duration:    300 * time.Millisecond,
		Connections: 3,
		Backends:    2,
		Self:        os.Args[0],
	}
}

// alone fails the test if a process that it started is still there.
func alone(t *testing.T) {
	t.Helper()
	pids, err := tree(os.Getpid())
	if err != nil || len(pids) != 1 {
		t.Errorf("got processes %v, %v, want this one alone", pids, err)
	}
}

func TestCompare(t *testing.T) {
	for _, rate := range []float64{0, 400} {
		t.Run(fmt.Sprintf("rate %v", rate), func(t *testing.T) {
			var told []string
			o := short()
			o.Rate, o.Progress = rate, func(line string) { told = append(told, line) }
			r, err := Compare(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			alone(t)
			if len(r.Turns) != 2 || len(told) != 2 || !strings.Contains(told[1], "turn 2 of 2: round 2, floor") {
				t.Errorf("got %d turns and was told %q, want 2 each", len(r.Turns), told)
			}
			for _, turn := range r.Turns {
				if turn.Requests == 0 || turn.CPUMicros <= 0 || turn.RSS <= 0 || turn.Processes != 1 || turn.MaxMicros < turn.P50Micros {
					t.Errorf("got %+v", turn)
				}
				// The relay opens its connections before the load does, and one more than it gets clients.
				if turn.BackendConns > 3 {
					t.Errorf("got %d backend connections during the load", turn.BackendConns)
				}
				if rate > 0 && turn.Rate > 2*rate {
					t.Errorf("got %.0f requests/s, offered were %.0f", turn.Rate, rate)
				}
			}
			if s := r.Standings; len(s) != 1 || s[0].Name != Floor || s[0].CPU.Min > s[0].CPU.Max || s[0].CPU.Median <= 0 {
				t.Errorf("got %+v", s)
			}
			var text, markdown bytes.Buffer
			if err := errors.Join(r.WriteText(&text), r.WriteMarkdown(&markdown)); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"http1-keepalive: ", "CPU µs/request", "floor"} {
				if !strings.Contains(text.String(), want) || !strings.Contains(markdown.String(), want) {
					t.Errorf("%q is missing in\n%s\nor\n%s", want, &text, &markdown)
				}
			}
			if _, err := json.Marshal(r); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCompareStops ends the context in the middle of the load.
func TestCompareStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := short()
	o.Duration = time.Hour
	o.Progress = func(string) { time.AfterFunc(300*time.Millisecond, cancel) }
	begin := time.Now()
	if _, err := Compare(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	alone(t)
}

func TestCompareRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"rounds", func(o *Options) { o.Rounds = -1 }, "rounds -1: want 1 to 1000"},
		{"connections", func(o *Options) { o.Connections = 1e6 }, "connections 1000000: want 1 to 10000"},
		{"duration", func(o *Options) { o.Duration = time.Millisecond }, "want at least 10ms"},
		{"scenario", func(o *Options) { o.Scenario = "x" }, `there is no scenario "x"`},
		{"missing", func(o *Options) { o.Contestants, o.Weir = []string{Weir}, "/nonexistent" }, "weir: not found"},
		{"rate", func(o *Options) { o.Rate = -1 }, "rate -1: want 0"},
		{"self", func(o *Options) { o.Self = "/bin/true" }, "origin does not tell its addresses"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := short()
			tt.change(&o)
			if _, err := Compare(t.Context(), o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
			alone(t)
		})
	}
}

// TestTurnRefuses has contestants that do not do the whole job.
func TestTurnRefuses(t *testing.T) {
	o, s, err := short().resolved()
	if err != nil {
		t.Fatal(err)
	}
	a, err := newArena(t.Context(), o, s)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.close(); err != nil {
			t.Error(err)
		}
		alone(t)
	}()
	tests := []struct {
		name string
		e    entrant
		want []string
	}{
		{"ends at once", entrant{
			contestant: contestant{name: "dead", prepare: func(plan) setup { return setup{args: []string{"-c", "echo no such option; exit 3"}} }},
			path:       "/bin/sh",
		}, []string{"dead ended by itself (exit status 3), after: no such option"}},
		{"forwards no fields", entrant{
			contestant: contestant{name: "bare", prepare: prepareFloor}, path: o.Self,
		}, []string{"does not serve as it should", "the origin saw x-forwarded-"}},
		{"serves something else", entrant{
			contestant: contestant{name: "other", relay: true, prepare: func(p plan) setup {
				p.backends = p.backends[:1]
				return prepareFloor(p)
			}}, path: o.Self,
		}, []string{"got the body", "want \"other\""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if tt.e.name == "other" {
				a.scenario.Body = "other"
			}
			_, err := a.turn(ctx, tt.e)
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
}

// TestProcessStop ends a shell that does not listen, and what it started.
func TestProcessStop(t *testing.T) {
	cpus, err := allowedCPUs()
	if err != nil {
		t.Fatal(err)
	}
	p, err := start("stubborn", command{path: "/bin/sh", args: []string{"-c", "trap '' TERM; sleep 1000 & echo up >&2; wait; wait"}, cpus: cpus})
	if err != nil {
		t.Fatal(err)
	}
	p.patience = 20 * time.Millisecond
	lbtest.Eventually(t, 20*time.Second, func() bool { return p.log.String() == "up" })
	if err := p.died(); err != nil {
		t.Error(err)
	}
	pids, err := tree(p.pid())
	if err != nil || len(pids) != 2 {
		t.Errorf("got processes %v, %v, want the shell and its child", pids, err)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	lbtest.Eventually(t, 20*time.Second, func() bool { return !slices.ContainsFunc(pids, runs) })
}

// runs reports whether a process is there and not just waiting for its parent to ask how it ended.
func runs(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	s, err := parseStat(string(raw))
	return err == nil && s.state != 'Z'
}

func TestTail(t *testing.T) {
	var l tail
	if l.String() != "no output" {
		t.Errorf("got %q", &l)
	}
	for range 1000 {
		if n, err := fmt.Fprint(&l, "0123456789"); n != 10 || err != nil {
			t.Fatal(n, err)
		}
	}
	fmt.Fprint(&l, "\xffend")
	if got := l.String(); len(got) != tailBytes || !strings.HasSuffix(got, "89?end") {
		t.Errorf("got %d bytes, ending with %.10q", len(got), got[len(got)-10:])
	}
}
