package contest

import (
	"math"
	"slices"
	"testing"
)

func TestSpread(t *testing.T) {
	tests := []struct {
		name   string
		values []float64
		want   Spread
	}{
		{"none", nil, Spread{}},
		{"one", []float64{3}, Spread{3, 3, 3}},
		{"odd", []float64{9, 1, 2}, Spread{2, 1, 9}},
		{"even", []float64{4, 1, 2, 9}, Spread{3, 1, 9}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := slices.Clone(tt.values)
			if got := spread(tt.values); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if !slices.Equal(tt.values, before) {
				t.Errorf("the values were reordered to %v", tt.values)
			}
		})
	}
}

// turnsOf makes turns with the CPU figures of each contestant, one a round; 0: it had no turn.
func turnsOf(figures map[string][]float64) []Turn {
	var turns []Turn
	for name, values := range figures {
		for i, v := range values {
			if v > 0 {
				turns = append(turns, Turn{Round: i + 1, Contestant: name, CPUMicros: v, P99Micros: 10 * v})
			}
		}
	}
	return turns
}

func TestRatio(t *testing.T) {
	turns := turnsOf(map[string][]float64{
		Weir:    {10, 20, 12},
		Haproxy: {20, 40, 15}, // drifts with weir: half of it twice
		Nginx:   {16, 16, 16},
		Floor:   {8, 0, 8},
	})
	tests := []struct {
		name         string
		to           []string
		rounds       []float64
		noDifference bool
	}{
		{"by round, not of medians", []string{Haproxy}, []float64{0.5, 0.5, 0.8}, false},
		{"range over 1", []string{Nginx}, []float64{0.625, 1.25, 0.75}, true},
		{"better of two in each round", []string{Haproxy, Nginx}, []float64{0.625, 1.25, 0.8}, true},
		{"only rounds of both", []string{Floor}, []float64{1.25, 1.5}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := ratio(CPU, turns, Weir, tt.to...)
			if !ok || !slices.EqualFunc(got.Rounds, tt.rounds, near) {
				t.Fatalf("got %v, %v, want %v", got.Rounds, ok, tt.rounds)
			}
			if got.Spread != spread(got.Rounds) || got.NoDifference != tt.noDifference {
				t.Errorf("got %+v, no difference %v, want %v", got.Spread, got.NoDifference, tt.noDifference)
			}
		})
	}
	if r, ok := ratio(CPU, turns, Weir, "caddy"); ok {
		t.Errorf("got %v against a contestant that did not take part", r)
	}
	if r, ok := ratio(P99, turns, Weir, Haproxy); !ok || !near(r.Median, 0.5) {
		t.Errorf("got %v, %v for the p99", r, ok)
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestRatios(t *testing.T) {
	all := ratios(turnsOf(map[string][]float64{Weir: {1}, Haproxy: {2}, Nginx: {4}, Floor: {1}}), []Measure{CPU, P99})
	var got []string
	for _, r := range all {
		got = append(got, r.Measure.words("request")+": "+r.pair())
	}
	want := []string{
		"CPU per request: weir / haproxy", "CPU per request: weir / nginx", "CPU per request: weir / better of haproxy and nginx",
		"CPU per request: weir / floor", "CPU per request: haproxy / floor", "CPU per request: nginx / floor",
		"p99 latency: weir / haproxy", "p99 latency: weir / nginx", "p99 latency: weir / better of haproxy and nginx",
		"p99 latency: weir / floor", "p99 latency: haproxy / floor", "p99 latency: nginx / floor",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := ratios(turnsOf(map[string][]float64{Nginx: {1}}), []Measure{CPU}); len(got) != 0 {
		t.Errorf("got %v with one contestant, want none", got)
	}
}

func TestVerdict(t *testing.T) {
	tests := []struct {
		rounds []float64
		want   string
	}{
		{[]float64{0.5}, "one round: no range"},
		{[]float64{0.9, 1.1}, "no difference"},
		{[]float64{0.9, 1}, "no difference"},
		{[]float64{0.9, 0.8}, "15 % less"},
		{[]float64{1.2, 1.4}, "30 % more"},
	}
	for _, tt := range tests {
		turns := turnsOf(map[string][]float64{Weir: tt.rounds, Nginx: slices.Repeat([]float64{1}, len(tt.rounds))})
		if r, ok := ratio(CPU, turns, Weir, Nginx); !ok || r.verdict() != tt.want {
			t.Errorf("%v: got %q, want %q", tt.rounds, r.verdict(), tt.want)
		}
	}
}

func TestPromised(t *testing.T) {
	tests := []struct {
		rounds []float64
		target Target
		want   string
	}{
		{[]float64{0.8, 0.85}, Target{Must: 0.95, Aim: 0.86}, "0.95, aim 0.86: aim reached"},
		{[]float64{0.8, 0.9}, Target{Must: 0.95, Aim: 0.86}, "0.95, aim 0.86: reached"},
		{[]float64{0.8, 0.9}, Target{Must: 0.95}, "0.95: reached"},
		{[]float64{0.9, 1}, Target{Must: 0.95}, "0.95: within its range"},
		{[]float64{0.96, 1}, Target{Must: 0.95, Aim: 0.9}, "0.95, aim 0.90: missed"},
		{[]float64{0.96, 1}, Target{}, ""},
	}
	for _, tt := range tests {
		turns := turnsOf(map[string][]float64{Weir: tt.rounds, Nginx: slices.Repeat([]float64{1}, len(tt.rounds))})
		all := ratios(turns, []Measure{CPU, P99})
		tt.target.To = []string{Nginx}
		promise(all, []Target{tt.target})
		if len(all) != 2 || all[0].promise() != tt.want || all[1].promise() != "" {
			t.Errorf("%v: got %q, and %q for the p99", tt.rounds, all[0].promise(), all[1].promise())
		}
	}
}
