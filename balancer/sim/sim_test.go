package sim

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/config"
)

var update = flag.Bool("update", false, "write the golden files")

// poolOf is a pool web of b1, b2, … with these weights and a slow start of 10 s.
func poolOf(a config.Algorithm, weights ...int) *config.Pool {
	c := &config.Pool{
		Name: "web", Algorithm: a, Hash: config.Hash{Weighted: true},
		SlowStart: config.SlowStart{Duration: 10 * time.Second, Repeat: true},
	}
	for i, w := range weights {
		c.Backends = append(c.Backends, &config.Backend{
			Name:    fmt.Sprintf("b%d", i+1),
			Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 80),
			Weight:  w, State: config.Ready,
		})
	}
	return c
}

// limited gives each backend a maximum of leases, and the pool a queue.
func limited(c *config.Pool, most, places int, timeout time.Duration) *config.Pool {
	for _, b := range c.Backends {
		b.MaxConnections = most
	}
	c.Queue, c.Timeouts.Queue = places, timeout
	return c
}

func slow(c *config.Pool, d time.Duration) *config.Pool {
	c.SlowStart.Duration = d
	return c
}

func script(t *testing.T, text string) Script {
	t.Helper()
	s, err := ParseScript([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const story = `
duration: 60s
rate: 90
clients: 600
service: 20ms
services: { b2: 40ms }
seed: 7
events:
  - 10s down b2
  - 20s up b2
  - 35s add b4 3
  - 48s drain b1
  - 50s weight b3 0
  - 52s ready b1
  - 55s remove b4
`

func TestGoldenReports(t *testing.T) {
	backup := poolOf(config.WeightedRoundRobin, 1, 1)
	backup.Backends[1].Backup = true
	tests := []struct {
		name   string
		pool   *config.Pool
		script string
	}{
		{"weighted_round_robin", poolOf(config.WeightedRoundRobin, 5, 3, 1), story},
		{"least_connections", poolOf(config.LeastConnections, 1, 1, 1), story},
		{"source_ip", poolOf(config.SourceIP, 1, 1, 1), story},
		{"outage", backup, "{duration: 12s, rate: 10, events: [2s down b1, 4s down b2, 6s up b2, 8s up b1]}"},
		{"long_ramp", slow(poolOf(config.WeightedRoundRobin, 1, 1), 5*time.Minute), "{duration: 6m, rate: 5, events: [10s add b3]}"},
		{"queue", limited(poolOf(config.LeastConnections, 1, 1), 2, 50, 3*time.Second),
			"{duration: 20s, rate: 10, service: 380ms, events: [4s down b1, 8s up b1, 12s down b1, 13s down b2, 14s up b2, 16s add b3]}"},
		{"odd_interval", poolOf(config.WeightedRoundRobin, 1, 1), "{duration: 10s, rate: 1.5, interval: 4s}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Run(tt.pool, script(t, tt.script))
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := r.Table(&got); err != nil {
				t.Fatal(err)
			}
			golden(t, tt.name+".txt", got.Bytes())
			text, err := json.MarshalIndent(r, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, tt.name+".json", append(text, '\n'))
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (-update writes it); got:\n%s", name, got)
	}
}

// With 5,000 flows a step, the shares of a slow start are within 3 % of its curve.
func TestRampsFollowTheCurve(t *testing.T) {
	for _, a := range []config.Algorithm{config.WeightedRoundRobin, config.LeastConnections, config.SourceIP} {
		r, err := Run(poolOf(a, 1, 1, 1), script(t, `{duration: 15s, rate: 9000, clients: 20000, events: [2s add b4]}`))
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Ramps) != 1 || r.Ramps[0].Backend != "b4" || len(r.Ramps[0].Points) != 18 {
			t.Fatalf("%s: ramps %+v, want one of b4 with 18 points", a, r.Ramps)
		}
		for _, p := range r.Ramps[0].Points {
			tolerance := 0.03 * p.Want
			if a == config.SourceIP {
				tolerance = 0.02 // which clients are whose, and who comes, is random besides
			}
			if math.Abs(p.Got-p.Want) > tolerance {
				t.Errorf("%s at %v: got %.4f, want %.4f ± %.4f", a, p.At, p.Got, p.Want, tolerance)
			}
		}
	}
}

// TestQueue compares with what can be reckoned: one backend that takes one flow for 1 s, and two flows a
// second.
func TestQueue(t *testing.T) {
	run := func(places int, timeout time.Duration) Report {
		t.Helper()
		r, err := Run(limited(poolOf(config.WeightedRoundRobin, 1), 1, places, timeout), script(t, "{duration: 100s, rate: 2, service: 1s}"))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	tests := []struct {
		name                            string
		places                          int
		timeout                         time.Duration
		picks, refused, queued, waiting int
		longest                         time.Duration
	}{
		{"none", 0, 0, 100, 100, 0, 0, 0},
		{"endless", 1000, 0, 100, 0, 199, 100, 49500 * time.Millisecond},
		{"short", 3, 0, 100, 97, 102, 3, 3 * time.Second},
		{"impatient", 1000, 2 * time.Second, 100, 96, 199, 4, 2 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := run(tt.places, tt.timeout)
			got := []int{r.Backends[0].Picks, r.Refused, r.Queue.Flows, r.Queue.Left}
			want := []int{tt.picks, tt.refused, tt.queued, tt.waiting}
			if !slices.Equal(got, want) || time.Duration(r.Queue.Longest) != tt.longest || r.Backends[0].MaxLeases != 1 {
				t.Errorf("picks, refused, queued, waiting: got %v, longest %v, at most %d leases; want %v, %v, 1",
					got, r.Queue.Longest, r.Backends[0].MaxLeases, want, tt.longest)
			}
			if r.Flows != r.Backends[0].Picks+r.Refused+r.Queue.Left {
				t.Errorf("%d flows do not add up", r.Flows)
			}
		})
	}
}

func TestRunLeavesTheConfigurationAlone(t *testing.T) {
	c := poolOf(config.SourceIP, 5, 3, 1)
	before, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	first, err := Run(c, script(t, story))
	if err != nil {
		t.Fatal(err)
	}
	if after, err := json.Marshal(c); err != nil || !bytes.Equal(before, after) {
		t.Errorf("Run changed the configuration: %s, %v", after, err)
	}
	second, err := Run(c, script(t, story))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(first)
	b, _ := json.Marshal(second)
	if !bytes.Equal(a, b) {
		t.Error("the same script gave two reports")
	}
}

func TestErrors(t *testing.T) {
	tests := []struct{ script, want string }{
		{"{rat: 5}", "unknown field"},
		{"{duration: soon}", "duration"},
		{"events: !list 1s up b1", "the YAML decoder gave up"},
		{"{rate: -1}", "rate -1 is not above 0"},
		{"{rate: .nan}", "rate NaN is not above 0"},
		{"{clients: 2000000}", "clients 2000000 is not in 1…1000000"},
		{"{service: -1s}", "service -1s is not in 0…10000h0m0s"},
		{"{services: {b1: -1s}}", "service -1s of b1 is not in 0…10000h0m0s"},
		{"{rate: 1e9}", "is more than 100000000 flows"},
		{"{interval: 1us}", "more than 10000 rows"},
		{"{duration: -5s}", "duration -5s is not in 0…10000h0m0s"},
		{"{events: [60s up b1]}", `event "1m0s up b1" is not before the end at 1m0s`},
		{"{events: [10s down]}", "want a time, an action and a backend"},
		{"{events: [1s down b9]}", `event "1s down b9": pool web has no backend "b9"`},
		{"{events: [1s add b1]}", `event "1s add b1 1": pool web has a backend "b1"`},
		{"{events: [1s remove b1, 2s up b1]}", `event "2s up b1": pool web has no backend "b1"`},
	}
	for _, tt := range tests {
		s, err := ParseScript([]byte(tt.script))
		if err == nil {
			_, err = Run(poolOf(config.WeightedRoundRobin, 1, 1), s)
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.script, err, tt.want)
		}
	}
}

func TestBounds(t *testing.T) {
	pool := poolOf(config.LeastConnections, 1, 1)
	for _, text := range []string{"", "{}", "{rate: 1e-300}", "{service: 10000h}", "{duration: 1ns}", "{duration: 10000h, rate: 0.001}"} {
		r, err := Run(pool, script(t, text))
		if err != nil || r.Flows < 1 || r.Refused != 0 {
			t.Errorf("%q: got %d flows, %d refused, %v", text, r.Flows, r.Refused, err)
		}
	}
}

func TestParseEvent(t *testing.T) {
	tests := []struct {
		text string
		want Event
		err  string
	}{
		{"10s down b2", Event{At: 10 * time.Second, Action: Down, Backend: "b2", Weight: 1}, ""},
		{" 1m30s  add b4  3 ", Event{At: 90 * time.Second, Action: Add, Backend: "b4", Weight: 3}, ""},
		{"0s add b4", Event{Action: Add, Backend: "b4", Weight: 1}, ""},
		{"5ms weight b1 0", Event{At: 5 * time.Millisecond, Action: Weight, Backend: "b1"}, ""},
		{"10s dwn b2", Event{}, `unknown action "dwn", want up, down`},
		{"-1s down b2", Event{}, `"-1s" is not a time`},
		{"soon down b2", Event{}, `"soon" is not a time`},
		{"10s down", Event{}, "want a time, an action and a backend"},
		{"10s down b2 3", Event{}, `"3" is too much`},
		{"10s add b2 3 4", Event{}, `"4" is too much`},
		{"10s weight b2", Event{}, "no weight given"},
		{"10s weight b2 257", Event{}, `weight "257" is not in 0…256`},
		{"10s weight b2 x", Event{}, `weight "x" is not in 0…256`},
	}
	for _, tt := range tests {
		got, err := ParseEvent(tt.text)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q: got %+v, %v, want %+v, %q", tt.text, got, err, tt.want, tt.err)
		}
	}
}

func TestOffset(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 10 * time.Second: "10s", time.Minute: "1m", 90 * time.Second: "1m30s", time.Hour: "1h",
		70 * time.Minute: "1h10m", time.Hour + 10*time.Second: "1h0m10s", 250 * time.Millisecond: "250ms",
	} {
		if got := Offset(d).String(); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

func FuzzParseEvent(f *testing.F) {
	for _, s := range []string{"10s down b2", "1m30s add b4 3", "5ms weight b1 0", "1s add b4", "-1s up x", "9999999h up x", "1s weight b 1e3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := ParseEvent(text)
		if err != nil {
			return
		}
		again, err := ParseEvent(e.String())
		if err != nil || again != e {
			t.Fatalf("%q: %+v reads back as %+v, %v", text, e, again, err)
		}
	})
}

func FuzzParseScript(f *testing.F) {
	f.Add(story)
	f.Add("{duration: 10s, rate: 1.5, interval: 4s}")
	f.Add("events: [1s add b4 3]")
	f.Add("services: {b1: 1h}\nseed: 18446744073709551615")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseScript([]byte(text))
		if err != nil {
			return
		}
		if r, err := s.resolve(); err != nil || r.Interval <= 0 || r.Duration <= 0 || r.Clients < 1 {
			t.Fatalf("%q: a script that was read is out of bounds: %+v, %v", text, r, err)
		}
	})
}

func ExampleRun() {
	pool := poolOf(config.WeightedRoundRobin, 3, 1)
	pool.SlowStart = config.SlowStart{}
	event, err := ParseEvent("10s down b2")
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := Run(pool, Script{
		Duration: 15 * time.Second, Rate: 8, Interval: 5 * time.Second, Events: []Event{event},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := report.Table(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// pool web: weighted_round_robin, 15s at 8 flows/s, 1000 clients, seed 0
	//
	// time              b1      b2  refused  events
	// 0s–5s         75.0 %  25.0 %        0
	// 5s–10s        75.0 %  25.0 %        0
	// 10s–15s      100.0 %   0.0 %        0  10s down b2
	//
	// share         83.3 %  16.7 %
	// picks            100      20        0
	// most leases        1       1
}

func BenchmarkRun(b *testing.B) {
	for b.Loop() {
		if _, err := Run(poolOf(config.WeightedRoundRobin, 5, 3, 1), Script{Rate: 10_000}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestDefaultIntervalIsRound(t *testing.T) {
	tests := []struct{ duration, want time.Duration }{
		{time.Minute, 5 * time.Second}, {20 * time.Second, 2 * time.Second}, {time.Second, 100 * time.Millisecond},
		{2 * time.Minute, 10 * time.Second}, {10 * time.Minute, time.Minute}, {time.Hour, 5 * time.Minute},
		{24 * time.Hour, 2 * time.Hour}, {1, 1}, {90 * time.Second, 10 * time.Second}, {400 * time.Hour, 34 * time.Hour},
	}
	for _, tt := range tests {
		if got := roundInterval(tt.duration); got != tt.want {
			t.Errorf("roundInterval(%v) = %v, want %v", tt.duration, got, tt.want)
		}
	}
}
