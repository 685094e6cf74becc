//go:build race

package sniff

// raceEnabled: the race detector allocates, so allocations are not counted under it.
const raceEnabled = true
