//go:build race

package config

// raceFactor is how much slower the race detector makes a load.
const raceFactor = 15
