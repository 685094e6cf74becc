package contest

import (
	"fmt"
	"slices"
)

// Spread is a median with its range.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spread summarises values; without any it is zero.
func spread(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	median := sorted[mid]
	if len(sorted)%2 == 0 {
		median = (sorted[mid-1] + sorted[mid]) / 2
	}
	return Spread{Median: median, Min: sorted[0], Max: sorted[len(sorted)-1]}
}

// Measure is a figure that is compared: less is better.
type Measure string

// The measures.
const (
	CPU Measure = "CPU" // per unit of the scenario
	P50 Measure = "p50 latency"
	P99 Measure = "p99 latency"
)

// words name the measure with the unit.
func (m Measure) words(unit string) string {
	if m == CPU {
		return "CPU per " + unit
	}
	return string(m)
}

func (m Measure) of(t Turn) float64 {
	switch m {
	case CPU:
		return t.CPUMicros
	case P50:
		return t.P50Micros
	case P99:
		return t.P99Micros
	}
	panic(fmt.Sprintf("contest: measure %q", string(m)))
}

// Ratio compares a contestant with another, or with the best of several, by one measure. Each round
// gives one ratio, so that drift of the machine cancels out.
type Ratio struct {
	Measure Measure   `json:"measure"`
	Of      string    `json:"of"`
	To      []string  `json:"to"`
	Rounds  []float64 `json:"rounds"`
	Spread
	NoDifference bool    `json:"no_difference"`  // the range includes 1
	Must         float64 `json:"must,omitempty"` // what weir has promised; 0: nothing
	Aim          float64 `json:"aim,omitempty"`
}

// ratio takes the rounds in which all that it needs took part; ok: there was one.
func ratio(m Measure, turns []Turn, of string, to ...string) (r Ratio, ok bool) {
	r = Ratio{Measure: m, Of: of, To: to}
	byRound := map[int]map[string]float64{}
	for _, t := range turns {
		if byRound[t.Round] == nil {
			byRound[t.Round] = map[string]float64{}
		}
		byRound[t.Round][t.Contestant] = m.of(t)
	}
	for round := 1; round <= len(byRound); round++ {
		values := byRound[round]
		own, present := values[of]
		var best []float64
		for _, name := range to {
			if v := values[name]; v > 0 {
				best = append(best, v)
			}
		}
		if !present || len(best) < len(to) {
			continue
		}
		r.Rounds = append(r.Rounds, own/slices.Min(best))
	}
	if len(r.Rounds) == 0 {
		return Ratio{}, false
	}
	r.Spread = spread(r.Rounds)
	r.NoDifference = r.Min <= 1 && r.Max >= 1
	return r, true
}

// promise gives the ratios what weir has promised of them.
func promise(all []Ratio, targets []Target) {
	for i, r := range all {
		for _, t := range targets {
			if r.Measure == CPU && r.Of == Weir && slices.Equal(r.To, t.To) {
				all[i].Must, all[i].Aim = t.Must, t.Aim
			}
		}
	}
}

// ratios are weir against each peer and against the better of them, and all against the floor.
func ratios(turns []Turn, measures []Measure) []Ratio {
	pairs := []struct {
		of string
		to []string
	}{
		{Weir, []string{Haproxy}},
		{Weir, []string{HaproxyCopy}},
		{Weir, []string{Nginx}},
		{Weir, []string{Haproxy, Nginx}},
		{Weir, []string{Floor}},
		{Haproxy, []string{Floor}},
		{Nginx, []string{Floor}},
	}
	var all []Ratio
	for _, m := range measures {
		for _, p := range pairs {
			if r, ok := ratio(m, turns, p.of, p.to...); ok {
				all = append(all, r)
			}
		}
	}
	return all
}
