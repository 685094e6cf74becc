package wire

import (
	"io"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestExchange(t *testing.T) {
	c, peer := dialed(t)
	b := make([]byte, 100)
	go func() {
		request := make([]byte, 7)
		for {
			if _, err := io.ReadFull(peer, request); err != nil {
				return
			}
			if _, err := peer.Write([]byte("response")); err != nil {
				return
			}
		}
	}()
	for range 100 {
		n, err := c.Exchange([]byte("request"), b, soon(), soon())
		if err != nil || string(b[:n]) != "response" {
			t.Fatalf("got %q, %v", b[:n], err)
		}
	}
	must(t, c.Write([]byte("request"), 0))
	if n, err := c.Exchange(nil, b, 0, soon()); err != nil || string(b[:n]) != "response" {
		t.Errorf("without a request: %q, %v", b[:n], err)
	}
}

// TestExchangeBigRequest sends more than the socket takes at once.
func TestExchangeBigRequest(t *testing.T) {
	c, peer := dialed(t)
	request := []byte(strings.Repeat("0123456789abcdef", 1<<20))
	go func() {
		got, err := io.ReadAll(io.LimitReader(peer, int64(len(request))))
		reply := "whole"
		if err != nil || string(got) != string(request) {
			reply = "damaged"
		}
		_, _ = io.WriteString(peer, reply) // the other side sees if it fails
	}()
	b := make([]byte, 100)
	n, err := c.Exchange(request, b, soon(), soon())
	if err != nil || string(b[:n]) != "whole" {
		t.Errorf("got %q, %v", b[:n], err)
	}
}

func TestExchangeStalled(t *testing.T) {
	c, _ := dialed(t)
	began := time.Now()
	_, err := c.Exchange(make([]byte, 64<<20), make([]byte, 1), After(Now(), 50*time.Millisecond), soon())
	if err != ErrStalled || time.Since(began) < 50*time.Millisecond {
		t.Errorf("%v after %v, want ErrStalled after 50ms", err, time.Since(began))
	}
}

// TestExchangeSendsWhenLate: a process that was stalled until the deadline still sends the request,
// so that Read can go on to wait for the response.
func TestExchangeSendsWhenLate(t *testing.T) {
	c, peer := dialed(t)
	b := make([]byte, 100)
	for range 20 {
		if _, err := c.Exchange([]byte("request"), b, soon(), Now()-1); err != ErrTimeout {
			t.Fatalf("got %v, want ErrTimeout", err)
		}
		receive(t, peer, "request")
		send(t, peer, "response")
		if n, err := c.Read(b, soon()); err != nil || string(b[:n]) != "response" {
			t.Fatalf("got %q, %v", b[:n], err)
		}
	}
	must(t, c.Arm(Now()-1)) // a timer of long ago
	send(t, peer, "early")
	eventuallyReadable(t, c)
	if n, err := c.Read(b, Now()-1); err != nil || string(b[:n]) != "early" {
		t.Errorf("what is there is not read when it is late: %q, %v", b[:n], err)
	}
}

// eventuallyReadable waits until bytes or an end are there.
func eventuallyReadable(t testing.TB, c *Conn) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for c.Alive() {
		if time.Now().After(deadline) {
			t.Fatal("nothing comes")
		}
		runtime.Gosched()
	}
}

func TestReadTimeout(t *testing.T) {
	c, peer := dialed(t)
	b := make([]byte, 10)
	for range 3 {
		began := time.Now()
		if _, err := c.Read(b, After(Now(), 20*time.Millisecond)); err != ErrTimeout {
			t.Fatalf("got %v, want ErrTimeout", err)
		}
		if d := time.Since(began); d < 20*time.Millisecond {
			t.Fatalf("timed out after %v", d)
		}
	}
	send(t, peer, "late")
	if n, err := c.Read(b, 0); err != nil || string(b[:n]) != "late" {
		t.Errorf("after a time-out: %q, %v", b[:n], err)
	}
}

// TestEarlierDeadline: a deadline that is armed for an earlier moment does not end a read.
func TestEarlierDeadline(t *testing.T) {
	c, peer := dialed(t)
	must(t, c.Arm(After(Now(), 10*time.Millisecond)))
	time.AfterFunc(100*time.Millisecond, func() { _, _ = io.WriteString(peer, "x") }) // or the read times out
	b := make([]byte, 1)
	if n, err := c.Read(b, soon()); n != 1 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	must(t, c.Arm(After(Now(), 10*time.Millisecond)))
	time.AfterFunc(100*time.Millisecond, func() { _, _ = io.WriteString(peer, "x") })
	if n, err := c.Read(b, 0); n != 1 || err != nil {
		t.Errorf("without a deadline of its own: %d, %v", n, err)
	}
}

// TestLazyDeadline: exchanges do not set a timer each.
func TestLazyDeadline(t *testing.T) {
	c, peer := dialed(t)
	// Not as a *net.TCPConn: that would splice, through pipes that are kept.
	go func() { _, _ = io.Copy(struct{ io.Writer }{peer}, struct{ io.Reader }{peer}) }() // ends with the connection
	b := make([]byte, 10)
	armed := soon()
	must(t, c.Arm(armed))
	for range 100 {
		if _, err := c.Exchange([]byte("x"), b, 0, soon()); err != nil {
			t.Fatal(err)
		}
	}
	if c.readArmed != armed {
		t.Errorf("the timer was moved by %v", time.Duration(c.readArmed-armed))
	}
	earlier := armed - int64(time.Second)
	if must(t, c.Arm(earlier)); c.readArmed != earlier {
		t.Error("an earlier deadline does not move the timer")
	}
	if must(t, c.Arm(0)); c.readArmed != earlier {
		t.Error("no deadline moves the timer")
	}
	if must(t, c.Rearm(0)); c.readArmed != 0 {
		t.Error("Rearm keeps the timer")
	}
}

func TestWriteTimeout(t *testing.T) {
	c, peer := dialed(t)
	big := make([]byte, 64<<20)
	within(t, "a write that nobody takes", func() {
		for range 3 { // the timer of one write does not stand in for that of the next
			began := time.Now()
			if err := c.Write(big, 50*time.Millisecond); err != ErrTimeout || time.Since(began) < 50*time.Millisecond {
				t.Errorf("%v after %v, want ErrTimeout after 50ms", err, time.Since(began))
			}
		}
	})
	within(t, "a write after a time-out", func() {
		go func() { _, _ = io.Copy(io.Discard, peer) }() // ends with the connection
		if err := c.Write(big[:1<<20], patience); err != nil {
			t.Errorf("after a time-out: %v", err)
		}
	})
}

// TestSlowReader: a peer that takes some now and then is waited for, longer than idle in sum.
func TestSlowReader(t *testing.T) {
	c, peer := dialed(t)
	const size, step = 8 << 20, 512 << 10
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for range size / step {
			<-tick.C
			if _, err := io.CopyN(io.Discard, peer, step); err != nil {
				return // the writer sees it
			}
		}
	}()
	if err := c.Write(make([]byte, size), 2*time.Second); err != nil {
		t.Error(err)
	}
}

func TestInterrupt(t *testing.T) {
	c, peer := dialed(t)
	b := make([]byte, 10)
	for _, due := range []int64{0, soon()} {
		errs := make(chan error)
		go func() {
			_, err := c.Read(b, due)
			errs <- err
		}()
		c.Interrupt() // before, while or after the reader begins to wait
		if err := <-errs; err != ErrInterrupted {
			t.Fatalf("got %v, want ErrInterrupted", err)
		}
		if _, err := c.Read(b, soon()); err != ErrInterrupted {
			t.Fatalf("the next read: %v, want ErrInterrupted", err)
		}
		if _, err := c.Exchange([]byte("x"), b, soon(), soon()); err != ErrInterrupted {
			t.Fatalf("the next exchange: %v, want ErrInterrupted", err)
		}
		must(t, c.Resume())
		send(t, peer, "x")
		if n, err := c.Read(b, soon()); n != 1 || err != nil {
			t.Fatalf("after Resume: %d, %v", n, err)
		}
	}
}

// TestInterruptAnyTime interrupts readers in every phase of setting their deadlines.
func TestInterruptAnyTime(t *testing.T) {
	c, _ := dialed(t)
	b := make([]byte, 10)
	within(t, "an interrupted read", func() {
		for i := range 2000 {
			var wg sync.WaitGroup
			wg.Go(func() {
				for {
					// Short deadlines keep the reader arming.
					if _, err := c.Read(b, Now()+int64(i%50)*1000+1); err == ErrInterrupted {
						return
					} else if err != ErrTimeout {
						t.Errorf("got %v", err)
						return
					}
				}
			})
			for range i % 7 {
				runtime.Gosched()
			}
			c.Interrupt()
			wg.Wait()
			must(t, c.Resume())
		}
	})
}

// TestShutdown ends every kind of wait from outside.
func TestShutdown(t *testing.T) {
	large := make([]byte, 64<<20)
	tests := map[string]func(c *Conn) error{
		"read": func(c *Conn) error {
			_, err := c.Read(make([]byte, 1), 0)
			return err
		},
		"exchange": func(c *Conn) error {
			_, err := c.Exchange([]byte("x"), make([]byte, 1), 0, 0)
			return err
		},
		"write": func(c *Conn) error { return c.Write(large, 0) },
		"serve": func(c *Conn) error {
			err := io.ErrNoProgress
			serveErr := c.Serve(func(fd uintptr) bool {
				n, e := Recv(fd, make([]byte, 1))
				if n == 0 && e == 0 {
					err = io.EOF
				}
				return e != syscall.EAGAIN
			})
			if serveErr != nil {
				return nil
			}
			return err
		},
	}
	for name, wait := range tests {
		t.Run(name, func(t *testing.T) {
			for i := range 50 {
				c, _ := dialed(t)
				errs := make(chan error, 1)
				go func() { errs <- wait(c) }()
				for range i {
					runtime.Gosched()
				}
				c.Shutdown()
				c.Shutdown()
				select {
				case err := <-errs:
					if err == nil {
						t.Fatal("no error")
					}
				case <-time.After(patience):
					t.Fatal("still waiting")
				}
				must(t, c.Close())
			}
		})
	}
}

// TestServe: the callback is called at once and at every readiness, and what comes between two
// calls is not lost.
func TestServe(t *testing.T) {
	c, peer := dialed(t)
	go func() {
		for range 1000 {
			if _, err := io.WriteString(peer, "x"); err != nil {
				return // the count shows it
			}
		}
	}()
	b := make([]byte, 7)
	calls, total := 0, 0
	must(t, c.Arm(soon()))
	must(t, c.Serve(func(fd uintptr) bool {
		calls++
		for {
			n, e := Recv(fd, b)
			if e == syscall.EAGAIN {
				return false
			}
			if total += n; e != 0 || n == 0 || total == 1000 {
				return true
			}
		}
	}))
	if total != 1000 || calls == 0 {
		t.Errorf("%d bytes in %d calls", total, calls)
	}
}

// TestServeDataAndFIN: data and FIN in one segment have one edge. A callback that waits after a
// short receive does not see the end until it looks again, for which the deadline is.
func TestServeDataAndFIN(t *testing.T) {
	for range 50 {
		c, peer := dialed(t)
		go corked(t, peer, "last words")
		b := make([]byte, 100)
		got, ended := "", false
		f := func(fd uintptr) bool {
			n, e := Recv(fd, b)
			if e == syscall.EAGAIN {
				return false
			}
			got += string(b[:n])
			ended = n == 0
			return ended
		}
		must(t, c.Arm(After(Now(), 20*time.Millisecond)))
		looks := 0
		err := c.Serve(f)
		for ; err == ErrTimeout && looks < 500; looks++ {
			must(t, c.Rearm(After(Now(), 20*time.Millisecond)))
			err = c.Serve(f)
		}
		if err != nil || !ended || got != "last words" {
			t.Fatalf("%q, ended %v, %v after %d looks", got, ended, err, looks)
		}
		must(t, c.Close())
	}
}

// TestReadDataAndFIN: a read receives before it waits, so that it finds an end that has no edge.
func TestReadDataAndFIN(t *testing.T) {
	for range 100 {
		c, peer := dialed(t)
		go func() {
			receive(t, peer, "request")
			corked(t, peer, "response")
		}()
		b := make([]byte, 100)
		n, err := c.Exchange([]byte("request"), b, soon(), soon())
		if err != nil || string(b[:n]) != "response" {
			t.Fatalf("got %q, %v", b[:n], err)
		}
		if n, err := c.Read(b, soon()); n != 0 || err != io.EOF {
			t.Fatalf("behind the response: %d, %v, want the end", n, err)
		}
		must(t, c.Close())
	}
}

// TestExchangeOnHalfClosed: the FIN came before the request, so its edge is lost, and the peer, which
// still reads, sends no reset. The deadline finds it.
func TestExchangeOnHalfClosed(t *testing.T) {
	c, peer := dialed(t)
	must(t, peer.CloseWrite())
	eventuallyReadable(t, c)
	if n, err := c.Exchange([]byte("x"), make([]byte, 1), soon(), After(Now(), 20*time.Millisecond)); n != 0 || err != io.EOF {
		t.Errorf("got %d, %v, want the end", n, err)
	}
}

func TestReset(t *testing.T) {
	t.Run("read", func(t *testing.T) {
		c, peer := dialed(t)
		must(t, peer.SetLinger(0))
		go peer.Close()
		if _, err := c.Read(make([]byte, 1), soon()); !isErrno(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want a reset", err)
		}
		if err := c.Write([]byte("x"), 0); err == nil {
			t.Error("write after a reset succeeds")
		}
		if c.Alive() {
			t.Error("alive after a reset")
		}
	})
	t.Run("serve", func(t *testing.T) {
		c, peer := dialed(t)
		must(t, peer.SetLinger(0))
		go peer.Close()
		var errno syscall.Errno
		must(t, c.Arm(soon()))
		must(t, c.Serve(func(fd uintptr) bool {
			_, errno = Recv(fd, make([]byte, 1))
			return errno != syscall.EAGAIN
		}))
		if errno != syscall.ECONNRESET {
			t.Errorf("got %v, want a reset", errno)
		}
	})
	t.Run("exchange", func(t *testing.T) {
		c, peer := dialed(t)
		must(t, peer.SetLinger(0))
		go func() {
			receive(t, peer, "x")
			_ = peer.Close() // if it fails, no reset comes
		}()
		if _, err := c.Exchange([]byte("x"), make([]byte, 1), soon(), soon()); !isErrno(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want a reset", err)
		}
	})
}

func TestAbort(t *testing.T) {
	c, peer := dialed(t)
	must(t, c.Write([]byte("half"), 0))
	must(t, c.Abort())
	must(t, peer.SetReadDeadline(time.Now().Add(patience)))
	if _, err := io.ReadAll(peer); !isErrno(err, syscall.ECONNRESET) {
		t.Errorf("the peer sees %v, want a reset", err)
	}
	c, peer = dialed(t)
	must(t, c.Write([]byte("whole"), 0))
	must(t, c.Close())
	if b, err := io.ReadAll(peer); string(b) != "whole" || err != nil {
		t.Errorf("after Close the peer sees %q, %v", b, err)
	}
}

func TestCloseWrite(t *testing.T) {
	c, peer := dialed(t)
	must(t, c.Write([]byte("x"), 0))
	must(t, c.CloseWrite())
	if b, err := io.ReadAll(peer); string(b) != "x" || err != nil {
		t.Errorf("the peer sees %q, %v", b, err)
	}
	send(t, peer, "y")
	b := make([]byte, 1)
	if n, err := c.Read(b, soon()); n != 1 || err != nil {
		t.Errorf("the other direction: %d, %v", n, err)
	}
	must(t, c.Close())
	if err := c.CloseWrite(); err == nil {
		t.Error("CloseWrite after Close succeeds")
	}
}

// TestLinger: a peer that is still sending gets the last response whole. Without the linger the
// unread bytes would make the close a reset.
func TestLinger(t *testing.T) {
	for range 20 {
		c, peer := dialed(t)
		response := strings.Repeat("r", 100<<10)
		sent := make(chan struct{})
		got := make(chan string, 1)
		go func() {
			_, _ = peer.Write(make([]byte, 200<<10)) // may be cut off, as far as the sender goes
			close(sent)
			b, err := io.ReadAll(peer)
			if err != nil {
				got <- err.Error()
			} else {
				got <- string(b)
			}
			_ = peer.Close()
		}()
		eventuallyReadable(t, c)
		must(t, c.Write([]byte(response), patience))
		must(t, c.Linger(256<<10, patience))
		<-sent
		if s := <-got; s != response {
			t.Fatalf("the peer got %d bytes: %.40q", len(s), s)
		}
	}
}

func TestLingerOfSilentPeer(t *testing.T) {
	c, _ := dialed(t)
	began := time.Now()
	must(t, c.Linger(1<<20, 50*time.Millisecond))
	if d := time.Since(began); d < 50*time.Millisecond || d > patience {
		t.Errorf("a silent peer is lingered for %v", d)
	}
	if err := c.Rearm(0); err != ErrClosed {
		t.Errorf("after Linger: %v, want ErrClosed", err)
	}
}

func TestLingerOfBusyPeer(t *testing.T) {
	c, peer := dialed(t)
	go func() {
		for {
			if _, err := peer.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}()
	began := time.Now()
	must(t, c.Linger(256<<10, patience))
	if d := time.Since(began); d >= patience {
		t.Errorf("a peer that goes on sending is lingered for %v", d)
	}
}

func TestLingerOfResetPeer(t *testing.T) {
	c, peer := dialed(t)
	must(t, peer.SetLinger(0))
	must(t, peer.Close())
	eventuallyReadable(t, c)
	_ = c.Linger(1<<20, patience) // fails or not, as the reset is seen
	if err := c.Rearm(0); err != ErrClosed {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

func TestAliveAndOpen(t *testing.T) {
	c, peer := dialed(t)
	if !c.Alive() {
		t.Error("a silent connection is not alive")
	}
	send(t, peer, "x")
	eventuallyReadable(t, c)
	if c.Alive() {
		t.Error("one with unread bytes is alive, or not open")
	}
	b := make([]byte, 2)
	if n, err := c.Read(b, soon()); n != 1 || err != nil {
		t.Fatalf("the look took bytes: %d, %v", n, err)
	}
	must(t, peer.CloseWrite())
	eventuallyReadable(t, c)
	if c.Alive() {
		t.Error("one that the peer has closed is alive")
	}
}

func TestConnAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	c, peer := dialed(t)
	in, out := []byte("request"), make([]byte, 100)
	raw, err := peer.SyscallConn()
	must(t, err)
	echo := func(fd uintptr) bool {
		var b [100]byte
		n, e := Recv(fd, b[:])
		if e == syscall.EAGAIN {
			return false
		}
		_, e = Send(fd, b[:n])
		return e != 0 || n == 0
	}
	done := make(chan error, 1)
	go func() { done <- raw.Read(echo) }()
	allocs := testing.AllocsPerRun(1000, func() {
		if n, err := c.Exchange(in, out, soon(), soon()); n != len(in) || err != nil {
			panic(err)
		}
		if !c.Alive() {
			panic("not alive")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for an exchange, want 0", allocs)
	}
	must(t, c.Close())
	must(t, <-done)
}
