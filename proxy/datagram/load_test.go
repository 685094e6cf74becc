package datagram

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/config"
	"weir/proxy/wire"
	"weir/telemetry"
)

// asker is a client that allocates nothing.
type asker struct {
	t  testing.TB
	fd int
	b  [64]byte
}

func newAsker(t testing.TB, to netip.AddrPort) *asker {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	must(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}))
	must(t, unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}))
	return &asker{t: t, fd: fd}
}

func (a *asker) ask() {
	a.send()
	a.receive()
}

func (a *asker) send() {
	if _, err := unix.Write(a.fd, a.b[:]); err != nil {
		a.t.Fatal(err)
	}
}

func (a *asker) receive() {
	n, err := unix.Read(a.fd, a.b[:])
	for err == unix.EINTR {
		n, err = unix.Read(a.fd, a.b[:])
	}
	if err != nil || n != len(a.b) {
		a.t.Fatal(n, err)
	}
}

// TestAllocs: a datagram there and one back allocate nothing, whatever is switched on.
func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	tests := []struct {
		name string
		o    rigOptions
	}{
		{"plain", rigOptions{}},
		{"wildcard", rigOptions{address: "0.0.0.0:0"}},
		{"responses", rigOptions{listen: func(l *config.Listener) { l.UDP.Responses = 1000 }}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			backend := newPairs().origin(t, "127.0.0.1:0")
			r := newRig(t, tt.o, backend)
			to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), r.addr().Port())
			a := newAsker(t, to)
			for range 200 {
				a.ask()
			}
			const n = 5000
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range n {
				a.ask()
			}
			runtime.ReadMemStats(&after)
			if got := after.Mallocs - before.Mallocs; got > n/100 { // the runtime's own, and the timers of others
				t.Errorf("%d allocations in %d exchanges", got, n)
			}
		})
	}
}

// longHeader is an Initial with an ID of 8 bytes for its sender.
func longHeader(b []byte, id string) {
	clear(b)
	copy(b, "\xc0\x00\x00\x00\x01\x08chosenby\x08"+id)
	b[23] = 0 // no token
	b[24] = byte(len(b) - 25)
}

// shortHeader is one for whom it names.
func shortHeader(b []byte, id string) {
	b[0] = 0x40
	copy(b[1:], id)
}

// TestQUICAllocs: nor does one of a QUIC connection, also where two of them share a socket.
func TestQUICAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := newRig(t, rigOptions{pool: func(p *config.Pool) { p.Protocol = config.QUIC }}, newPairs().origin(t, "127.0.0.1:0"))
	a := newAsker(t, r.addr())
	names := []string{"one4567\x01", "two4567\x02"}
	for _, name := range names { // the backend turns them round, and so they are its own
		longHeader(a.b[:], name)
		a.ask()
	}
	round := func(n int) {
		for i := range n {
			shortHeader(a.b[:], names[i%2])
			a.ask()
		}
	}
	round(200)
	const n = 5000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	round(n)
	runtime.ReadMemStats(&after)
	if got := after.Mallocs - before.Mallocs; got > n/100 {
		t.Errorf("%d allocations in %d exchanges", got, n)
	}
	if n := len(r.pool.ids.sessions); n != 2 {
		t.Errorf("%d IDs are known", n)
	}
	// What cannot be a packet is counted also where its client has a session.
	if _, err := unix.Write(a.fd, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an empty datagram is dropped", func() bool { return r.stats().Drops(telemetry.DropMalformed) == 1 })
}

// TestBurst sends faster than the other side reads, in datagrams of all sizes, from many clients at once:
// whatever arrives is whole and somebody's own.
func TestBurst(t *testing.T) {
	o := newOrigin(t, "", echo)
	r := newRig(t, rigOptions{address: "0.0.0.0:0"}, o.addr)
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), r.addr().Port())
	var wg sync.WaitGroup
	for i := range 20 {
		c := newClient(t, "", to)
		must(t, c.conn.SetReadBuffer(4<<20))
		wg.Go(func() {
			for round := range 20 {
				sent := 0
				for k := range 40 {
					p := bytes.Repeat([]byte{byte(i)}, 8+(k*37)%1400)
					binary.BigEndian.PutUint32(p, uint32(i))
					binary.BigEndian.PutUint32(p[4:], uint32(len(p)))
					if _, err := c.conn.Write(p); err == nil {
						sent++
					}
				}
				heard := 0
				b := make([]byte, 1<<16)
				for heard < sent {
					wait := time.Second
					if heard == 0 {
						wait = patience // not all can be lost
					}
					if err := c.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
						t.Error(err)
					}
					n, err := c.conn.Read(b)
					if err != nil {
						break // some may be lost
					}
					if n < 8 || binary.BigEndian.Uint32(b) != uint32(i) || int(binary.BigEndian.Uint32(b[4:])) != n ||
						!bytes.Equal(b[8:n], bytes.Repeat([]byte{byte(i)}, n-8)) {
						t.Errorf("client %d: %d bytes that are not its own", i, n)
						return
					}
					heard++
				}
				if heard == 0 {
					t.Errorf("client %d, round %d: no reply to %d datagrams", i, round, sent)
				}
			}
		})
	}
	wg.Wait()
	if n := r.clients.Count(); n != 20 {
		t.Errorf("%d sessions", n)
	}
}

// TestSegments: datagrams that a sender hands to the kernel as one come out one by one, both ways, and
// also where segments are too large for the path and the kernel does not cut them.
func TestSegments(t *testing.T) {
	for _, size := range []int{100, 1200, 1452, 20000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			must(t, err)
			defer c.Close()
			must(t, c.SetReadBuffer(4<<20))
			back := c.LocalAddr().(*net.UDPAddr).AddrPort()
			r := newRig(t, rigOptions{}, netip.AddrPortFrom(back.Addr().Unmap(), back.Port()))
			front := newClient(t, "", r.addr())
			must(t, front.conn.SetReadBuffer(4<<20))
			count := min(40, 65000/size)
			whole := make([]byte, count*size-size/2) // the last one is short
			for i := range whole {
				whole[i] = byte(i / size)
			}
			segments(t, front.conn, whole, size, nil)
			from := whole2(t, c, whole, size)
			segments(t, c, whole, size, from)
			whole2(t, front.conn, whole, size)
			if got := r.stats().Counts(); int(got.Received) != count || int(got.Sent) != count {
				t.Errorf("%d and %d datagrams are counted, want %d", got.Received, got.Sent, count)
			}
		})
	}
}

// segments sends p as datagrams of that size, in one call.
func segments(t *testing.T, c *net.UDPConn, p []byte, size int, to *net.UDPAddr) {
	t.Helper()
	oob := make([]byte, unix.CmsgSpace(2))
	binary.NativeEndian.PutUint64(oob, uint64(unix.CmsgLen(2)))
	binary.NativeEndian.PutUint32(oob[8:], unix.IPPROTO_UDP)
	binary.NativeEndian.PutUint32(oob[12:], unix.UDP_SEGMENT)
	binary.NativeEndian.PutUint16(oob[16:], uint16(size))
	if _, _, err := c.WriteMsgUDP(p, oob, to); err != nil {
		t.Fatal(err)
	}
}

// whole2 receives what was sent so, and returns where it came from.
func whole2(t *testing.T, c *net.UDPConn, want []byte, size int) *net.UDPAddr {
	t.Helper()
	must(t, c.SetReadDeadline(time.Now().Add(patience)))
	b := make([]byte, 1<<16)
	var got []byte
	var from *net.UDPAddr
	for len(got) < len(want) {
		n, a, err := c.ReadFromUDP(b)
		must(t, err)
		if left := len(want) - len(got); n != min(size, left) {
			t.Fatalf("a datagram of %d bytes, want %d", n, min(size, left))
		}
		got = append(got, b[:n]...)
		from = a
	}
	if !bytes.Equal(got, want) {
		t.Error("the datagrams are not those that were sent, in order")
	}
	return from
}

// TestStop ends sessions that are in use, from outside, while datagrams come.
func TestStop(t *testing.T) {
	o := newOrigin(t, "", echo)
	r := newRig(t, rigOptions{}, o.addr)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		c := newClient(t, "", r.addr())
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, _ = c.conn.Write([]byte("x"))
					runtime.Gosched()
				}
			}
		})
	}
	eventually(t, "sessions", func() bool { return r.clients.Count() == 4 })
	for range 20 {
		for _, s := range r.clients.table.all() {
			s.end(endDrained)
			s.release()
		}
		r.expireAfter(time.Hour)
		r.pool.Sweep(wire.Now())
	}
	r.stop()
	close(stop)
	wg.Wait()
	if r.stats().Counts().Ended < 4 {
		t.Errorf("got %+v", r.stats().Counts())
	}
}

// TestDrain: while a listener drains, its sessions go on, new ones are refused, and silent ones end.
func TestDrain(t *testing.T) {
	o := newOrigin(t, "", echo)
	r := newRig(t, rigOptions{}, o.addr)
	c := newClient(t, "", r.addr())
	c.ask("a")
	r.clients.Drain()
	c.ask("b")
	other := newClient(t, "", r.addr())
	other.send("c")
	eventually(t, "the new client's datagram is dropped", func() bool { return r.stats().Drops(telemetry.DropDraining) == 1 })
	r.expireAfter(time.Second)
	if n := r.clients.Count(); n != 1 {
		t.Fatalf("%d sessions", n)
	}
	r.expireAfter(3 * time.Second)
	r.clients.Wait()
}
