package lbtest

import (
	"testing"
	"time"
)

// Eventually returns as soon as cond is true, which it asks for every millisecond, and fails the
// test if that is not so within timeout. cond must not block.
func Eventually(t testing.TB, timeout time.Duration, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(timeout)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("condition not met within %v", timeout)
		}
		<-tick.C
	}
}
