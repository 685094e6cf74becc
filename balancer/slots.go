package balancer

import (
	"math"
	"slices"
)

// fraction is the finest part of a weight that the cycle of a ramping pool resolves.
const fraction = 1000

// slotsOf turns weights into slots of a cycle, at least one each, and reports the largest relative
// error of a share that this costs. Whole weights are kept, divided by what all have in common;
// with others a slot stands for a thousandth. Above maxSlots the slots are scaled down, the largest
// remainders rounded up.
func slotsOf(weights []float64) (slots []int, shareError float64) {
	unit := 1.0
	if slices.ContainsFunc(weights, func(w float64) bool { return w != math.Trunc(w) }) {
		unit = fraction
	}
	slots = make([]int, len(weights))
	divisor, sum := 0, 0
	for i, w := range weights {
		slots[i] = max(1, int(math.Round(w*unit)))
		divisor = gcd(divisor, slots[i])
		sum += slots[i]
	}
	for i := range slots {
		slots[i] /= divisor
	}
	if sum /= divisor; sum > maxSlots {
		scale(slots, sum)
	}
	return slots, shareErrorOf(weights, slots)
}

// scale shrinks slots, whose sum is given, to maxSlots in total.
func scale(slots []int, sum int) {
	// Each gets its first slot; the others are shared by what the weights claim beyond that one.
	type claim struct{ index, remainder int }
	claims := make([]claim, len(slots))
	free := maxSlots - len(slots)
	beyond := 0
	for _, w := range slots {
		beyond += max(0, w*maxSlots-sum)
	}
	left := free
	for i, w := range slots {
		want := max(0, w*maxSlots-sum)
		slots[i] = 1 + want*free/beyond
		claims[i] = claim{i, want * free % beyond}
		left -= slots[i] - 1
	}
	slices.SortStableFunc(claims, func(a, b claim) int { return b.remainder - a.remainder })
	for _, c := range claims[:left] {
		slots[c.index]++
	}
}

func shareErrorOf(weights []float64, slots []int) (worst float64) {
	var weight float64
	length := 0
	for i := range slots {
		weight += weights[i]
		length += slots[i]
	}
	for i := range slots {
		share := float64(slots[i]) / float64(length)
		worst = max(worst, math.Abs(share*weight/weights[i]-1))
	}
	if worst < 1e-9 { // the sums above are not exact, equal shares are
		return 0
	}
	return worst
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
