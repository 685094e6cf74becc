package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"weir/internal/lbtest"
)

// maxInput bounds what is fuzzed: buffers see nothing new in longer messages.
const maxInput = 32 << 10

// bytesRig is a server in front of one backend, for one input after the other.
type bytesRig struct {
	*rig
	backend    *lbtest.TCP
	goroutines int // before the input at hand, besides those of the backend's connections
}

// newBytesRig takes what the configuration has of the listener and of the pool.
func newBytesRig(t testing.TB, backend *lbtest.TCP, listener, pool string) *bytesRig {
	t.Helper()
	return &bytesRig{rig: start(t, site(listener, pool, backend.Addr())), backend: backend}
}

// exchange sends input in pieces, and then the end of the stream. It returns all that comes back, and
// whether a reset cut it off. Nothing is left behind then, and all that was sent has arrived.
func (b *bytesRig) exchange(t testing.TB, input []byte, pieces int) (answer string, cut bool) {
	t.Helper()
	b.goroutines = b.running() - int(b.backend.Open())
	conn, err := net.Dial("tcp", b.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience / 2)); err != nil {
		t.Fatal(err)
	}
	size := max(1, (len(input)+pieces-1)/max(pieces, 1))
	for rest := input; len(rest) > 0; {
		n := min(size, len(rest))
		if _, err := conn.Write(rest[:n]); err != nil {
			break // it was refused: the answer is there
		}
		rest = rest[n:]
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	all, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("neither an answer nor an end to %q; so far %q", input, all)
	}
	b.settle(t)
	return string(all), err != nil
}

// running is the number of goroutines but for those that wait to be used again.
func (b *bytesRig) running() int { return runtime.NumGoroutine() - b.s.engine.Arrivals.Spare() }

// settle waits until the exchange has left nothing behind.
func (b *bytesRig) settle(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(patience / 2)
	for i := 0; !b.settled(); i++ {
		if i < 100 {
			runtime.Gosched()
			continue
		}
		if <-time.After(50 * time.Microsecond); time.Now().After(deadline) {
			t.Fatalf("left behind: %d client connections, %d leases, %+v of the backend and %d at it, %d goroutines of %d",
				b.connections(), b.leases(), b.stats.Backend("app", "b1").Counts(), b.backend.Open(), b.running(), b.goroutines)
		}
	}
}

// settled: besides the rest, the backend has seen every connection, and every end of one.
func (b *bytesRig) settled() bool {
	if b.connections() != 0 || b.leases() != 0 {
		return false
	}
	c, open := b.stats.Backend("app", "b1").Counts(), b.backend.Open()
	return int64(c.Opened) == b.backend.Accepted() && int64(c.Open) >= open && b.running() <= b.goroutines+int(open)
}
