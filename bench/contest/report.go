package contest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Report is the outcome of a comparison. Its JSON form is meant for programs.
type Report struct {
	Scenario    string     `json:"scenario"`
	Summary     string     `json:"summary"`
	Unit        string     `json:"unit"` // what CPU time is divided by: request or MiB
	PerExchange float64    `json:"units_per_exchange"`
	Reconnects  bool       `json:"reconnects"` // backend connections are not kept alive
	Machine     Machine    `json:"machine"`
	Rounds      int        `json:"rounds"`
	Warmup      string     `json:"warmup"`
	Duration    string     `json:"duration"` // of each window
	Connections int        `json:"connections"`
	Backends    int        `json:"backends"`
	Rate        float64    `json:"rate,omitempty"` // open loop
	Standings   []Standing `json:"contestants"`
	Absent      []Absence  `json:"absent,omitempty"`
	Ratios      []Ratio    `json:"ratios"`
	Notes       []string   `json:"notes,omitempty"` // what the reader should know of this very run
	Turns       []Turn     `json:"turns"`
}

// Standing is what a contestant did over all rounds.
type Standing struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	CPU       Spread `json:"cpu_us_per_unit"`
	UserShare Spread `json:"user_share"`
	Rate      Spread `json:"requests_per_second"`
	P50       Spread `json:"p50_us"`
	P99       Spread `json:"p99_us"`
	P999      Spread `json:"p999_us"`
	Max       Spread `json:"max_us"`
	RSS       Spread `json:"rss_bytes"`
	ProxyLoad Spread `json:"proxy_load"`
	LoadLoad  Spread `json:"load_load"`
}

func newReport(a *arena, entrants []entrant, absent []Absence, turns []Turn) Report {
	o := a.options
	r := Report{
		Scenario:    a.scenario.Name,
		Summary:     a.scenario.Summary,
		Unit:        a.scenario.Unit(),
		PerExchange: a.scenario.perExchange(),
		Reconnects:  a.scenario.Fresh && a.scenario.Protocol != HTTP,
		Machine:     describe(a.proxyCPU, a.loadCPUs),
		Rounds:      o.Rounds,
		Warmup:      o.Warmup.String(),
		Duration:    o.Duration.String(),
		Connections: o.Connections,
		Backends:    o.Backends,
		Rate:        o.Rate,
		Absent:      absent,
		Turns:       turns,
	}
	for _, e := range entrants {
		r.Standings = append(r.Standings, standing(e, turns))
	}
	measures := []Measure{CPU}
	if o.Rate > 0 {
		measures = append(measures, P50, P99)
	}
	r.Ratios = ratios(turns, measures)
	promise(r.Ratios, a.scenario.Targets)
	r.Notes = notes(r)
	return r
}

func standing(e entrant, turns []Turn) Standing {
	over := func(figure func(Turn) float64) Spread {
		var values []float64
		for _, t := range turns {
			if t.Contestant == e.name {
				values = append(values, figure(t))
			}
		}
		return spread(values)
	}
	return Standing{
		Name:      e.name,
		Version:   e.version,
		CPU:       over(func(t Turn) float64 { return t.CPUMicros }),
		UserShare: over(func(t Turn) float64 { return t.UserShare }),
		Rate:      over(func(t Turn) float64 { return t.Rate }),
		P50:       over(func(t Turn) float64 { return t.P50Micros }),
		P99:       over(func(t Turn) float64 { return t.P99Micros }),
		P999:      over(func(t Turn) float64 { return t.P999Micros }),
		Max:       over(func(t Turn) float64 { return t.MaxMicros }),
		RSS:       over(func(t Turn) float64 { return float64(t.RSS) }),
		ProxyLoad: over(func(t Turn) float64 { return t.ProxyLoad }),
		LoadLoad:  over(func(t Turn) float64 { return t.LoadLoad }),
	}
}

// Limits beyond which a run gets a note.
const (
	saturated   = 0.95 // load of the proxy CPU from which a rate is the proxy's own limit
	exhausted   = 0.90 // load of the load CPUs from which they are the limit
	noisy       = 0.05 // load of the proxy CPU by others
	missedShare = 0.01 // of the offered requests that were not answered in time
	churn       = 0.01 // backend connections per request
)

// notes says in words what the figures do not.
func notes(r Report) []string {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if r.Machine.SharedCore {
		add("there is one CPU for everything: generator, origin and proxy disturb each other, and the figures mean little")
	}
	if note := unsaturated(r); note != "" {
		all = append(all, note)
	}
	if note := noise(r); note != "" {
		all = append(all, note)
	}
	for _, t := range r.Turns {
		at := fmt.Sprintf("round %d, %s: ", t.Round, t.Contestant)
		if due := t.Offered * t.Seconds; due-float64(t.Requests) > missedShare*due+1 {
			add(at+"%.0f requests/s were offered and %.0f answered: latency includes the queue before the proxy", t.Offered, t.Rate)
		}
		if !r.Reconnects && float64(t.BackendConns) > churn*float64(t.Requests)+float64(2*r.Connections) {
			add(at+"%d backend connections for %d requests: they were not kept alive", t.BackendConns, t.Requests)
		}
	}
	return all
}

// unsaturated says why a closed loop did not bring the proxies to their limit; empty: it did.
func unsaturated(r Report) string {
	var loads []string
	busy := true // the load CPUs, in all cases
	for _, s := range r.Standings {
		if r.Rate > 0 || s.ProxyLoad.Median >= saturated {
			continue
		}
		loads = append(loads, fmt.Sprintf("%s %.0f %%", s.Name, 100*s.ProxyLoad.Median))
		busy = busy && s.LoadLoad.Median >= exhausted
	}
	if len(loads) == 0 {
		return ""
	}
	limit := "the CPUs were shared with others, so neither generator nor proxy was at its limit"
	if busy {
		limit = "generator and origin were at their limit, not the proxy"
	}
	return fmt.Sprintf("%s (load of the proxy CPU: %s): requests/s and latency say little; %s is the measure",
		limit, strings.Join(loads, ", "), CPU.words(r.Unit))
}

// noise says how much of the proxy CPU others took; empty: little.
func noise(r Report) string {
	var loads []float64
	for _, t := range r.Turns {
		if t.OthersLoad > noisy && !r.Machine.SharedCore {
			loads = append(loads, 100*t.OthersLoad)
		}
	}
	if len(loads) == 0 {
		return ""
	}
	s := spread(loads)
	return fmt.Sprintf("others took %.0f to %.0f %% of the proxy CPU in %d of %d turns: the figures are noisy, those of throughput and latency above all",
		s.Min, s.Max, len(loads), len(r.Turns))
}

// verdict puts a ratio into words.
func (r Ratio) verdict() string {
	switch {
	case len(r.Rounds) < 2:
		return "one round: no range"
	case r.NoDifference:
		return "no difference"
	case r.Max < 1:
		return fmt.Sprintf("%.0f %% less", 100*(1-r.Median))
	}
	return fmt.Sprintf("%.0f %% more", 100*(r.Median-1))
}

// promised puts into words how a ratio stands to what was promised; empty: nothing was. A range that
// includes the promise is told as such: neither kept nor broken.
func (r Ratio) promised() string {
	switch {
	case r.Must == 0:
		return ""
	case r.Aim > 0 && r.Max <= r.Aim:
		return "aim reached"
	case r.Max <= r.Must:
		return "reached"
	case r.Min > r.Must:
		return "missed"
	}
	return "within its range"
}

// pair names the two sides of a ratio.
func (r Ratio) pair() string {
	if len(r.To) == 1 {
		return r.Of + " / " + r.To[0]
	}
	return r.Of + " / better of " + r.To[0] + " and " + r.To[1]
}

// measures lists those that were compared, in order.
func (r Report) measures() []Measure {
	var all []Measure
	for _, ratio := range r.Ratios {
		if !slices.Contains(all, ratio.Measure) {
			all = append(all, ratio.Measure)
		}
	}
	return all
}

// took is about how long the load lasted in all.
func (r Report) took() time.Duration {
	var sum float64
	for _, t := range r.Turns {
		sum += t.Seconds
	}
	return time.Duration(sum * float64(time.Second)).Round(time.Second)
}
