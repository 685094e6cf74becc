package admit

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	p := NewPace(4)
	const ms = int64(time.Millisecond)
	steps := []struct {
		name string
		now  int64
		ask  int
		want int
		wait time.Duration // afterwards
	}{
		{"a second's worth at once", 0, 10, 4, 250 * time.Millisecond},
		{"1 ns early", 250*ms - 1, 10, 0, 1},
		{"on time", 250 * ms, 10, 1, 250 * time.Millisecond},
		{"half a second later", 750 * ms, 10, 2, 250 * time.Millisecond},
		{"an older reading", 700 * ms, 10, 0, 300 * time.Millisecond},
		{"not all is taken", 3000 * ms, 2, 2, 0},
		{"what was left", 3000 * ms, 10, 2, 250 * time.Millisecond},
		{"no more than a second is saved up", 3600 * second, 10, 4, 250 * time.Millisecond},
	}
	for _, s := range steps {
		got := 0
		for range s.ask {
			if p.Allow(s.now) {
				got++
			}
		}
		if got != s.want {
			t.Fatalf("%s: %d of %d at %d, want %d", s.name, got, s.ask, s.now, s.want)
		}
		for range 2 { // Wait takes nothing
			if wait := p.Wait(s.now); wait != s.wait {
				t.Fatalf("%s: wait %v, want %v", s.name, wait, s.wait)
			}
		}
	}
}

func TestPaceBounds(t *testing.T) {
	tests := []struct {
		perSecond int
		within    int64 // ns after the burst
		want      int
	}{
		{1, 10 * second, 10},
		{7, 10 * second, 70},
		{20_000, second / 10, 2000},
		{1_000_000_000, 1000, 1000},
		{math.MaxInt, 1000, 1000},
	}
	for _, tt := range tests {
		p := NewPace(tt.perSecond)
		start := 3600 * second
		p.state.Store(start + p.gcra.span) // the burst is used up
		if p.Allow(start) {
			t.Errorf("%d a second: the burst is longer than a second", tt.perSecond)
		}
		got := 0
		for now := start; now <= start+tt.within; now += max(int64(p.Wait(now)), 1) {
			if p.Allow(now) {
				got++
			}
		}
		if got < tt.want-1 || got > tt.want {
			t.Errorf("%d a second: %d within %d ns, want %d", tt.perSecond, got, tt.within, tt.want)
		}
	}
	if NewPace(-1) != nil {
		t.Error("a negative pace is a limit")
	}
}

// TestPaceConcurrent asks for so many that goroutines meet often.
func TestPaceConcurrent(t *testing.T) {
	const perSecond = 200_000
	p := NewPace(perSecond)
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			n := int64(0)
			for range perSecond / 2 {
				if p.Allow(second) {
					n++
				}
			}
			taken.Add(n)
		})
	}
	wg.Wait()
	if n := taken.Load(); n != perSecond {
		t.Errorf("%d were allowed at one moment, want %d", n, perSecond)
	}
}

func TestPaceAllocs(t *testing.T) {
	p, now := NewPace(10), int64(0)
	noAllocs(t, "Pace", func() { now += 1e7; p.Allow(now); p.Wait(now) })
}

func BenchmarkPace(b *testing.B) {
	p := NewPace(1e6)
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		p.Allow(i * 900)
	}
}
