package wire

import (
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// arriving makes a set, and a way for connections to come into it: ours is as Accept returns it.
func arriving(t *testing.T) (a *Arrivals, next func() (*Conn, *net.TCPConn)) {
	t.Helper()
	a, err := NewArrivals()
	must(t, err)
	l := listening(t, "127.0.0.1:0")
	t.Cleanup(func() { must(t, a.Close()) })
	return a, func() (*Conn, *net.TCPConn) {
		peer, err := net.Dial("tcp", l.Addr().String())
		must(t, err)
		t.Cleanup(func() { _ = peer.Close() })
		c, err := l.Accept()
		must(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c, peer.(*net.TCPConn)
	}
}

func TestArrivals(t *testing.T) {
	tests := []struct {
		name string
		come func(c *Conn, peer *net.TCPConn)
	}{
		{"bytes", func(_ *Conn, peer *net.TCPConn) { send(t, peer, "x") }},
		{"the end", func(_ *Conn, peer *net.TCPConn) { must(t, peer.CloseWrite()) }},
		{"a reset", func(_ *Conn, peer *net.TCPConn) { must(t, peer.SetLinger(0)); must(t, peer.Close()) }},
		{"our reset", func(c *Conn, _ *net.TCPConn) { c.Reset() }},
		{"our shutdown", func(c *Conn, _ *net.TCPConn) { c.Shutdown() }},
	}
	for _, tt := range tests {
		for _, early := range []bool{false, true} {
			a, next := arriving(t)
			c, peer := next()
			served := make(chan struct{}, 2)
			if early {
				tt.come(c, peer)
				eventuallyReadable(t, c)
			}
			a.Await(c, 0, func() { served <- struct{}{} })
			if !early {
				if n := a.Waiting(); n != 1 {
					t.Errorf("%s: %d wait, want 1", tt.name, n)
				}
				select {
				case <-served:
					t.Errorf("%s: served before anything came", tt.name)
				default:
				}
				tt.come(c, peer)
			}
			within(t, tt.name, func() { <-served })
			if n := a.Waiting(); n != 0 {
				t.Errorf("%s: %d wait, want none", tt.name, n)
			}
			if len(served) > 0 {
				t.Errorf("%s: served twice", tt.name)
			}
		}
	}
}

// Whoever sends nothing is served when it is due, not before.
func TestArrivalsAreDue(t *testing.T) {
	a, next := arriving(t)
	var mu sync.Mutex
	var order []int
	began := Now()
	all := sync.WaitGroup{}
	for _, i := range []int{3, 1, 2} {
		c, _ := next()
		all.Add(1)
		due := began + int64(i)*int64(100*time.Millisecond)
		a.Await(c, due, func() {
			if now := Now(); now < due {
				t.Errorf("%d is served %v early", i, time.Duration(due-now))
			}
			mu.Lock()
			order = append(order, i)
			mu.Unlock()
			all.Done()
		})
	}
	within(t, "all are due", all.Wait)
	slices.Sort(order) // the goroutines may pass each other
	if want := []int{1, 2, 3}; !slices.Equal(order, want) {
		t.Errorf("served %v, want each once", order)
	}
	if n := a.Waiting(); n != 0 {
		t.Errorf("%d wait, want none", n)
	}
}

// One that has been served can be waited for as any other, and costs its former set nothing more.
func TestArrivalGoesOn(t *testing.T) {
	a, next := arriving(t)
	c, peer := next()
	done := make(chan struct{})
	a.Await(c, soon(), func() {
		defer close(done)
		b := make([]byte, 8)
		for _, want := range []string{"one", "two"} {
			n, err := c.Read(b, soon())
			if err != nil || string(b[:n]) != want {
				t.Errorf("read %q, %v, want %q", b[:n], err, want)
			}
			if err := c.Write([]byte("ok"), time.Second); err != nil {
				t.Error(err)
			}
		}
		if _, err := c.Read(b, After(Now(), time.Millisecond)); err != ErrTimeout {
			t.Errorf("read: %v, want ErrTimeout", err)
		}
	})
	for _, s := range []string{"one", "two"} {
		send(t, peer, s)
		receive(t, peer, "ok")
	}
	within(t, "served", func() { <-done })
	if !c.poll.registered.Load() {
		t.Error("who has waited is not on the poller")
	}
}

// A client that is served and closed at once never meets the poller.
func TestServedAtOnce(t *testing.T) {
	a, next := arriving(t)
	c, peer := next()
	done := make(chan struct{})
	a.Await(c, soon(), func() {
		defer close(done)
		err := c.Serve(func(fd uintptr) bool {
			n, e := Recv(fd, make([]byte, 8))
			if n != 1 || e != 0 {
				t.Errorf("received %d, %v", n, e)
			}
			return true
		})
		if err != nil {
			t.Error(err)
		}
		if err := c.Write([]byte("bye"), time.Second); err != nil {
			t.Error(err)
		}
		if c.poll.registered.Load() {
			t.Error("on the poller")
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	send(t, peer, "x")
	within(t, "served", func() { <-done })
	receive(t, peer, "bye")
	wantEOF(t, peer)
	c.Shutdown() // of a closed one: nothing happens, to nobody
	c.Interrupt()
	if err := c.poll.register(); err != ErrClosed {
		t.Errorf("register: %v, want ErrClosed", err)
	}
	if err := c.Close(); err != ErrClosed {
		t.Errorf("Close: %v, want ErrClosed", err)
	}
}

// Interrupt wakes a reader that has not waited yet, whenever it comes.
func TestInterruptFirstWait(t *testing.T) {
	_, next := arriving(t)
	for range 200 {
		c, peer := next()
		woken := make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 1), soon())
			woken <- err
		}()
		c.Interrupt()
		within(t, "the reader", func() {
			if err := <-woken; err != ErrInterrupted {
				t.Errorf("got %v, want ErrInterrupted", err)
			}
		})
		must(t, c.Resume())
		send(t, peer, "x")
		if _, err := c.Read(make([]byte, 1), soon()); err != nil {
			t.Errorf("read after Resume: %v", err)
		}
		must(t, c.Close())
		must(t, peer.Close())
	}
}

// The same just before the wait, where only the reader can see it.
func TestInterruptBeforeFirstWait(t *testing.T) {
	for _, registered := range []bool{false, true} {
		_, next := arriving(t)
		c, _ := next()
		if registered { // by whoever writes
			must(t, c.poll.register())
		}
		must(t, c.Rearm(soon()))
		began := Now()
		interrupt := sync.OnceFunc(c.Interrupt)
		err := c.Serve(func(uintptr) bool { interrupt(); return false })
		if err != ErrTimeout || Now()-began > int64(patience/2) {
			t.Errorf("Serve: %v after %v, want ErrTimeout at once", err, time.Duration(Now()-began))
		}
	}
}

// Both directions may be the first to wait, and others may end it at the same time.
func TestFirstWaitOfBothDirections(t *testing.T) {
	_, next := arriving(t)
	for range 20 {
		c, peer := next()
		var all sync.WaitGroup
		all.Go(func() { _, _ = c.Read(make([]byte, 1), soon()) })
		all.Go(func() { _ = c.writeBy(make([]byte, 8<<20), soon()) })
		all.Go(func() { c.Reset() })
		within(t, "both", all.Wait)
		must(t, c.Close())
		_ = peer.Close()
	}
}

func TestRunners(t *testing.T) {
	var r runners
	var ran atomic.Int64
	var all sync.WaitGroup
	for range 10 * spareRunners {
		all.Add(1)
		r.start(func() { ran.Add(1); all.Done() })
	}
	all.Wait()
	eventually(t, "few are left", func() bool { return r.spares() <= spareRunners && r.spares() > 0 })
	eventually(t, "those that nobody needs end", func() bool { return r.spares() == 0 })
	all.Add(1)
	r.start(func() { ran.Add(1); all.Done() })
	all.Wait()
	r.close()
	if got, want := ran.Load(), int64(10*spareRunners+1); got != want {
		t.Errorf("%d pieces of work are done, want %d", got, want)
	}
}

// One piece of work after the other is done by the same goroutine.
func TestRunnersAreUsedAgain(t *testing.T) {
	var r runners
	defer r.close()
	done := make(chan struct{})
	work := func() { done <- struct{}{} }
	r.start(work)
	<-done
	for range 100 {
		eventually(t, "the goroutine waits", func() bool { return r.spares() == 1 })
		r.start(work)
		if n := r.spares(); n != 0 {
			t.Fatalf("%d wait while there is work, want 0", n)
		}
		<-done
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		<-time.After(time.Millisecond)
	}
}

// The heap against a sorted list.
func TestDues(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var d dues
	var list []*due
	for range 20000 {
		if len(list) == 0 || random.IntN(5) < 3 && len(list) < 200 {
			w := &due{at: int64(random.IntN(100))}
			d.add(w)
			if w.at != 0 {
				list = append(list, w)
			}
		} else {
			i := random.IntN(len(list))
			d.remove(list[i])
			list = slices.Delete(list, i, i+1)
		}
		if len(d) != len(list) {
			t.Fatalf("%d are due, want %d", len(d), len(list))
		}
		if len(list) == 0 {
			continue
		}
		want := slices.MinFunc(list, func(a, b *due) int { return int(a.at - b.at) })
		if got := d.first(); got.at != want.at {
			t.Fatalf("the first is due at %d, want %d", got.at, want.at)
		}
		for i, w := range d {
			if w.place != i {
				t.Fatalf("place %d says %d", i, w.place)
			}
		}
	}
}
