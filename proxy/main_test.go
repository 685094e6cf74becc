package proxy

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain looks for what the tests of the package have left behind: goroutines and sockets.
func TestMain(m *testing.M) {
	// The runtime's poller makes descriptors of its own with the first socket.
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close()
	}
	before := sockets()
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if after := sockets(); code == 0 && after != before {
			fmt.Fprintf(os.Stderr, "%d sockets are open after the tests, want %d\n", after, before)
			code = 1
		}
		os.Exit(code)
	}))
}

// sockets counts the descriptors of this process that are sockets or epoll sets.
func sockets() int {
	n := 0
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, l := range links {
		target, err := os.Readlink(l)
		if err == nil && (strings.HasPrefix(target, "socket:") || strings.Contains(target, "[eventpoll]")) {
			n++
		}
	}
	return n
}
