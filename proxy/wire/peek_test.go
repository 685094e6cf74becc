package wire

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/internal/lbtest"
)

func TestPeek(t *testing.T) {
	c, peer := dialed(t)
	var seen []string
	go send(t, peer, "one")
	must(t, c.Peek(100, soon(), func(b []byte) bool {
		seen = append(seen, string(b))
		switch string(b) {
		case "one":
			send(t, peer, " two")
		case "one two":
			send(t, peer, " three")
		}
		return bytes.HasSuffix(b, []byte("three"))
	}))
	if got := strings.Join(seen, "|"); got != "one|one two|one two three" {
		t.Errorf("seen %q", got)
	}
	b := make([]byte, 100)
	if n, err := c.Read(b, soon()); string(b[:n]) != "one two three" || err != nil {
		t.Errorf("then %q %v is received", b[:n], err)
	}
}

func TestPeekFails(t *testing.T) {
	never := func([]byte) bool { return false }
	t.Run("end", func(t *testing.T) {
		c, peer := dialed(t)
		must(t, peer.CloseWrite())
		if err := c.Peek(10, soon(), never); err != io.EOF {
			t.Error(err)
		}
	})
	t.Run("end with the last bytes", func(t *testing.T) {
		c, peer := dialed(t)
		waits, called := make(chan struct{}), false
		go func() {
			<-waits
			corked(t, peer, "part")
		}()
		must(t, c.Rearm(soon()))
		must(t, c.Serve(func(uintptr) bool { // takes the edge, as whoever had the Conn before may have
			if called {
				return true
			}
			called = true
			close(waits)
			return false
		}))
		lbtest.Eventually(t, patience, func() bool { return ended(c.fd) })
		begun := time.Now()
		if err := c.Peek(10, soon(), never); err != io.ErrUnexpectedEOF || time.Since(begun) > patience/2 {
			t.Errorf("%v after %v", err, time.Since(begun)) // at its due it would look once more
		}
	})
	t.Run("end later", func(t *testing.T) {
		c, peer := dialed(t)
		send(t, peer, "part")
		err := c.Peek(10, soon(), func([]byte) bool {
			go func() { _ = peer.CloseWrite() }()
			return false
		})
		if err != io.ErrUnexpectedEOF {
			t.Error(err)
		}
	})
	t.Run("reset", func(t *testing.T) {
		c, peer := dialed(t)
		must(t, peer.SetLinger(0))
		must(t, peer.Close())
		if err := c.Peek(10, soon(), never); !isErrno(err, syscall.ECONNRESET) {
			t.Error(err)
		}
	})
	t.Run("time", func(t *testing.T) {
		c, peer := dialed(t)
		send(t, peer, "part")
		if err := c.Peek(10, After(Now(), 20*time.Millisecond), never); err != ErrTimeout {
			t.Error(err)
		}
	})
	t.Run("limit", func(t *testing.T) {
		c, peer := dialed(t)
		send(t, peer, "0123456789more")
		longest := 0
		if err := c.Peek(10, soon(), func(b []byte) bool { longest = len(b); return false }); err != ErrPeekFull || longest != 10 {
			t.Error(err, longest)
		}
	})
}

// TestPeekWaitsWithoutABuffer: clients that send a part and then nothing cost no memory but their own.
func TestPeekWaitsWithoutABuffer(t *testing.T) {
	const n = 200
	var looked, done sync.WaitGroup
	var conns []*Conn
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what a sync.Pool has survives the first
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for range n {
		c, peer := dialed(t)
		conns = append(conns, c)
		send(t, peer, "part")
		looked.Add(1)
		done.Go(func() {
			once := sync.OnceFunc(looked.Done)
			err := c.Peek(SmallSize, 0, func([]byte) bool { once(); return false })
			if err == nil {
				t.Error("a part is enough")
			}
		})
	}
	looked.Wait()
	lbtest.Eventually(t, patience, func() bool { return int64(heap()-before)/n < SmallSize/2 })
	for _, c := range conns {
		c.Shutdown()
	}
	done.Wait()
}
