//go:build race

package datagram

// raceEnabled says that the race detector is there, which allocates and is slow.
const raceEnabled = true
