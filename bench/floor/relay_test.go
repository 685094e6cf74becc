package floor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo runs a backend that sends back what it receives, and counts its connections.
func echo(t *testing.T) (netip.AddrPort, func() int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		serving sync.WaitGroup
		mu      sync.Mutex
		conns   int
	)
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns++
			mu.Unlock()
			serving.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	return l.Addr().(*net.TCPAddr).AddrPort(), func() int {
		mu.Lock()
		defer mu.Unlock()
		return conns
	}
}

// relay runs a Relay until the test ends.
func relay(t *testing.T, open int, backends ...netip.AddrPort) *Relay {
	t.Helper()
	r, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), backends, open)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- r.Run() }()
	t.Cleanup(func() {
		if err := errors.Join(r.Stop(), <-done, r.Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func dial(t *testing.T, r *Relay) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", r.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRelayForwards(t *testing.T) {
	backend, accepted := echo(t)
	r := relay(t, 2, backend)
	var clients []net.Conn
	for range 3 { // one more than were opened before
		clients = append(clients, dial(t, r))
	}
	for round := range 20 {
		for i, c := range clients {
			said := fmt.Appendf(nil, "client %d round %d", i, round)
			if _, err := c.Write(said); err != nil {
				t.Fatal(err)
			}
			heard := make([]byte, len(said))
			if _, err := io.ReadFull(c, heard); err != nil || !bytes.Equal(heard, said) {
				t.Fatalf("got %q, %v, want %q", heard, err, said)
			}
		}
	}
	if got := accepted(); got != 3 {
		t.Errorf("got %d backend connections, want 3", got)
	}
}

// TestSendAllWaits sends more than a socket holds.
func TestSendAllWaits(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	reader := os.NewFile(uintptr(pair[1]), "reader")
	said := bytes.Repeat([]byte("0123456789"), 1_000_000)
	heard := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(reader)
		heard <- b
	}()
	if !SendAll(pair[0], said) {
		t.Error("SendAll says that the connection is broken")
	}
	if err := unix.Close(pair[0]); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; !bytes.Equal(got, said) {
		t.Errorf("got %d bytes, want the %d that were sent", len(got), len(said))
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRelayManyReceives(t *testing.T) {
	backend, _ := echo(t)
	c := dial(t, relay(t, 1, backend))
	for range 50 {
		said := bytes.Repeat([]byte("x"), 20_000)
		if _, err := c.Write(said); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, said); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRelayEndsPairs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := relay(t, 1, l.Addr().(*net.TCPAddr).AddrPort())
	c := dial(t, r)
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("got %v after the backend closed, want EOF", err)
	}

	second := dial(t, r) // nothing spare: dialled on accept
	b, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("got %v after the client closed, want EOF", err)
	}
}

func TestListenRefuses(t *testing.T) {
	any4 := netip.MustParseAddrPort("127.0.0.1:0")
	if _, err := Listen(any4, nil, 1); err == nil {
		t.Error("got no error without backends")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := l.Addr().(*net.TCPAddr).AddrPort()
	if _, err := Listen(taken, []netip.AddrPort{taken}, 1); err == nil {
		t.Error("got no error for an address in use")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(any4, []netip.AddrPort{taken}, 1); err == nil {
		t.Error("got no error for a backend that refuses")
	}
}

func ExampleRelay() {
	r, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	done := make(chan error, 1)
	go func() { done <- r.Run() }()
	fmt.Println(r.Addr().Port() != 0)
	fmt.Println(r.Stop(), <-done, r.Close())
	// Output:
	// true
	// <nil> <nil> <nil>
}
