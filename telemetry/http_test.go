package telemetry

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestParseMethod(t *testing.T) {
	for m := MethodGet; m < methodCount; m++ {
		if got := ParseMethod([]byte(m.String())); got != m {
			t.Errorf("ParseMethod(%q) = %v", m.String(), got)
		}
	}
	for _, s := range []string{"", "get", "GE", "GETS", "BREW", "_OTHER", "\x00"} {
		if got := ParseMethod([]byte(s)); got != MethodOther {
			t.Errorf("ParseMethod(%q) = %v, want _OTHER", s, got)
		}
	}
	if got := Method(200).String(); got != "_OTHER" {
		t.Errorf("a method outside the set is %q", got)
	}
}

func FuzzParseMethod(f *testing.F) {
	f.Add([]byte("GET"))
	f.Add([]byte("PROPFIND"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m := ParseMethod(b); m != MethodOther && m.String() != string(b) {
			t.Errorf("ParseMethod(%q) = %v", b, m)
		}
	})
}

func TestEveryOutcomeHasAWord(t *testing.T) {
	seen := make(map[string]bool)
	for o := range outcomeCount {
		word := o.String()
		if word == "" || seen[word] {
			t.Errorf("outcome %d: word %q is empty or used twice", o, word)
		}
		seen[word] = true
		if want := word == "ok" || word == "retried_ok" || word == "expired"; o.Success() != want {
			t.Errorf("%s.Success() = %v", word, o.Success())
		}
	}
	for o, want := range map[Outcome]string{
		OutcomeTunnelIdle: "tunnel_idle", OutcomeRateLimited: "rate_limited", OutcomeDenied: "denied",
	} {
		if got := o.String(); got != want {
			t.Errorf("outcome %d is %q, want %q", o, got, want)
		}
	}
	if got := Outcome(255).String(); got != "internal_error" {
		t.Errorf("an outcome outside the set is %q", got)
	}
}

func TestCodeLabelsAreBounded(t *testing.T) {
	tests := []struct {
		status int
		want   string
	}{
		{0, "none"}, {100, "100"}, {200, "200"}, {418, "418"}, {599, "599"}, {600, "6xx"}, {999, "9xx"},
		{99, "other"}, {1, "other"}, {-1, "other"}, {1000, "other"}, {1 << 40, "other"},
	}
	for _, tt := range tests {
		if got := codeLabel(codeOf(tt.status)); got != tt.want {
			t.Errorf("status %d has label %q, want %q", tt.status, got, tt.want)
		}
	}
	labels := make(map[string]bool)
	for status := -2000; status < 70000; status++ {
		labels[codeLabel(codeOf(status))] = true
	}
	if len(labels) != 500+4+2 {
		t.Errorf("%d labels, want 506", len(labels))
	}
}

// Every combination has a tally of its own, also after the table has grown many times.
func TestTalliesAreExactAcrossGrowth(t *testing.T) {
	r := newResponses(1)
	times := func(m Method, status int, o Outcome) int { return int(m)*7 + status%5 + int(o) + 1 }
	statuses := []int{0, 7, 200, 204, 301, 304, 404, 500, 503, 700}
	for round := range 2 {
		for m := range methodCount {
			for _, status := range statuses {
				for o := range outcomeCount {
					for range times(m, status, o) {
						r.add(Shard(round), m, status, o)
					}
				}
			}
		}
	}
	visited := 0
	r.each(func(got *tally) {
		visited++
		status := int(got.code)
		switch codeLabel(got.code) {
		case "other":
			status = 7
		case "7xx":
			status = 700
		}
		if n, want := got.count.sum(), uint64(2*times(got.method, status, got.outcome)); n != want {
			t.Errorf("%v %d %v: %d, want %d", got.method, status, got.outcome, n, want)
		}
	})
	if want := int(methodCount) * len(statuses) * int(outcomeCount); visited != want {
		t.Errorf("%d tallies, want %d", visited, want)
	}
}

func TestValuesOutsideTheirSetsAreCountedAsOther(t *testing.T) {
	r := newResponses(1)
	for i := range 256 {
		r.add(0, Method(i), 200, Outcome(i))
	}
	r.each(func(got *tally) {
		if got.method >= methodCount || got.outcome >= outcomeCount {
			t.Errorf("tally of method %d, outcome %d", got.method, got.outcome)
		}
	})
}

// Concurrent requests are counted exactly, in every counter.
func TestDoneIsExactUnderConcurrency(t *testing.T) {
	const goroutines, each = 8, 3000
	r := New(Options{})
	h := r.HTTP("web", "app")
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			s := r.NextShard()
			for i := range each {
				h.Done(s, Exchange{
					Method:   Method(i % int(methodCount)),
					Status:   200 + i%40,
					Duration: time.Duration(g+1) * time.Millisecond,
					In:       3,
					Out:      5,
					Outcome:  Outcome(i % 2),
				})
			}
			h.Bytes(s, 1000, 0)
			h.Bytes(s, -1, -1)
		})
	}
	wg.Wait()
	want := HTTPCounts{Requests: goroutines * each, In: goroutines * (3*each + 1000), Out: goroutines * 5 * each}
	if got := h.Counts(); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	l := h.Latency()
	if l.Count() != goroutines*each {
		t.Errorf("%d latencies, want %d", l.Count(), goroutines*each)
	}
	if got, want := l.Sum(), 0.001*each*(1+2+3+4+5+6+7+8); fmt.Sprintf("%.6f", got) != fmt.Sprintf("%.6f", want) {
		t.Errorf("sum %v s, want %v s", got, want)
	}
}

func TestShardsComeInTurn(t *testing.T) {
	r := New(Options{})
	r.shards = 4
	seen := make(map[Shard]int)
	for range 40 {
		seen[r.NextShard()]++
	}
	for s := range Shard(4) {
		if seen[s] != 10 {
			t.Errorf("shard %d was handed out %d times, want 10 (%v)", s, seen[s], seen)
		}
	}
	if n := shardCount(); n&(n-1) != 0 {
		t.Errorf("%d shards, want a power of two", n)
	}
}
