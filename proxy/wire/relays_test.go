package wire

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// started begins a relay of rs between two peers, and returns them and how it ends.
func started(t testing.TB, rs *Relays, o RelayOptions) (client, backend *net.TCPConn, ended chan Ending) {
	t.Helper()
	a, client := dialed(t)
	b, backend := dialed(t)
	r := rs.NewRelay(a, b, o)
	ended = make(chan Ending, 1)
	r.Start(func(e Ending) {
		_ = a.Close()
		_ = b.Close()
		ended <- e
	})
	t.Cleanup(func() {
		r.Stop()
		ended <- <-ended
	})
	return client, backend, ended
}

// TestRelaysWaitWithoutGoroutines: those that nothing moves in have none, also when they hold bytes that
// nobody takes.
func TestRelaysWaitWithoutGoroutines(t *testing.T) {
	rs := relaysOf(t)
	before := runtime.NumGoroutine()
	for i := range 20 {
		client, backend, _ := started(t, rs, RelayOptions{Idle: time.Hour})
		send(t, client, "question")
		receive(t, backend, "question")
		send(t, backend, "answer")
		receive(t, client, "answer")
		if i < 5 {
			fill(t, client)
		}
	}
	eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine()-rs.run.spares() <= before })
}

// TestRelayStartsLate: what has come before the relay begins is carried, whatever it is.
func TestRelayStartsLate(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sends func(t testing.TB, c *net.TCPConn)
		want  string
	}{
		{"nothing", func(testing.TB, *net.TCPConn) {}, ""},
		{"bytes", func(t testing.TB, c *net.TCPConn) { send(t, c, "early") }, "early"},
		{"bytes and the end", func(t testing.TB, c *net.TCPConn) { corked(t, c, "early") }, "early"},
		{"an urgent byte among them", func(t testing.TB, c *net.TCPConn) {
			send(t, c, "ear")
			urgent(t, c)
			send(t, c, "ly")
		}, "early"},
		{"the same and the end", func(t testing.TB, c *net.TCPConn) {
			send(t, c, "ear")
			urgent(t, c)
			corked(t, c, "ly")
		}, "early"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rs := relaysOf(t)
			for side := range Side(2) {
				a, client := dialed(t)
				b, backend := dialed(t)
				from, to := client, backend
				if side == Backend {
					from, to = to, from
				}
				tt.sends(t, from)
				r := rs.NewRelay(a, b, RelayOptions{})
				ended := make(chan Ending, 1)
				r.Start(func(e Ending) {
					_ = a.Close() // which is where the second side sees its end
					_ = b.Close()
					ended <- e
				})
				receive(t, to, tt.want)
				must(t, from.CloseWrite())
				wantEOF(t, to)
				send(t, to, "late")
				receive(t, from, "late")
				must(t, to.CloseWrite())
				wantEOF(t, from)
				if e := <-ended; e.Cause != CauseEnd || e.Side != side {
					t.Errorf("ended by %+v, want the %v", e, side)
				}
			}
		})
	}
}

// urgent sends a byte that is not carried.
func urgent(t testing.TB, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	must(t, err)
	cerr := raw.Control(func(fd uintptr) { err = unix.Sendto(int(fd), []byte("!"), unix.MSG_OOB, nil) })
	must(t, cerr)
	must(t, err)
}

// TestRelayUrgentAtTheEnd: bytes, an urgent one, more bytes and the end may come as one event. A receive
// stops at the urgent one, which is no sign that nothing is left.
func TestRelayUrgentAtTheEnd(t *testing.T) {
	rs := relaysOf(t)
	for range 100 {
		client, backend, ended := started(t, rs, RelayOptions{})
		send(t, client, "before")
		urgent(t, client)
		corked(t, client, "behind")
		receive(t, backend, "beforebehind")
		wantEOF(t, backend)
		must(t, backend.Close())
		if e := <-ended; e.Cause != CauseEnd {
			t.Fatalf("ended by %+v", e)
		} else {
			ended <- e
		}
	}
}

// TestRelaysFind: an event is for whoever has the descriptor now, or for nobody.
func TestRelaysFind(t *testing.T) {
	s := relaySet{waiting: make([]waiting, 8)}
	w := &way{}
	s.waiting[5] = waiting{w, 7}
	found := make([]hearer, 4)
	s.find([]unix.EpollEvent{{Fd: 5, Pad: 6}, {Fd: 5, Pad: 7}, {Fd: 4, Pad: 7}, {Fd: 5, Pad: 8}}, found)
	for i, got := range found {
		if want := i == 1; (got == w) != want || !want && got != nil {
			t.Errorf("event %d is for %v", i, got)
		}
	}
}

// TestWayNews: what happens while a way is busy is looked into before it rests.
func TestWayNews(t *testing.T) {
	w := &way{}
	w.state.Store(wayBusy | wayWants)
	if w.wake(wayReadable) {
		t.Error("a busy way gets another goroutine")
	}
	if w.rested() {
		t.Error("it rests, and there is news")
	}
	w.state.And(^wayNews)
	if !w.rested() || w.state.Load() != wayWants {
		t.Errorf("it does not rest: %b", w.state.Load())
	}
	if !w.wake(wayWritable) || w.state.Load() != wayBusy|wayWants|wayWritable {
		t.Errorf("nobody is to give it a turn: %b", w.state.Load())
	}
}

// defect is a layer that panics.
type defect struct{ Layer }

func (defect) Receive([]byte) (int, syscall.Errno) { panic("a defect") }

// TestRelayDefect: a panic ends one relay, and no other of its set.
func TestRelayDefect(t *testing.T) {
	rs := relaysOf(t)
	client, backend, _ := started(t, rs, RelayOptions{})
	var told atomic.Value
	broken, _, ended := started(t, rs, RelayOptions{Layers: [2]Layer{defect{}}, Panicked: func(v any) { told.Store(v) }})
	wantReset(t, broken)
	if e := <-ended; e.Cause != CauseDefect || told.Load() != "a defect" {
		t.Errorf("ended by %+v, told of %v", e, told.Load())
	} else {
		ended <- e
	}
	send(t, client, "still here")
	receive(t, backend, "still here")
}

// TestRelayLasting: a relay says once that it has lasted, if it has.
func TestRelayLasting(t *testing.T) {
	rs := relaysOf(t)
	var short, long atomic.Int64
	client, _, ended := started(t, rs, RelayOptions{Idle: 100 * time.Hour, Lasting: func() { short.Add(1) }})
	_, _, _ = started(t, rs, RelayOptions{Idle: 100 * time.Hour, Lasting: func() { long.Add(1) }})
	begun := time.Now()
	must(t, client.SetLinger(0))
	must(t, client.Close())
	ended <- <-ended
	eventually(t, "it has lasted", func() bool { return long.Load() == 1 })
	if d := time.Since(begun); d < LastingAfter-time.Second/10 {
		t.Errorf("it has lasted after %v, want %v", d, LastingAfter)
	}
	if n := short.Load(); n != 0 {
		t.Errorf("one that was over has lasted %d times", n)
	}
}

// TestRelaysChurn: relays on several sets end in every way and others take their descriptors, while
// bytes move both ways at once.
func TestRelaysChurn(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	rs, pipes := relaysOf(t), NewPipes(8, nil, nil)
	t.Cleanup(pipes.Close)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rounds := 60
	if testing.Short() || raceEnabled {
		rounds = 15
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			for range rounds {
				churn(t, rs, pipes, random)
			}
		})
	}
	all.Wait()
	if n := waitingIn(rs); n != 0 {
		t.Errorf("%d sockets are waited for, want none", n)
	}
}

// churn is the life of one relay.
func churn(t *testing.T, rs *Relays, pipes *Pipes, random *rand.Rand) {
	a, client := pair(t)
	b, backend := pair(t)
	r := rs.NewRelay(a, b, RelayOptions{Idle: time.Hour, Pipes: pipes})
	ended := make(chan Ending, 1)
	r.Start(func(e Ending) {
		_ = a.Close()
		_ = b.Close()
		ended <- e
	})
	size := random.IntN(64)
	if random.IntN(3) == 0 {
		size = random.IntN(1 << 20)
	}
	sent := bytes.Repeat([]byte{byte(random.Uint32())}, size)
	orderly := random.IntN(4) > 0
	var both sync.WaitGroup
	for _, c := range []*net.TCPConn{client, backend} {
		_ = c.SetDeadline(time.Now().Add(patience))
		both.Go(func() {
			_, _ = c.Write(sent)
			_ = c.CloseWrite()
		})
		both.Go(func() {
			if got, err := io.ReadAll(c); orderly && (err != nil || !bytes.Equal(got, sent)) {
				t.Errorf("%d of %d bytes came: %v", len(got), len(sent), err)
			}
		})
	}
	if !orderly {
		r.Stop()
	}
	both.Wait()
	select {
	case e := <-ended:
		if orderly && e.Cause != CauseEnd {
			t.Errorf("ended by %+v", e)
		}
	case <-time.After(patience):
		t.Error("the relay does not end")
		r.Stop()
		<-ended
	}
	_ = client.Close()
	_ = backend.Close()
}

// pair is dialed that may be called from any goroutine. Its connections are the caller's to close.
func pair(t *testing.T) (*Conn, *net.TCPConn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	c, err := Dial(l.Addr().(*net.TCPAddr).AddrPort(), patience)
	if err != nil {
		panic(err)
	}
	peer, err := l.Accept()
	if err != nil {
		panic(err)
	}
	return c, peer.(*net.TCPConn)
}
