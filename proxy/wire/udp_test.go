package wire

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// udpPeer is a socket of package net with room for what a test sends at once.
func udpPeer(t testing.TB) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	must(t, c.SetReadBuffer(4<<20))
	must(t, c.SetReadDeadline(time.Now().Add(patience)))
	t.Cleanup(func() { c.Close() })
	return c
}

func addrOf(c *net.UDPConn) netip.AddrPort {
	a := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// free claims a port that nobody has at this moment.
func freeUDP(t testing.TB) uint16 {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{})
	must(t, err)
	defer c.Close()
	return addrOf(c).Port()
}

func connectUDP(t testing.TB, to netip.AddrPort) UDPConn {
	t.Helper()
	c, err := ConnectUDP(to, freeUDP(t))
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

// receiving runs serve for every batch of l until the test ends.
func receiving(t testing.TB, l *UDPListener, b *UDPBatch, serve func(n int)) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- l.Receive(b, serve) }()
	t.Cleanup(func() {
		must(t, l.Close())
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("Receive ended with %v", err)
		}
	})
}

// TestUDPListenerEchoes answers whatever comes, on sockets of both families.
func TestUDPListenerEchoes(t *testing.T) {
	for _, tt := range []struct{ listen, used string }{
		{"127.0.0.1:0", "127.0.0.1"}, {"0.0.0.0:0", "127.5.5.5"}, {":0", "127.6.6.6"}, {":0", "::1"}, {"[::1]:0", "::1"},
	} {
		t.Run(tt.listen+" "+tt.used, func(t *testing.T) {
			l, err := ListenUDP(tt.listen)
			must(t, err)
			b, out := NewUDPBatch(4, true), NewUDPOut(4)
			var mu sync.Mutex
			var from UDPFrom
			receiving(t, l, b, func(n int) {
				for i := range n {
					f := l.From(b, i)
					mu.Lock()
					from = f
					mu.Unlock()
					out.Add(b.Payload(i), l.Peer(&f), f.Segment)
				}
				_ = l.Control(func(fd uintptr) {
					if e := out.Send(fd); e != 0 {
						t.Error(e)
					}
				})
			})
			to := netip.AddrPortFrom(netip.MustParseAddr(tt.used), l.Addr().Port())
			c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
			must(t, err)
			defer c.Close()
			must(t, c.SetReadDeadline(time.Now().Add(patience)))
			buf := make([]byte, 1<<16)
			for _, size := range []int{0, 1, 1500, MaxDatagram} {
				_, err := c.Write(make([]byte, size))
				must(t, err)
				n, err := c.Read(buf)
				must(t, err)
				if n != size {
					t.Errorf("%d bytes came back of %d", n, size)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if want := c.LocalAddr().(*net.UDPAddr).AddrPort(); from.Client() != want || from.Local() != to {
				t.Errorf("from %v to %v, want %v and %v", from.Client(), from.Local(), want, to)
			}
		})
	}
}

// TestUDPKeys: what differs in one part alone differs.
func TestUDPKeys(t *testing.T) {
	base := UDPFrom{client: [16]byte{1}, local: [16]byte{2}, ports: 7<<16 | 8}
	same := base
	if base.Key() != same.Key() {
		t.Error("two of one have different keys")
	}
	for i, change := range []func(*UDPFrom){
		func(f *UDPFrom) { f.client[15] = 1 }, func(f *UDPFrom) { f.local[15] = 1 }, func(f *UDPFrom) { f.ports = 8<<16 | 8 },
		func(f *UDPFrom) { f.ports = 7<<16 | 9 }, func(f *UDPFrom) { f.scope = 1 }, func(f *UDPFrom) { f.index = 1 },
	} {
		other := base
		change(&other)
		if other.Key() == base.Key() {
			t.Errorf("change %d: the same key", i)
		}
	}
}

// TestUDPOutSplits: a message of more segments than the kernel cuts goes out segment by segment, between
// others, in order.
func TestUDPOutSplits(t *testing.T) {
	peer := udpPeer(t)
	c := connectUDP(t, addrOf(peer))
	const size, count = 100, 300
	many := make([]byte, size*count-30)
	for i := range many {
		many[i] = byte(i / size)
	}
	out := NewUDPOut(3)
	out.Add([]byte("before"), nil, 0)
	out.Add(many, nil, size)
	out.Add([]byte("after"), nil, 0)
	if !out.Full() || out.Len() != 3 {
		t.Errorf("%d messages", out.Len())
	}
	if e := out.Send(c.FD()); e != 0 || out.Len() != 0 {
		t.Fatalf("%v, %d are left", e, out.Len())
	}
	buf := make([]byte, 1<<16)
	read := func() []byte {
		n, err := peer.Read(buf)
		must(t, err)
		return buf[:n]
	}
	if got := read(); string(got) != "before" {
		t.Errorf("got %q", got)
	}
	for i := range count {
		if got, want := read(), many[i*size:min((i+1)*size, len(many))]; !bytes.Equal(got, want) {
			t.Fatalf("segment %d: %d bytes, want %d", i, len(got), len(want))
		}
	}
	if got := read(); string(got) != "after" {
		t.Errorf("got %q", got)
	}
}

// TestUDPOutDrop counts what was not sent.
func TestUDPOutDrop(t *testing.T) {
	out := NewUDPOut(2)
	out.Add(make([]byte, 250), nil, 100)
	out.Add(nil, nil, 0)
	if a, b := out.Drop(), out.Drop(); a != 3 || b != 1 || out.Len() != 0 {
		t.Errorf("dropped %d and %d, %d are left", a, b, out.Len())
	}
	out.Add([]byte("again"), nil, 0)
	peer := udpPeer(t)
	if e := out.Send(connectUDP(t, addrOf(peer)).FD()); e != 0 {
		t.Fatal(e)
	}
	b := make([]byte, 10)
	if n, err := peer.Read(b); err != nil || string(b[:n]) != "again" {
		t.Errorf("%q, %v", b[:n], err)
	}
}

// TestUDPTooLarge: what does not fit into a datagram is refused.
func TestUDPTooLarge(t *testing.T) {
	out := NewUDPOut(1)
	out.Add(make([]byte, MaxDatagram+1), nil, 0)
	if e := out.Send(connectUDP(t, addrOf(udpPeer(t))).FD()); e != unix.EMSGSIZE {
		t.Errorf("got %v", e)
	}
}

// TestUDPConnRefused: where nobody listens, the socket says so once, and goes on.
func TestUDPConnRefused(t *testing.T) {
	peer := udpPeer(t)
	to := addrOf(peer)
	peer.Close()
	c := connectUDP(t, to)
	out, b := NewUDPOut(1), NewUDPBatch(1, false)
	out.Add([]byte("x"), nil, 0)
	if e := out.Send(c.FD()); e != 0 {
		t.Fatal(e)
	}
	var e syscall.Errno
	for end := time.Now().Add(patience); time.Now().Before(end); runtime.Gosched() {
		if _, e = c.Receive(b, 0, 1); e != unix.EAGAIN {
			break
		}
	}
	if e != unix.ECONNREFUSED {
		t.Errorf("got %v", e)
	}
	if _, e := c.Receive(b, 0, 1); e != unix.EAGAIN {
		t.Errorf("then %v", e)
	}
}

// TestUDPConnPorts: a port can be had towards two peers, and nobody else's.
func TestUDPConnPorts(t *testing.T) {
	a, b := udpPeer(t), udpPeer(t)
	port := freeUDP(t)
	one, err := ConnectUDP(addrOf(a), port)
	must(t, err)
	defer one.Close()
	two, err := ConnectUDP(addrOf(b), port)
	must(t, err)
	defer two.Close()
	for _, p := range []*net.UDPConn{a, b} { // each answers the socket that is connected to it
		_, err := p.WriteToUDPAddrPort([]byte(p.LocalAddr().String()), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port))
		must(t, err)
	}
	batch := NewUDPBatch(2, false)
	for i, c := range []UDPConn{one, two} {
		n := 0
		for end := time.Now().Add(patience); n == 0 && time.Now().Before(end); runtime.Gosched() {
			n, _ = c.Receive(batch, i, 1)
		}
		if want := []*net.UDPConn{a, b}[i].LocalAddr().String(); n != 1 || string(batch.Payload(i)) != want {
			t.Errorf("got %q, want %q", batch.Payload(i), want)
		}
	}
	foreign := udpPeer(t)
	if _, err := ConnectUDP(addrOf(a), addrOf(foreign).Port()); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("a port of somebody else: %v", err)
	}
}

// TestUDPReceiveOne takes datagrams one by one, whatever is in the slot from before, and finds out which sockets
// have more.
func TestUDPReceiveOne(t *testing.T) {
	first, second := udpPeer(t), udpPeer(t)
	a, b := connectUDP(t, addrOf(first)), connectUDP(t, addrOf(second))
	send := func(from *net.UDPConn, c UDPConn, payload string) {
		sa, err := unix.Getsockname(int(c.fd))
		must(t, err)
		_, err = from.WriteToUDPAddrPort([]byte(payload), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), fromSockaddr(sa).Port()))
		must(t, err)
	}
	batch := NewUDPBatch(2, false)
	if e := a.ReceiveOne(batch, 0); e != unix.EAGAIN {
		t.Errorf("from an empty socket: %v", e)
	}
	putControl(batch.controls[1][:], unix.IPPROTO_UDP, unix.UDP_GRO, 4) // left from another socket
	batch.controls[1][cmsgHeader] = 1
	batch.prepare(1)
	for _, payload := range []string{"one", "", "three"} {
		send(first, a, payload)
	}
	var rest UDPRest
	for i, want := range []string{"one", "", "three"} {
		if e := a.ReceiveOne(batch, 1); e != 0 || string(batch.Payload(1)) != want || batch.Segment(1) != 0 {
			t.Fatalf("%q in segments of %d, %v; want %q", batch.Payload(1), batch.Segment(1), e, want)
		}
		rest.Add(b)
		rest.Add(a)
		rest.Look()
		if got := [2]bool{rest.Has(0), rest.Has(1)}; got != [2]bool{false, i < 2} {
			t.Errorf("after %d datagrams: %v", i+1, got)
		}
		rest.Clear()
	}
	// Large ones are whole, and what several receives have left in the slot does not matter.
	large := strings.Repeat("x", MaxDatagram)
	send(first, a, large)
	if e := a.ReceiveOne(batch, 1); e != 0 || string(batch.Payload(1)) != large {
		t.Errorf("%d of %d bytes, %v", len(batch.Payload(1)), len(large), e)
	}
	// A failure is something to receive.
	must(t, second.Close())
	_, err := unix.Write(int(b.fd), []byte("x"))
	must(t, err)
	rest.Add(b)
	eventually(t, "the failure is there", func() bool { rest.Look(); return rest.Has(0) })
	if e := b.ReceiveOne(batch, 0); e != unix.ECONNREFUSED {
		t.Errorf("nobody listens: %v", e)
	}
}

// TestUDPJoin: datagrams that were sent together are received one by one, unless they are asked for together.
func TestUDPJoin(t *testing.T) {
	peer := udpPeer(t)
	c := connectUDP(t, addrOf(peer))
	sa, err := unix.Getsockname(int(c.fd))
	must(t, err)
	raw, err := peer.SyscallConn()
	must(t, err)
	out, batch := NewUDPOut(1), NewUDPBatch(8, false)
	send := func() {
		l := &UDPListener{family: unix.AF_INET}
		to := UDPFrom{ports: uint32(fromSockaddr(sa).Port()) << 16}
		copy(to.client[10:], []byte{0xff, 0xff, 127, 0, 0, 1})
		out.Add(make([]byte, 500), l.Peer(&to), 100)
		must(t, raw.Control(func(fd uintptr) {
			if e := out.Send(fd); e != 0 {
				t.Errorf("sent: %v", e)
			}
		}))
	}
	send()
	for i := range 5 {
		if e := c.ReceiveOne(batch, 0); e != 0 || len(batch.Payload(0)) != 100 {
			t.Fatalf("datagram %d: %d bytes, %v", i, len(batch.Payload(0)), e)
		}
	}
	c.Join()
	send()
	n, e := c.Receive(batch, 0, 8)
	if e != 0 || n != 1 && n != 5 || n == 1 && (len(batch.Payload(0)) != 500 || batch.Segment(0) != 100) {
		t.Errorf("%d payloads, the first of %d bytes, %v", n, len(batch.Payload(0)), e)
	}
}

// TestUDPPoll reports sockets that have something, once for each time, by their tokens.
func TestUDPPoll(t *testing.T) {
	p, err := NewUDPPoll()
	must(t, err)
	tokens, done := make(chan uint64, 100), make(chan struct{})
	go func() {
		defer close(done)
		p.Run(func(list []uint64) bool {
			for _, token := range list {
				tokens <- token
			}
			return false
		})
	}()
	var peers []*net.UDPConn
	var conns []UDPConn
	b := NewUDPBatch(4, false)
	for i := range 10 {
		peers = append(peers, udpPeer(t))
		conns = append(conns, connectUDP(t, addrOf(peers[i])))
		must(t, p.Add(conns[i], uint64(i)|0xabcdef<<32))
	}
	for round := range 3 {
		for i, c := range conns {
			sa, err := unix.Getsockname(int(c.fd))
			must(t, err)
			_, err = peers[i].WriteToUDPAddrPort([]byte{byte(i)}, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), fromSockaddr(sa).Port()))
			must(t, err)
			select {
			case token := <-tokens:
				if token != uint64(i)|0xabcdef<<32 {
					t.Fatalf("round %d, socket %d: token %x", round, i, token)
				}
			case <-time.After(patience):
				t.Fatalf("round %d, socket %d: nothing is reported", round, i)
			}
			if n, e := c.Receive(b, 0, 4); n != 1 || e != 0 || b.Payload(0)[0] != byte(i) {
				t.Fatalf("round %d, socket %d: %d, %v", round, i, n, e)
			}
		}
	}
	must(t, p.Close())
	<-done
	if len(tokens) != 0 {
		t.Errorf("%d tokens too many", len(tokens))
	}
}

// TestUDPPollMore: who has more to do is called again, and told of what has come meanwhile.
func TestUDPPollMore(t *testing.T) {
	p, err := NewUDPPoll()
	must(t, err)
	first, second := udpPeer(t), udpPeer(t)
	a, b := connectUDP(t, addrOf(first)), connectUDP(t, addrOf(second))
	must(t, p.Add(a, 1))
	must(t, p.Add(b, 2))
	send := func(from *net.UDPConn, c UDPConn) {
		sa, err := unix.Getsockname(int(c.fd))
		if err == nil {
			_, err = from.WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), fromSockaddr(sa).Port()))
		}
		if err != nil {
			t.Error(err)
		}
	}
	var got [][]uint64
	done, closed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(closed)
		calls := 0
		p.Run(func(list []uint64) bool {
			switch calls++; {
			case calls <= 4:
				got = append(got, slices.Clone(list))
			case calls == 5:
				close(done)
			}
			if calls == 2 {
				send(second, b)
			}
			return calls != 4
		})
	}()
	send(first, a)
	for range 10 { // the fifth call is for this one, or for what is left of it
		select {
		case <-done:
		case <-time.After(10 * time.Millisecond):
			send(first, a)
		}
	}
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("it waits for ever")
	}
	must(t, p.Close()) // while there is more to do
	<-closed
	if len(got) != 4 || !slices.Equal(got[0], []uint64{1}) || !slices.Contains(got[2], 2) {
		t.Errorf("called with %v", got)
	}
}

// TestUDPListenBeside: an address that overlaps one of this process can be bound beside it, nobody else's.
func TestUDPListenBeside(t *testing.T) {
	all, err := ListenUDP("0.0.0.0:0")
	must(t, err)
	defer all.Close()
	address := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), all.Addr().Port()).String()
	if _, err := ListenUDP(address); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("got %v", err)
	}
	one, err := ListenUDPBeside(address, []*UDPListener{all})
	must(t, err)
	must(t, one.Close())
	foreign := udpPeer(t)
	var oe *net.OpError
	if _, err := ListenUDPBeside(foreign.LocalAddr().String(), []*UDPListener{all}); !errors.As(err, &oe) || !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("got %v", err)
	}
	for _, bad := range []string{"", "127.0.0.1", "127.0.0.1:http:1", "no host:1"} {
		if l, err := ListenUDP(bad); err == nil {
			l.Close()
			t.Errorf("%q was bound", bad)
		}
	}
}

// TestUDPCloseUnderFlood: closing is not held up by datagrams that keep coming.
func TestUDPCloseUnderFlood(t *testing.T) {
	l, err := ListenUDP("127.0.0.1:0")
	must(t, err)
	stop := make(chan struct{})
	var flood sync.WaitGroup
	for range 2 {
		c := udpPeer(t)
		flood.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, _ = c.WriteToUDPAddrPort([]byte("x"), l.Addr())
				}
			}
		})
	}
	done := make(chan error, 1)
	many := make(chan struct{})
	var once sync.Once
	got := 0
	b := NewUDPBatch(2, true)
	go func() {
		done <- l.Receive(b, func(n int) {
			for i := range n {
				l.From(b, i)
			}
			if got += n; got > 100 {
				once.Do(func() { close(many) })
			}
		})
	}()
	<-many
	must(t, l.Close())
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	close(stop)
	flood.Wait()
	if err := l.Control(func(uintptr) { t.Error("the descriptor is given away") }); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// TestUDPAllocs: receiving, telling from where, and sending allocate nothing.
func TestUDPAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	peer := udpPeer(t)
	c := connectUDP(t, addrOf(peer))
	l, err := ListenUDP("127.0.0.1:0")
	must(t, err)
	defer l.Close()
	sender := connectUDP(t, l.Addr())
	b, out := NewUDPBatch(4, true), NewUDPOut(4)
	payload := make([]byte, 300)
	var from uintptr
	must(t, l.Control(func(fd uintptr) { from = fd }))
	var key UDPKey
	allocs := testing.AllocsPerRun(1000, func() {
		out.Add(payload, nil, 100)
		out.Add(payload, nil, 0)
		_ = out.Send(sender.FD())
		for got := 0; got < 2; {
			n, _ := b.receive(from, 0, 4)
			for i := range n {
				f := l.From(b, i)
				key = f.Key()
				got++
			}
		}
		out.Add(payload, nil, 0)
		_ = out.Send(c.FD())
		_ = key
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
