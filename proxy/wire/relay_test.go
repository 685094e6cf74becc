package wire

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/internal/lbtest"
)

// relayed is a relay that runs between two connections of package net.
type relayed struct {
	*Relay
	client, backend *net.TCPConn
	ending          chan Ending
}

// relaying starts a relay. What it took has been given back when the test ends.
func relaying(t testing.TB, o RelayOptions) *relayed {
	t.Helper()
	a, client := dialed(t)
	b, backend := dialed(t)
	r := &relayed{relaysOf(t).NewRelay(a, b, o), client, backend, make(chan Ending, 1)}
	go func() {
		e := r.Run()
		_ = a.Close()
		_ = b.Close()
		r.ending <- e
	}()
	t.Cleanup(func() {
		r.Stop()
		if e := r.ended(t); o.Pipes != nil {
			o.Pipes.Close()
			if n := o.Pipes.Open(); n != 0 {
				t.Errorf("%d pipes are left after %+v", n, e)
			}
		}
	})
	return r
}

// relaysOf is a place for the relays of one test.
func relaysOf(t testing.TB) *Relays {
	t.Helper()
	rs, err := NewRelays()
	must(t, err)
	t.Cleanup(func() { must(t, rs.Close()) })
	return rs
}

// ended waits for the end of the relay; it may be called again.
func (r *relayed) ended(t testing.TB) Ending {
	t.Helper()
	select {
	case e := <-r.ending:
		r.ending <- e
		return e
	case <-time.After(patience):
		t.Fatal("the relay does not end")
	}
	return Ending{}
}

// want waits for the end and compares.
func (r *relayed) want(t testing.TB, cause Cause, side Side) {
	t.Helper()
	if e := r.ended(t); e.Cause != cause || e.Side != side {
		t.Errorf("ended by cause %d of the %v (%v), want cause %d of the %v", e.Cause, e.Side, e.Err, cause, side)
	}
}

// wantEOF wants the end of what the other side sends.
func wantEOF(t testing.TB, c *net.TCPConn) {
	t.Helper()
	must(t, c.SetReadDeadline(time.Now().Add(patience)))
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read %d, %v, want the end", n, err)
	}
}

// wantReset wants a reset, after whatever had come before.
func wantReset(t testing.TB, c *net.TCPConn) {
	t.Helper()
	must(t, c.SetReadDeadline(time.Now().Add(patience)))
	if _, err := io.Copy(io.Discard, c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the end is %v, want a reset", err)
	}
}

func TestRelayCarriesMessagesAndEnds(t *testing.T) {
	var in, out atomic.Uint64
	r := relaying(t, RelayOptions{Totals: [2]*atomic.Uint64{&in, &out}, Idle: time.Hour, HalfClose: time.Hour})
	for range 3 {
		send(t, r.client, "question")
		receive(t, r.backend, "question")
		send(t, r.backend, "the answer")
		receive(t, r.client, "the answer")
	}
	lbtest.Eventually(t, patience, func() bool { // while it runs
		client, backend := r.Moved()
		return client == 24 && backend == 30 && in.Load() == 24 && out.Load() == 30
	})
	must(t, r.client.CloseWrite())
	wantEOF(t, r.backend)
	send(t, r.backend, "and more") // half-closed: the other direction goes on
	receive(t, r.client, "and more")
	must(t, r.backend.CloseWrite())
	wantEOF(t, r.client)
	r.want(t, CauseEnd, Client)
}

func TestRelayBackendEndsFirst(t *testing.T) {
	r := relaying(t, RelayOptions{})
	must(t, r.backend.CloseWrite())
	wantEOF(t, r.client)
	send(t, r.client, "still here")
	receive(t, r.backend, "still here")
	must(t, r.client.Close())
	wantEOF(t, r.backend)
	r.want(t, CauseEnd, Backend)
}

// TestRelayEndWithData: data and FIN in one segment are one edge.
func TestRelayEndWithData(t *testing.T) {
	for range 200 {
		r := relaying(t, RelayOptions{})
		corked(t, r.client, "last words")
		receive(t, r.backend, "last words")
		wantEOF(t, r.backend)
		corked(t, r.backend, "goodbye")
		receive(t, r.client, "goodbye")
		wantEOF(t, r.client)
		r.want(t, CauseEnd, Client)
	}
}

func TestRelayPassesResetsOn(t *testing.T) {
	for _, half := range []bool{false, true} {
		for side := range Side(2) {
			r := relaying(t, RelayOptions{})
			from, to := r.client, r.backend
			if side == Backend {
				from, to = to, from
			}
			send(t, from, "x")
			receive(t, to, "x")
			if half {
				must(t, to.CloseWrite())
				wantEOF(t, from)
			}
			must(t, from.SetLinger(0))
			must(t, from.Close())
			wantReset(t, to)
			r.want(t, CauseBroken, side)
		}
	}
}

// TestRelayResetToldToASend: the kernel tells of a reset once. If a send of one way was told, the receive of the
// other one finds an end in order, which must not be passed on as such.
func TestRelayResetToldToASend(t *testing.T) {
	rs := relaysOf(t)
	a, client := dialed(t)
	b, backend := dialed(t)
	r := rs.NewRelay(a, b, RelayOptions{})
	must(t, client.SetLinger(0))
	must(t, client.Close())
	eventually(t, "the reset comes", a.failed)
	if told, err := unix.GetsockoptInt(int(a.fd), unix.SOL_SOCKET, unix.SO_ERROR); err != nil || told != int(unix.ECONNRESET) {
		t.Fatalf("told of %d, %v", told, err)
	}
	t.Cleanup(r.Stop)
	within(t, "the relay", func() {
		if e := r.Run(); e.Cause != CauseBroken || e.Side != Client || !errors.Is(e.Err, syscall.ECONNRESET) {
			t.Errorf("ended by %+v, want a reset of the client", e)
		}
	})
	wantReset(t, backend)
}

// TestPendingTakesNothing: to look whether there is something takes neither bytes nor the error of a reset.
func TestPendingTakesNothing(t *testing.T) {
	c, peer := dialed(t)
	if pending(c.fd) {
		t.Error("something is pending, and nothing was sent")
	}
	send(t, peer, "x")
	eventually(t, "it comes", func() bool { return pending(c.fd) })
	if n, e := Recv(c.fd, make([]byte, 2)); n != 1 || e != 0 {
		t.Errorf("received %d, %v", n, e)
	}
	must(t, peer.SetLinger(0))
	must(t, peer.Close())
	eventually(t, "the reset comes", func() bool { return pending(c.fd) })
	if n, e := Recv(c.fd, make([]byte, 2)); n != 0 || e != syscall.ECONNRESET {
		t.Errorf("received %d, %v, want a reset", n, e)
	}
}

// TestRelayResetOfABlockedSide: while nobody reads from a side, only the tick sees that it is gone.
func TestRelayResetOfABlockedSide(t *testing.T) {
	r := relaying(t, RelayOptions{Idle: 2 * time.Second})
	fill(t, r.client)
	must(t, r.client.SetLinger(0))
	must(t, r.client.Close())
	if e := r.ended(t); e.Cause != CauseBroken || e.Side != Client || !errors.Is(e.Err, syscall.ECONNRESET) {
		t.Errorf("ended by %+v, want a reset of the client", e)
	}
}

// TestRelayHalfClosedAndSlow: a side that is sent nothing more, and has sent all that it had, is over for
// the kernel as soon as that has come. It is not for the relay, which still has to pass it on.
func TestRelayHalfClosedAndSlow(t *testing.T) {
	for side := range Side(2) {
		r := relaying(t, RelayOptions{Idle: time.Hour, HalfClose: time.Hour})
		slow, fast := r.client, r.backend
		if side == Backend {
			slow, fast = fast, slow
		}
		must(t, slow.SetReadBuffer(4<<10))
		must(t, setSendBuffer(r.conns[side], 4<<10))
		must(t, slow.CloseWrite())
		wantEOF(t, fast)
		sent := bytes.Repeat([]byte("0123456789abcdef"), 3<<10)
		_, err := fast.Write(sent)
		must(t, err)
		must(t, fast.CloseWrite())
		lbtest.Eventually(t, patience, func() bool { return hungUp(r.conns[side.other()]) })
		for range 3 { // as the ticker does
			if e, next := r.look(); next == 0 {
				t.Errorf("%v is slow: ended by %+v", side, e)
			}
		}
		must(t, slow.SetReadDeadline(time.Now().Add(patience)))
		got, err := io.ReadAll(slow)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%v is slow: %d of %d bytes came, %v", side, len(got), len(sent), err)
		}
		r.want(t, CauseEnd, side)
	}
}

// setSendBuffer bounds what the kernel takes to be sent.
func setSendBuffer(c *Conn, n int) error {
	return unix.SetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_SNDBUF, n)
}

// hungUp reports whether a connection has ended in both directions.
func hungUp(c *Conn) bool { return overBothWays(c.fd) }

// fill sends until nothing more is taken for a while, and returns how many bytes were.
func fill(t testing.TB, c *net.TCPConn) (sent int64) {
	t.Helper()
	b := make([]byte, 64<<10)
	for {
		must(t, c.SetWriteDeadline(time.Now().Add(200*time.Millisecond)))
		n, err := c.Write(b)
		sent += int64(n)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return sent
		}
		must(t, err)
	}
}

// TestRelayBackPressure: a side that does not read stops the other, with a bounded number of bytes
// under way, and everything comes when it does.
func TestRelayBackPressure(t *testing.T) {
	for _, pipes := range []*Pipes{nil, NewPipes(4, nil, nil)} {
		r := relaying(t, RelayOptions{Pipes: pipes})
		must(t, r.client.SetWriteBuffer(64<<10))
		must(t, r.backend.SetReadBuffer(64<<10))
		sent := fill(t, r.client)
		if sent > 64<<20 {
			t.Errorf("%d bytes were taken for a backend that does not read", sent)
		}
		must(t, r.client.CloseWrite())
		must(t, r.backend.SetReadDeadline(time.Now().Add(patience)))
		if n, err := io.Copy(io.Discard, r.backend); n != sent || err != nil {
			t.Errorf("%d of %d bytes came: %v", n, sent, err)
		}
	}
}

func TestRelayIdle(t *testing.T) {
	const idle = 300 * time.Millisecond
	r := relaying(t, RelayOptions{Idle: idle, HalfClose: time.Hour})
	last := time.Now()
	for range 8 { // longer than the idle time, never silent for that long, in either direction
		for _, c := range []*net.TCPConn{r.client, r.backend} {
			last = time.Now()
			send(t, c, "x")
			must(t, c.SetReadDeadline(last.Add(idle/8)))
			if _, err := c.Read(make([]byte, 1)); err == nil {
				break
			}
		}
	}
	wantReset(t, r.client)
	wantReset(t, r.backend)
	r.want(t, CauseIdle, Client)
	if d := time.Since(last); d < idle {
		t.Errorf("ended after %v without a byte, want %v", d, idle)
	}
}

func TestRelayHalfIdle(t *testing.T) {
	for side := range Side(2) {
		r := relaying(t, RelayOptions{Idle: time.Hour, HalfClose: 150 * time.Millisecond})
		from, to := r.client, r.backend
		if side == Backend {
			from, to = to, from
		}
		must(t, from.CloseWrite())
		wantEOF(t, to)
		wantReset(t, from)
		r.want(t, CauseHalfIdle, side)
	}
}

func TestRelayStop(t *testing.T) {
	for _, blocked := range []bool{false, true} {
		r := relaying(t, RelayOptions{Pipes: NewPipes(4, nil, nil)})
		if blocked {
			fill(t, r.client)
			fill(t, r.backend)
		}
		r.Stop()
		r.want(t, CauseStopped, Client)
		wantReset(t, r.client)
		wantReset(t, r.backend)
	}
}

// TestRelayUrgent: nothing is spliced over an urgent byte, whether a splice then says that nothing has
// come, or 0 as at the end of the stream. The byte is left out, as it is from an ordinary receive.
func TestRelayUrgent(t *testing.T) {
	r := relaying(t, RelayOptions{Pipes: NewPipes(4, nil, nil)})
	raw, err := r.client.SyscallConn()
	must(t, err)
	part := bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // 1 MiB: it is spliced
	got := make([]byte, len(part))
	must(t, r.backend.SetReadDeadline(time.Now().Add(patience)))
	for range 8 {
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := r.client.Write(part); err != nil {
				t.Error(err)
			}
		})
		_, err := io.ReadFull(r.backend, got)
		wg.Wait()
		if err != nil || !bytes.Equal(got, part) {
			t.Fatalf("the bytes differ: %v", err)
		}
		// The first thing that is there when it is looked again.
		cerr := raw.Control(func(fd uintptr) { err = unix.Sendto(int(fd), []byte("!"), unix.MSG_OOB, nil) })
		must(t, errors.Join(err, cerr))
	}
	corked(t, r.client, "behind the last one")
	receive(t, r.backend, "behind the last one")
	wantEOF(t, r.backend)
	must(t, r.backend.Close())
	r.want(t, CauseEnd, Client)
}

// stream sends size bytes of a seeded sequence with random stalls and sizes, then a FIN, and returns
// their hash.
func stream(c *net.TCPConn, seed uint64, size int64) (sum [32]byte, err error) {
	hash, random := sha256.New(), rand.New(rand.NewPCG(seed, 0))
	block := make([]byte, 256<<10)
	for i := range block {
		block[i] = byte(random.Uint32())
	}
	for size > 0 {
		n := 1 + random.Int64N(int64(len(block)))
		if random.IntN(4) == 0 {
			n = 1 + random.Int64N(300)
		}
		p := block[:min(n, size)]
		block[0]++ // no two blocks are the same
		hash.Write(p)
		if _, err := c.Write(p); err != nil {
			return sum, err
		}
		stall(random)
		size -= int64(len(p))
	}
	return [32]byte(hash.Sum(nil)), c.CloseWrite()
}

// collect reads to the end, with random stalls, and returns the hash of what came.
func collect(c *net.TCPConn, seed uint64) (sum [32]byte, n int64, err error) {
	hash, random := sha256.New(), rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, 128<<10)
	for {
		got, err := c.Read(b[:1+random.IntN(len(b))])
		hash.Write(b[:got])
		n += int64(got)
		if err == io.EOF {
			return [32]byte(hash.Sum(nil)), n, nil
		}
		if err != nil {
			return sum, n, err
		}
		stall(random)
	}
}

// stall now and then takes some time.
func stall(random *rand.Rand) {
	if random.IntN(64) == 0 {
		<-time.After(time.Duration(random.IntN(3000)) * time.Microsecond)
	}
}

// TestRelayIsByteExact carries both directions at once, to the last byte. WEIR_RELAY_BYTES sets how
// many.
func TestRelayIsByteExact(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pipes *Pipes
	}{{"copied", nil}, {"spliced", NewPipes(4, nil, nil)}} {
		t.Run(tt.name, func(t *testing.T) {
			size := relayBytes(t)
			r := relaying(t, RelayOptions{Idle: time.Minute, HalfClose: time.Minute, Pipes: tt.pipes})
			seed := rand.Uint64()
			t.Logf("seed %d, %d bytes each way", seed, size)
			var wg sync.WaitGroup
			sums := make([][32]byte, 4)
			for i, c := range []*net.TCPConn{r.client, r.backend} {
				must(t, c.SetDeadline(time.Now().Add(10*time.Minute)))
				wg.Go(func() {
					var err error
					if sums[i], err = stream(c, seed+uint64(i), size); err != nil {
						t.Errorf("sends: %v", err)
					}
				})
				wg.Go(func() {
					sum, n, err := collect(c, seed+uint64(i))
					if sums[3-i] = sum; err != nil || n != size {
						t.Errorf("received %d of %d: %v", n, size, err)
					}
				})
			}
			wg.Wait()
			if sums[0] != sums[2] || sums[1] != sums[3] {
				t.Error("what was received is not what was sent")
			}
			if e := r.ended(t); e.Cause != CauseEnd {
				t.Errorf("ended by %+v", e)
			}
			if tt.pipes != nil && tt.pipes.Open() == 0 {
				t.Error("nothing was spliced")
			}
			if client, backend := r.Moved(); client != size || backend != size {
				t.Errorf("moved %d and %d, want %d", client, backend, size)
			}
		})
	}
}

// relayBytes is how many bytes a test carries each way.
func relayBytes(t *testing.T) int64 {
	if s := os.Getenv("WEIR_RELAY_BYTES"); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		must(t, err)
		return n
	}
	if testing.Short() {
		return 4 << 20
	}
	return 64 << 20
}

// TestRelayAllocs: a message costs no memory, copied or spliced.
func TestRelayAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := relaying(t, RelayOptions{Idle: time.Hour, Pipes: NewPipes(4, nil, nil)})
	small, large := make([]byte, 200), make([]byte, 4*LargeSize)
	for _, tt := range []struct {
		name string
		b    []byte
	}{{"small", small}, {"large", large}} {
		pass := func() {
			_, werr := r.client.Write(tt.b[:len(tt.b)/2])
			_, rerr := io.ReadFull(r.backend, tt.b[:len(tt.b)/2])
			if werr != nil || rerr != nil {
				t.Error(werr, rerr)
			}
		}
		pass()
		if n := testing.AllocsPerRun(1000, pass); n != 0 {
			t.Errorf("%s: %v allocations a message", tt.name, n)
		}
	}
}
