package wire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/internal/lbtest"
)

func listening(t testing.TB, address string) *Listener {
	t.Helper()
	l, err := Listen(address)
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	return l
}

func TestDial(t *testing.T) {
	l := listening(t, "127.0.0.1:0")
	before := lbtest.Descriptors()
	c, err := Dial(l.Addr(), patience)
	must(t, err)
	peer, err := l.Accept()
	must(t, err)
	if c.Remote() != l.Addr() || peer.Local() != l.Addr() || c.Local() != peer.Remote() {
		t.Errorf("dialed %v from %v, accepted %v from %v", c.Remote(), c.Local(), peer.Local(), peer.Remote())
	}
	must(t, c.Write([]byte("x"), 0))
	b := make([]byte, 1)
	if n, err := peer.Read(b, soon()); n != 1 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	must(t, c.Close())
	must(t, peer.Close())
	if after := lbtest.Descriptors(); after != before {
		t.Errorf("%d descriptors, then %d", before, after)
	}
}

func TestDialMapped(t *testing.T) {
	l := listening(t, "127.0.0.1:0")
	mapped := netip.AddrPortFrom(netip.AddrFrom16(l.Addr().Addr().As16()), l.Addr().Port())
	c, err := Dial(mapped, patience)
	must(t, err)
	must(t, c.Close())
}

func TestDialRefused(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	before := lbtest.Descriptors()
	for range 20 {
		if _, err := Dial(l.Addr(), patience); !isErrno(err, syscall.ECONNREFUSED) {
			t.Fatalf("got %v, want ECONNREFUSED", err)
		}
	}
	if after := lbtest.Descriptors(); after != before {
		t.Errorf("%d descriptors, then %d", before, after)
	}
}

func TestDialUnreachable(t *testing.T) {
	before := lbtest.Descriptors()
	for _, s := range []string{"255.255.255.255:80", "[2001:db8::1%9999]:80"} {
		if _, err := Dial(netip.MustParseAddrPort(s), 50*time.Millisecond); err == nil {
			t.Errorf("dialed %s", s)
		}
	}
	if _, err := Dial(netip.AddrPort{}, 50*time.Millisecond); err == nil {
		t.Error("dialed no address")
	}
	if after := lbtest.Descriptors(); after != before {
		t.Errorf("%d descriptors, then %d", before, after)
	}
}

// TestDialTimeout dials a listener whose queue is full, which drops what comes.
func TestDialTimeout(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	must(t, unix.Listen(fd, 0))
	sa, err := unix.Getsockname(fd)
	must(t, err)
	addr := fromSockaddr(sa)
	for range 10 {
		began := time.Now()
		c, err := Dial(addr, 50*time.Millisecond)
		if err == nil {
			defer c.Close()
			continue
		}
		if d := time.Since(began); err != ErrTimeout || d < 50*time.Millisecond || d > patience {
			t.Errorf("%v after %v, want ErrTimeout after 50ms", err, d)
		}
		return
	}
	t.Error("the queue takes everybody")
}

// TestDialNotItself dials a port on which nobody listens, and which the kernel may choose for our
// side, as often as it takes to have it chosen.
func TestDialNotItself(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("tens of thousands of dials")
	}
	l, err := Listen("127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	addr := l.Addr()
	if addr.Port()%2 == 1 { // connect prefers the ports that are even, bind those that are odd
		addr = netip.AddrPortFrom(addr.Addr(), addr.Port()-1)
	}
	for i := range 30000 {
		c, err := Dial(addr, patience)
		if err == nil {
			local := c.Local()
			must(t, c.Abort())
			if local == addr {
				t.Fatalf("dialed itself at %v in attempt %d", addr, i)
			}
			t.Skipf("somebody else listens on %v", addr)
		}
	}
}

func TestAcceptMany(t *testing.T) {
	l := listening(t, "127.0.0.1:0")
	const clients = 200
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range clients / 4 {
				c, err := Dial(l.Addr(), patience)
				if err != nil {
					t.Error(err)
					return
				}
				b := make([]byte, 1)
				if n, err := c.Exchange([]byte("x"), b, soon(), soon()); n != 1 || err != nil {
					t.Errorf("got %d, %v", n, err)
				}
				_ = c.Close()
			}
		})
	}
	for range clients {
		c, err := l.Accept()
		must(t, err)
		b := make([]byte, 1)
		if _, err := c.Read(b, soon()); err != nil {
			t.Error(err)
		}
		must(t, c.Write(b, 0))
		must(t, c.Close())
	}
	wg.Wait()
}

// TestAcceptedOptions: what is set on the listening socket is inherited.
// TestAcceptAllocs: an accepted connection costs its Conn, and nothing else.
func TestAcceptAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const n = 50
	l, err := Listen("127.0.0.1:0")
	must(t, err)
	defer l.Close()
	for range n + 1 { // AllocsPerRun warms up once
		c, err := net.Dial("tcp", l.Addr().String())
		must(t, err)
		defer c.Close()
	}
	var all []*Conn
	all = slices.Grow(all, n+1)
	if got := testing.AllocsPerRun(n, func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		all = append(all, c)
	}); got != 1 {
		t.Errorf("%v allocations, want that of the Conn", got)
	}
	for _, c := range all {
		must(t, c.Close())
	}
}

func TestAcceptedOptions(t *testing.T) {
	l := listening(t, "127.0.0.1:0")
	d, err := Dial(l.Addr(), patience)
	must(t, err)
	defer d.Close()
	c, err := l.Accept()
	must(t, err)
	defer c.Close()
	for _, o := range []struct {
		name          string
		level, option int
		want          int
	}{
		{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
	} {
		if got, err := unix.GetsockoptInt(int(c.fd), o.level, o.option); got != o.want || err != nil {
			t.Errorf("%s is %d, %v, want %d", o.name, got, err, o.want)
		}
	}
	for _, fd := range []uintptr{c.fd, d.fd} {
		if flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 || err != nil {
			t.Errorf("the descriptor is inherited by children: %d, %v", flags, err)
		}
	}
}

func TestListenBusy(t *testing.T) {
	l := listening(t, "127.0.0.1:0")
	before := lbtest.Descriptors()
	_, err := Listen(l.Addr().String())
	if !isErrno(err, syscall.EADDRINUSE) {
		t.Errorf("got %v, want EADDRINUSE", err)
	}
	if after := lbtest.Descriptors(); after != before {
		t.Errorf("%d descriptors, then %d", before, after)
	}
}

func TestListenErrors(t *testing.T) {
	before := lbtest.Descriptors()
	for _, address := range []string{"", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536", "[::1:80", "192.0.2.1:0", "[2001:db8::1]:0"} {
		if l, err := Listen(address); err == nil {
			t.Errorf("Listen(%q) listens on %v", address, l.Addr())
			_ = l.Close()
		}
	}
	if after := lbtest.Descriptors(); after != before {
		t.Errorf("%d descriptors, then %d", before, after)
	}
}

// TestListenEverywhere: an empty host is every address, of IPv4 and IPv6; peers appear as IPv4.
func TestListenEverywhere(t *testing.T) {
	for _, address := range []string{":0", "[::]:0"} {
		l := listening(t, address)
		port := l.Addr().Port()
		for _, host := range []string{"127.0.0.1", "::1"} {
			to := netip.AddrPortFrom(netip.MustParseAddr(host), port)
			c, err := Dial(to, patience)
			if err != nil && host == "::1" {
				t.Logf("no IPv6 on this machine: %v", err)
				continue
			}
			must(t, err)
			peer, err := l.Accept()
			must(t, err)
			if peer.Local() != to || peer.Remote() != c.Local() {
				t.Errorf("accepted %v from %v, want %v from %v", peer.Local(), peer.Remote(), to, c.Local())
			}
			must(t, peer.Close())
			must(t, c.Close())
		}
	}
}

// TestListenIPv6Only: an IPv6 address does not take IPv4 connections, nor their port.
func TestListenIPv6Only(t *testing.T) {
	l, err := Listen("[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 on this machine: %v", err)
	}
	defer l.Close()
	l4, err := Listen(net.JoinHostPort("127.0.0.1", strconv.Itoa(int(l.Addr().Port()))))
	if err != nil {
		t.Skipf("the port is in use: %v", err)
	}
	must(t, l4.Close())
}

func TestListenerClose(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	must(t, err)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if _, err := l.Accept(); !errors.Is(err, ErrClosed) {
				t.Errorf("Accept: %v, want ErrClosed", err)
			}
		})
	}
	within(t, "Close", func() {
		must(t, l.Close())
		wg.Wait()
	})
	must(t, l.Close())
	if _, err := l.Accept(); !errors.Is(err, ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	again, err := Listen(l.Addr().String()) // the port is free when Close returns
	must(t, err)
	must(t, again.Close())
}

// TestListenerCloseResets: clients that nobody accepted do not wait for an answer.
func TestListenerCloseResets(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	must(t, err)
	c, err := Dial(l.Addr(), patience)
	must(t, err)
	defer c.Close()
	must(t, l.Close())
	if _, err := c.Read(make([]byte, 1), soon()); err == nil || err == ErrTimeout || err == io.ErrUnexpectedEOF {
		t.Errorf("got %v, want a reset", err)
	}
}

// listenFree listens on from, on a port on which nobody else is in the way of to: connections of other
// processes have ports too.
func listenFree(t *testing.T, from, to string) *Listener {
	t.Helper()
	for range 100 {
		probe, err := Listen(to + "0")
		must(t, err)
		port := probe.Addr().Port()
		must(t, probe.Close())
		if l, err := Listen(fmt.Sprintf("%s%d", from, port)); err == nil {
			return l
		}
	}
	t.Fatalf("no port is free on %s and %s", from, to)
	return nil
}

// A wildcard and one address of the same port can be exchanged for each other, whatever comes first,
// and nobody else can join.
func TestListenBeside(t *testing.T) {
	for _, tt := range []struct{ from, to string }{
		{"0.0.0.0:", "127.0.0.1:"}, {"127.0.0.1:", "0.0.0.0:"}, {":", "127.0.0.1:"}, {"127.0.0.1:", ":"}, {"0.0.0.0:", ":"}, {":", "0.0.0.0:"},
	} {
		t.Run(tt.from+" to "+tt.to, func(t *testing.T) {
			old := listenFree(t, tt.from, tt.to)
			defer old.Close()
			address := fmt.Sprintf("%s%d", tt.to, old.Addr().Port())
			alone := func(when string) {
				t.Helper()
				if l, err := Listen(address); !errors.Is(err, syscall.EADDRINUSE) {
					t.Errorf("%s another Listen got %v %v, want EADDRINUSE", when, l, err)
				}
			}
			alone("before,")
			l, err := ListenBeside(address, []*Listener{old})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			alone("beside,")
			if err := old.Close(); err != nil {
				t.Fatal(err)
			}
			alone("after,")
			if other, err := ListenBeside(address, nil); err == nil {
				other.Close()
				t.Error("somebody else could join")
			}
			conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", l.Addr().Port()))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
		})
	}
}

// A failure leaves the others as they were.
func TestListenBesideFails(t *testing.T) {
	old, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if l, err := ListenBeside("192.0.2.1:1", []*Listener{old}); err == nil {
		l.Close()
		t.Fatal("bound an address of somebody else")
	}
	if l, err := Listen(old.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("another Listen got %v %v, want EADDRINUSE", l, err)
	}
}

// Whoever connects to a socket that ends meets its successor.
func TestEndHandshakes(t *testing.T) {
	old, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	address := old.Addr().String()
	early, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	l, err := ListenBeside(fmt.Sprintf("0.0.0.0:%d", old.Addr().Port()), []*Listener{old})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := old.EndHandshakes(); err != nil {
		t.Fatal(err)
	}
	late := make(chan error, 1)
	go func() {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			err = conn.Close()
		}
		late <- err
	}()
	select {
	case err := <-late:
		t.Fatalf("a late client: %v, want it to wait", err)
	case <-time.After(50 * time.Millisecond):
	}
	if c := old.Queued(); c == nil {
		t.Error("the early client is lost")
	} else {
		if _, err := early.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 2), Now()+int64(time.Second)); n != 1 || err != nil {
			t.Errorf("from the early client: %d bytes, %v", n, err)
		}
		c.Close()
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-late; err != nil {
		t.Errorf("the late client: %v", err)
	}
}

func TestQueued(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if c := l.Queued(); c != nil {
		t.Fatal("a connection that nobody made")
	}
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := l.Queued()
	if c == nil {
		t.Fatal("no connection")
	}
	if got, want := c.Remote().String(), conn.LocalAddr().String(); got != want {
		t.Errorf("the connection of %s, want %s", got, want)
	}
	c.Close()
	if c := l.Queued(); c != nil {
		t.Error("one connection came twice")
	}
}
