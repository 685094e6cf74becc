//go:build !race

package main

// racing says that the race detector is in.
const racing = false
