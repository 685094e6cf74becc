package wire

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// piped are two connections with a pipe between them, and their peers.
type piped struct {
	pipe         *Pipe
	from, to     *Conn
	source, sink *net.TCPConn
}

func newPiped(t testing.TB) *piped {
	t.Helper()
	stock := NewPipes(1, nil, nil)
	p := &piped{pipe: stock.Get()}
	if p.pipe == nil {
		t.Skip("the kernel gives no pipe of use")
	}
	t.Cleanup(func() {
		stock.Put(p.pipe)
		stock.Close()
	})
	p.from, p.source = dialed(t)
	p.to, p.sink = dialed(t)
	must(t, p.sink.SetReadDeadline(time.Now().Add(patience)))
	return p
}

// TestPipeTakesNoMoreThanIsAsked: what follows is left for others to receive.
func TestPipeTakesNoMoreThanIsAsked(t *testing.T) {
	p := newPiped(t)
	const size = 3<<20 + 7
	sent := make([]byte, size)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(sent)
	go func() {
		_, _ = p.source.Write(append(sent, "next"...)) // a failure is seen at the other end
	}()
	got := make(chan []byte, 1)
	go func() {
		b := make([]byte, size)
		n, _ := io.ReadFull(p.sink, b)
		got <- b[:n]
	}()
	for left := size; left > 0; {
		n, err := p.pipe.Fill(p.from, left, soon())
		if err != nil || n == 0 || n > PipeSize {
			t.Fatalf("%d bytes, %v", n, err)
		}
		left -= n
		must(t, p.pipe.Pour(p.to, patience))
	}
	if b := <-got; !bytes.Equal(b, sent) {
		t.Errorf("the %d bytes that came are not the %d that were sent", len(b), size)
	}
	b := make([]byte, 10)
	if n, err := p.from.Read(b, soon()); string(b[:n]) != "next" {
		t.Errorf("left behind: %q, %v", b[:n], err)
	}
}

func TestPipeEnds(t *testing.T) {
	t.Run("end", func(t *testing.T) {
		p := newPiped(t)
		must(t, p.source.CloseWrite())
		if n, err := p.pipe.Fill(p.from, 10, soon()); n != 0 || err != nil {
			t.Errorf("%d %v, want nothing", n, err)
		}
		if _, err := p.from.Read(make([]byte, 1), soon()); err != io.EOF {
			t.Errorf("a read says %v, want the end", err)
		}
	})
	t.Run("reset", func(t *testing.T) {
		p := newPiped(t)
		must(t, p.source.SetLinger(0))
		must(t, p.source.Close())
		if n, err := p.pipe.Fill(p.from, 10, soon()); n != 0 || !isErrno(err, syscall.ECONNRESET) {
			t.Errorf("%d %v, want a reset", n, err)
		}
	})
	t.Run("sink reset", func(t *testing.T) {
		p := newPiped(t)
		must(t, p.sink.SetLinger(0))
		must(t, p.sink.Close())
		eventuallyReadable(t, p.to)
		send(t, p.source, "lost")
		if n, err := p.pipe.Fill(p.from, 10, soon()); n != 4 || err != nil {
			t.Fatal(n, err)
		}
		if err := p.pipe.Pour(p.to, patience); !isErrno(err, syscall.ECONNRESET) && !isErrno(err, syscall.EPIPE) {
			t.Errorf("%v, want a reset", err)
		}
	})
	t.Run("silence", func(t *testing.T) {
		p := newPiped(t)
		if n, err := p.pipe.Fill(p.from, 10, After(Now(), 10*time.Millisecond)); n != 0 || err != ErrTimeout {
			t.Errorf("%d %v, want a time-out", n, err)
		}
		p.from.Interrupt()
		if n, err := p.pipe.Fill(p.from, 10, soon()); n != 0 || err != ErrInterrupted {
			t.Errorf("%d %v, want an interruption", n, err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		p := newPiped(t)
		must(t, p.from.Close())
		must(t, p.to.Close())
		if _, err := p.pipe.Fill(p.from, 10, soon()); err != ErrClosed {
			t.Errorf("a Fill says %v", err)
		}
		if err := p.pipe.Pour(p.to, 0); err != ErrClosed {
			t.Errorf("a Pour says %v", err)
		}
	})
}

// TestPipeSlowSink: a peer that takes some now and then is waited for, longer than idle in sum; one
// that takes nothing for that long is not.
func TestPipeSlowSink(t *testing.T) {
	p := newPiped(t)
	go func() {
		for b := make([]byte, 64<<10); ; {
			if _, err := p.source.Write(b); err != nil {
				return
			}
		}
	}()
	moved := 0
	idle := 50 * time.Millisecond
	var err error
	within(t, "a sink that takes nothing", func() {
		for err == nil {
			var n int
			if n, err = p.pipe.Fill(p.from, PipeSize, soon()); err == nil {
				moved += n
				err = p.pipe.Pour(p.to, idle)
			}
		}
	})
	if err != ErrTimeout || p.pipe.held == 0 {
		t.Fatalf("%v, %d bytes are in the pipe", err, p.pipe.held)
	}
	const rounds = 20
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for range rounds {
			<-tick.C
			if _, err := io.CopyN(io.Discard, p.sink, int64(moved/rounds)); err != nil {
				return // the other side sees it
			}
		}
		_, _ = io.Copy(io.Discard, p.sink) // ends with the connection
	}()
	must(t, p.pipe.Pour(p.to, patience))
	if p.pipe.held != 0 {
		t.Errorf("%d bytes are left", p.pipe.held)
	}
}

// TestPipeUrgent: what is behind an urgent byte is not spliced, and a read gets it.
func TestPipeUrgent(t *testing.T) {
	p := newPiped(t)
	raw, err := p.source.SyscallConn()
	must(t, err)
	send(t, p.source, "before")
	if n, err := p.pipe.Fill(p.from, 100, soon()); n != 6 || err != nil {
		t.Fatal(n, err)
	}
	must(t, p.pipe.Pour(p.to, patience))
	must(t, raw.Control(func(fd uintptr) { err = unix.Sendto(int(fd), []byte("!"), unix.MSG_OOB, nil) }))
	must(t, err)
	send(t, p.source, "behind")
	b := make([]byte, 100)
	for got := ""; got != "behind"; {
		n, err := p.pipe.Fill(p.from, 100, After(Now(), 50*time.Millisecond))
		if err != nil {
			t.Fatalf("a Fill says %v after %q", err, got)
		}
		if n > 0 {
			n, err = unix.Read(p.pipe.out, b)
			p.pipe.held = 0
		} else {
			n, err = p.from.Read(b, soon())
		}
		must(t, err)
		if got += string(b[:n]); len(got) > len("behind") {
			t.Fatalf("got %q", got)
		}
	}
}

func TestPipeAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	p := newPiped(t)
	b := make([]byte, 8<<10)
	allocs := testing.AllocsPerRun(500, func() {
		if _, err := p.source.Write(b); err != nil {
			panic(err)
		}
		for left := len(b); left > 0; {
			n, err := p.pipe.Fill(p.from, left, soon())
			if err != nil || p.pipe.Pour(p.to, patience) != nil {
				panic(err)
			}
			left -= n
		}
		if _, err := io.ReadFull(p.sink, b); err != nil {
			panic(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}
