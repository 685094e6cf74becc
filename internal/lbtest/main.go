package lbtest

import (
	"fmt"
	"net"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Main is the TestMain of packages that open sockets: it runs the tests, and fails if they have left
// goroutines or descriptors behind.
func Main(m *testing.M) {
	warm, err := net.Listen("tcp", "127.0.0.1:0") // the runtime's poller has descriptors of its own
	if err == nil {
		err = warm.Close()
	}
	if err != nil {
		panic(err)
	}
	before := Descriptors()
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if after := Descriptors(); code == 0 && after > before {
			fmt.Fprintf(os.Stderr, "%d descriptors are open after the tests, want %d\n", after, before)
			code = 1
		}
		os.Exit(code)
	}))
}

// Descriptors counts the open descriptors of this process.
func Descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	return len(entries)
}
