//go:build race

package proxy

// racing says that the race detector is in, which allocates.
const racing = true
