package wire

import (
	"errors"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

func watching(t testing.TB) *Watcher {
	t.Helper()
	w, err := NewWatcher()
	must(t, err)
	t.Cleanup(func() { _ = w.Close() }) // a test may have closed it
	return w
}

// came waits for a watch.
func came(t testing.TB, gone <-chan struct{}) {
	t.Helper()
	select {
	case <-gone:
	case <-time.After(patience):
		t.Fatal("the end of the peer is not noticed")
	}
}

func TestWatcher(t *testing.T) {
	w := watching(t)
	ends := map[string]func(peer *net.TCPConn){
		"close":            func(peer *net.TCPConn) { must(t, peer.Close()) },
		"half-close":       func(peer *net.TCPConn) { must(t, peer.CloseWrite()) },
		"data and close":   func(peer *net.TCPConn) { corked(t, peer, "x") },
		"data, then close": func(peer *net.TCPConn) { send(t, peer, "x"); must(t, peer.Close()) },
		"reset": func(peer *net.TCPConn) {
			must(t, peer.SetLinger(0))
			must(t, peer.Close())
		},
	}
	for name, end := range ends {
		for _, before := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				c, peer := dialed(t)
				gone := make(chan struct{})
				if before {
					end(peer)
					eventuallyReadable(t, c)
				}
				id, err := w.Watch(c, func() { close(gone) }) // twice would panic
				must(t, err)
				if !before {
					end(peer)
				}
				came(t, gone)
				if !w.Unwatch(c, id) {
					t.Error("Unwatch knows nothing of the call")
				}
			})
		}
	}
}

// TestWatcherIgnoresData: bytes are not an end, however many.
func TestWatcherIgnoresData(t *testing.T) {
	w := watching(t)
	c, peer := dialed(t)
	other, otherPeer := dialed(t)
	gone, otherGone := make(chan struct{}), make(chan struct{})
	id, err := w.Watch(c, func() { close(gone) })
	must(t, err)
	otherID, err := w.Watch(other, func() { close(otherGone) })
	must(t, err)
	send(t, peer, "bytes that nobody reads")
	eventuallyReadable(t, c)
	must(t, otherPeer.Close())
	came(t, otherGone) // events are in order, so that one for the bytes would have come
	select {
	case <-gone:
		t.Error("bytes pass for the end")
	default:
	}
	if w.Unwatch(c, id) {
		t.Error("Unwatch says that it was called")
	}
	w.Unwatch(other, otherID)
}

// TestUnwatch: after it, the function is not called any more, even if the end comes at that moment.
func TestUnwatch(t *testing.T) {
	w := watching(t)
	for i := range 300 {
		c, peer := dialed(t)
		var calls atomic.Int32
		id, err := w.Watch(c, func() { calls.Add(1) })
		must(t, err)
		go peer.Close()
		for range i % 10 {
			runtime.Gosched()
		}
		called := w.Unwatch(c, id)
		n := calls.Load()
		if (n == 1) != called || n > 1 {
			t.Fatalf("called %d times, Unwatch says %v", n, called)
		}
		eventuallyReadable(t, c)
		// The same connection can be watched again, and at once.
		gone := make(chan struct{})
		id, err = w.Watch(c, func() { close(gone) })
		must(t, err)
		came(t, gone)
		w.Unwatch(c, id)
		if calls.Load() != n {
			t.Fatal("called after Unwatch")
		}
		must(t, c.Close())
	}
	if n := len(w.watches); n != 0 {
		t.Errorf("%d watches are left", n)
	}
}

// TestWatcherMany has more ends at once than one look takes.
func TestWatcherMany(t *testing.T) {
	w := watching(t)
	const count = 200
	var calls atomic.Int32
	var ids []int32
	var conns []*Conn
	var peers []net.Conn
	for range count {
		c, peer := dialed(t)
		id, err := w.Watch(c, func() { calls.Add(1) })
		must(t, err)
		ids, conns, peers = append(ids, id), append(conns, c), append(peers, peer)
	}
	for _, peer := range peers {
		must(t, peer.Close())
	}
	deadline := time.Now().Add(patience)
	for calls.Load() != count {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d ends are noticed", calls.Load(), count)
		}
		runtime.Gosched()
	}
	for i, c := range conns {
		w.Unwatch(c, ids[i])
	}
}

func TestWatchErrors(t *testing.T) {
	w := watching(t)
	c, _ := dialed(t)
	id, err := w.Watch(c, func() {})
	must(t, err)
	if _, err := w.Watch(c, func() {}); err == nil {
		t.Error("one connection can be watched twice")
	}
	w.Unwatch(c, id)
	must(t, c.Close())
	if _, err := w.Watch(c, func() {}); !errors.Is(err, ErrClosed) {
		t.Errorf("Watch of a closed connection: %v", err)
	}
	w.Unwatch(c, id) // must not panic
	other, _ := dialed(t)
	within(t, "Close", func() { must(t, w.Close()) })
	if _, err := w.Watch(other, func() {}); !errors.Is(err, ErrClosed) {
		t.Errorf("Watch after Close: %v", err)
	}
	if n := len(w.watches); n != 0 {
		t.Errorf("%d watches are left by failures", n)
	}
}
