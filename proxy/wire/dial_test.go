package wire

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// crowded is a socket that listens and whose queue is full: it answers to nobody until somebody is
// accepted.
func crowded(t *testing.T) (fd int, addr netip.AddrPort) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	must(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	must(t, unix.Listen(fd, 0))
	name, err := unix.Getsockname(fd)
	must(t, err)
	addr = fromSockaddr(name)
	first, connected, err := Connect(addr) // it fills the queue
	must(t, err)
	t.Cleanup(func() { _ = first.Close() })
	if !connected {
		t.Fatal("the first one has to wait")
	}
	return fd, addr
}

// TestRelaysAwaitConnect waits for connects that are over later, or never.
func TestRelaysAwaitConnect(t *testing.T) {
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		then    func(fd int, c *Conn)
		want    error
	}{
		{"answered later", patience, func(fd int, _ *Conn) {
			taken, _, err := unix.Accept(fd) // the next SYN finds a place
			if err == nil {
				_ = unix.Close(taken)
			}
		}, nil},
		{"never answered", 50 * time.Millisecond, func(int, *Conn) {}, ErrTimeout},
		{"ended from outside", 0, func(_ int, c *Conn) { c.Shutdown() }, syscall.ECONNRESET},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rs := relaysOf(t)
			fd, addr := crowded(t)
			c, connected, err := Connect(addr)
			must(t, err)
			if connected {
				t.Fatal("there was a place for the second one")
			}
			begun := time.Now()
			over := make(chan error, 1)
			go func() { over <- rs.AwaitConnect(c, tt.timeout) }()
			tt.then(fd, c)
			select {
			case err = <-over:
			case <-time.After(patience):
				t.Fatal("the wait does not end")
			}
			if !errors.Is(err, tt.want) || err != nil && tt.want == nil {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if d := time.Since(begun); tt.want == ErrTimeout && d < tt.timeout {
				t.Errorf("ended after %v, want %v", d, tt.timeout)
			}
			if n := waitingIn(rs); n != 0 {
				t.Errorf("%d sockets are waited for, want none", n)
			}
			must(t, c.Close())
		})
	}
}

// waitingIn is how many sockets are waited for.
func waitingIn(rs *Relays) (n int) {
	for _, s := range rs.sets {
		s.mu.Lock()
		for _, w := range s.waiting {
			if w.hearer != nil {
				n++
			}
		}
		s.mu.Unlock()
	}
	return n
}
