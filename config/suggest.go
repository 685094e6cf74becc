package config

import "strings"

// Closest returns the word that was most probably meant by got, or nothing. Ties go to the first.
func Closest(got string, words []string) string { return closest(got, words) }

// closest returns the word that was most probably meant by got, or nothing. Ties go to the first.
func closest(got string, words []string) string {
	const longest = 64 // nobody means a short word by a long one
	if len(got) > longest {
		return ""
	}
	got = strings.ToLower(got)
	best, bestDistance := "", 0
	for _, word := range words {
		lower := strings.ToLower(word)
		most := 1 + max(len(got), len(lower))/4
		d := editDistance(got, lower)
		if d > most || d >= max(len(got), len(lower)) {
			continue
		}
		if best == "" || d < bestDistance {
			best, bestDistance = word, d
		}
	}
	if best != "" || len(got) < 4 {
		return best
	}
	for _, word := range words {
		if lower := strings.ToLower(word); strings.Contains(lower, got) || len(lower) >= 4 && strings.Contains(got, lower) {
			return word
		}
	}
	return ""
}

// editDistance counts the insertions, deletions, replacements and swaps of neighbours that turn a
// into b.
func editDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
