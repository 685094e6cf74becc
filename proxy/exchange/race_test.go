//go:build race

package exchange

// raceEnabled: the race detector allocates, so allocations are not counted under it.
const raceEnabled = true
