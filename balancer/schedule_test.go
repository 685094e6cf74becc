package balancer

import (
	"math/rand/v2"
	"testing"
)

// checkCycle fails unless the cycle has exactly turns[i] slots of each and every prefix is within
// 1-1/(2n-2) slots of the ideal.
func checkCycle(t *testing.T, turns []int, cycle []uint16) {
	t.Helper()
	length := 0
	for _, w := range turns {
		length += w
	}
	if len(cycle) != length {
		t.Fatalf("turns %v: cycle has %d slots, want %d", turns, len(cycle), length)
	}
	taken := make([]int, len(turns))
	for slot, i := range cycle {
		taken[i]++
		for n, w := range turns {
			// |taken - w/length × prefix| ≤ 1-1/(2n-2), in whole numbers.
			parts := max(2*len(turns)-2, 1)
			if off := abs(taken[n]*length - w*(slot+1)); off*parts > length*(parts-1) {
				t.Fatalf("turns %v: after %d slots %d has %d, want within %d/%d of %d/%d",
					turns, slot+1, n, taken[n], parts-1, parts, w*(slot+1), length)
			}
		}
	}
	for n, w := range turns {
		if taken[n] != w {
			t.Fatalf("turns %v: %d has %d slots of the cycle, want %d", turns, n, taken[n], w)
		}
	}
}

func abs(n int) int { return max(n, -n) }

func TestScheduleIsExactAndWithinOnePick(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		turns := make([]int, 1+rng.IntN(12))
		for i := range turns {
			turns[i] = 1 + rng.IntN(1+rng.IntN(256))
		}
		checkCycle(t, turns, schedule(turns, nil))
		down := rng.IntN(len(turns))
		if rest := append(append([]int{}, turns[:down]...), turns[down+1:]...); len(rest) > 0 {
			checkCycle(t, rest, schedule(rest, nil))
		}
	}
}

func BenchmarkSchedule(b *testing.B) {
	for _, n := range []int{4, 64, 1024} {
		turns := make([]int, n)
		for i := range turns {
			turns[i] = maxSlots/n - i%2
		}
		b.Run(itoa(n), func(b *testing.B) {
			for b.Loop() {
				schedule(turns, nil)
			}
		})
	}
}
