//go:build race

package message

// raceEnabled: the race detector allocates, so allocations are not counted under it.
const raceEnabled = true
