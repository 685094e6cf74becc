package wire

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/internal/lbtest"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

func TestMain(m *testing.M) { lbtest.Main(m) }

// soon is a deadline that passes only in a test that hangs.
func soon() int64 { return After(Now(), patience) }

// dialed makes a connection: ours by Dial, the peer's by package net. Both are closed at the end.
func dialed(t testing.TB) (*Conn, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := Dial(l.Addr().(*net.TCPAddr).AddrPort(), patience)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close() // a test may have closed it
		_ = peer.Close()
	})
	return c, peer.(*net.TCPConn)
}

// must fails the test on an error of an operation that is not what is tested.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// send, receive and corked may be called from any goroutine: they do not end the test.

// send writes on the peer's side.
func send(t testing.TB, peer net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(peer, s); err != nil {
		t.Errorf("peer sends: %v", err)
	}
}

// receive reads exactly what is expected on the peer's side.
func receive(t testing.TB, peer net.Conn, want string) {
	t.Helper()
	b := make([]byte, len(want))
	err := peer.SetReadDeadline(time.Now().Add(patience))
	if err == nil {
		_, err = io.ReadFull(peer, b)
	}
	if err != nil || string(b) != want {
		t.Errorf("peer received %q, %v, want %q", b, err, want)
	}
}

// corked sends s and a FIN in one segment.
func corked(t testing.TB, peer *net.TCPConn, s string) {
	t.Helper()
	raw, err := peer.SyscallConn()
	if err == nil {
		cerr := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, 1)
		})
		err = errors.Join(err, cerr)
	}
	if err != nil {
		t.Errorf("cork: %v", err)
	}
	send(t, peer, s)
	if err := peer.CloseWrite(); err != nil {
		t.Errorf("peer closes: %v", err)
	}
}

// within fails the test unless f returns soon.
func within(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s takes longer than %v", what, patience)
	}
}

func TestAddresses(t *testing.T) {
	for _, s := range []string{"127.0.0.1:80", "[2001:db8::1]:443", "[fe80::1%1]:1"} {
		a := netip.MustParseAddrPort(s)
		sa, _ := toSockaddr(a)
		want := netip.AddrPortFrom(a.Addr().WithZone(""), a.Port())
		if got := fromSockaddr(sa); got != want {
			t.Errorf("%s becomes %s", a, got)
		}
	}
	sa, family := toSockaddr(netip.MustParseAddrPort("[::ffff:10.0.0.1]:80"))
	if got := fromSockaddr(sa); family != unix.AF_INET || got != netip.MustParseAddrPort("10.0.0.1:80") {
		t.Errorf("a mapped address becomes %s of family %d", got, family)
	}
	if got := fromSockaddr(&unix.SockaddrUnix{Name: "x"}); got.IsValid() {
		t.Errorf("a unix address becomes %s", got)
	}
	sa, _ = toSockaddr(netip.MustParseAddrPort("[fe80::1%lo]:1"))
	if zone := sa.(*unix.SockaddrInet6).ZoneId; zone == 0 {
		t.Error("the zone of lo is 0")
	}
	if zoneID("no-such-interface") != 0 || zoneID("7") != 7 {
		t.Error("a zone that is no interface is not its number, or 0")
	}
}

func TestBuffers(t *testing.T) {
	for _, tt := range []struct{ want, size int }{
		{SmallSize, 0}, {SmallSize, 1}, {SmallSize, SmallSize}, {LargeSize, SmallSize + 1}, {LargeSize, LargeSize}, {LargeSize + 1, LargeSize + 1},
	} {
		b := GetBuffer(tt.size)
		if len(b.B) != tt.want {
			t.Errorf("GetBuffer(%d) has %d bytes, want %d", tt.size, len(b.B), tt.want)
		}
		b.B = b.B[:0]
		b.Put()
	}
	for range 100 { // one that was cut is whole when it comes back
		if b := GetBuffer(1); len(b.B) != SmallSize {
			t.Fatalf("a buffer came back with %d bytes", len(b.B))
		} else {
			b.B = b.B[:1]
			b.Put()
		}
	}
}

// TestHugeBuffersAreBounded: those who get none take others.
func TestHugeBuffersAreBounded(t *testing.T) {
	var taken []*Buffer
	for b := GetHugeBuffer(); b != nil; b = GetHugeBuffer() {
		if len(b.B) != HugeSize {
			t.Fatalf("a huge buffer has %d bytes", len(b.B))
		}
		if taken = append(taken, b); len(taken) > maxHuge {
			break
		}
	}
	if len(taken) != maxHuge {
		t.Errorf("%d huge buffers, want %d", len(taken), maxHuge)
	}
	for _, b := range taken {
		b.B = b.B[:0]
		b.Put()
	}
	b := GetBuffer(HugeSize) // as large, and none of them
	b.Put()
	if n := hugeInUse.Load(); n != 0 {
		t.Errorf("%d are in use when all are back", n)
	}
	if b := GetHugeBuffer(); b == nil || len(b.B) != HugeSize {
		t.Error("none, or not a whole one, when all are back")
	} else {
		b.Put()
	}
}

func TestClock(t *testing.T) {
	at := Now()
	if at <= 0 || Now() < at {
		t.Errorf("the clock stands at %d, then %d", at, Now())
	}
	if got := After(at, 0); got != 0 {
		t.Errorf("After 0 is %d, want never", got)
	}
	if got := After(at, -1); got != 0 {
		t.Errorf("After -1 is %d, want never", got)
	}
	if got := After(at, time.Second); got != at+int64(time.Second) {
		t.Errorf("After 1s is %d behind", got-at)
	}
	if d := time.Since(Time(at)); d < 0 || d > patience {
		t.Errorf("the time of the clock is %v ago", d)
	}
}

func TestClosed(t *testing.T) {
	c, peer := dialed(t)
	must(t, c.Close())
	b := make([]byte, 1)
	if _, err := c.Read(b, soon()); err != ErrClosed {
		t.Errorf("Read: %v, want ErrClosed", err)
	}
	if _, err := c.Exchange([]byte("x"), b, soon(), soon()); err != ErrClosed {
		t.Errorf("Exchange: %v, want ErrClosed", err)
	}
	if err := c.Serve(func(uintptr) bool { return true }); err != ErrClosed {
		t.Errorf("Serve: %v, want ErrClosed", err)
	}
	if err := c.Rearm(soon()); err != ErrClosed {
		t.Errorf("Rearm: %v, want ErrClosed", err)
	}
	if err := c.Write([]byte("x"), 0); err != ErrClosed {
		t.Errorf("Write: %v, want ErrClosed", err)
	}
	if c.Alive() {
		t.Error("a closed connection is alive")
	}
	c.Shutdown() // must not panic
	c.Interrupt()
	if n, err := peer.Read(b); n != 0 || err != io.EOF {
		t.Errorf("the peer reads %d, %v, want the end", n, err)
	}
}

// TestClosedNumberIsNotReused: an owner that writes after Close does not reach the connection that
// has the descriptor's number next.
func TestClosedNumberIsNotReused(t *testing.T) {
	c, _ := dialed(t)
	number := c.fd
	must(t, c.Close())
	other, peer := dialed(t)
	if other.fd != number {
		t.Logf("the number %d was not given again, but %d", number, other.fd)
	}
	if err := c.Write([]byte("stray"), 0); err == nil {
		t.Error("Write after Close succeeds")
	}
	must(t, other.Write([]byte("own"), 0))
	receive(t, peer, "own")
}

func TestAdoptRefusesWhatCannotBePolled(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "file")
	must(t, err)
	defer f.Close()
	fd, err := unix.Dup(int(f.Fd()))
	must(t, err)
	before := lbtest.Descriptors()
	if _, _, err := adopt(fd, "file"); !errors.Is(err, os.ErrNoDeadline) {
		t.Errorf("adopt of a regular file: %v", err)
	}
	if after := lbtest.Descriptors(); after != before-1 {
		t.Errorf("%d descriptors, then %d: it was not closed", before, after)
	}
}

func isErrno(err error, want syscall.Errno) bool { return errors.Is(err, want) }
