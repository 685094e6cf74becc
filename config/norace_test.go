//go:build !race

package config

// raceFactor is 1 without the race detector.
const raceFactor = 1
