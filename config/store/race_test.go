//go:build race

package store

// slower divides the work of long tests under the race detector.
const slower = 5
