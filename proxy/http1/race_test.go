//go:build race

package http1

// raceEnabled: the race detector allocates, so allocations are not counted under it.
const raceEnabled = true
