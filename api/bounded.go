package api

import (
	"net"
	"net/http"
	"slices"
	"sync"
)

// bounded is a listener with a bound on the connections that are open at once. At the bound, one that is idle
// is closed; while there is none, further ones wait in the kernel's queue. Otherwise whoever opened as many, and
// asked nothing any more, would keep out those who want to know whether all is well.
type bounded struct {
	net.Listener
	free chan struct{} // holds a token per connection that may still be opened
	done chan struct{} // closed by Close
	once sync.Once
	err  error // of the first Close

	mu      sync.Mutex // guards what follows
	idle    []net.Conn // between requests, the longest first
	crowded bool       // Accept waits for room
}

// newBounded owns l and closes it.
func newBounded(l net.Listener, most int) *bounded {
	b := &bounded{Listener: l, free: make(chan struct{}, most), done: make(chan struct{})}
	for range most {
		b.free <- struct{}{}
	}
	return b
}

// Accept waits for room, then for a connection.
func (b *bounded) Accept() (net.Conn, error) {
	select {
	case <-b.free:
	default:
		b.makeRoom(true)
		select {
		case <-b.free:
			b.makeRoom(false)
		case <-b.done:
			return nil, net.ErrClosed
		}
	}
	c, err := b.Listener.Accept()
	if err != nil {
		b.free <- struct{}{}
		return nil, err
	}
	return &boundedConn{Conn: c, release: sync.OnceFunc(func() { b.free <- struct{}{} })}, nil
}

// makeRoom closes the connection that has been idle for longest, if there is one, or the first that is, as
// long as room is wanted.
func (b *bounded) makeRoom(wanted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.crowded = wanted
	b.closeIdle()
}

// closeIdle closes one idle connection if that is wanted. mu must be held.
func (b *bounded) closeIdle() {
	if b.crowded && len(b.idle) > 0 {
		b.crowded = false
		_ = b.idle[0].Close() // its server finds out
		b.idle = slices.Delete(b.idle, 0, 1)
	}
}

// changed is http.Server.ConnState.
func (b *bounded) changed(c net.Conn, state http.ConnState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.idle = slices.DeleteFunc(b.idle, func(other net.Conn) bool { return other == c })
	if state == http.StateIdle {
		b.idle = append(b.idle, c)
		b.closeIdle()
	}
}

// Close may be called more than once, as http.Server does.
func (b *bounded) Close() error {
	b.once.Do(func() {
		close(b.done)
		b.err = b.Listener.Close()
	})
	return b.err
}

// boundedConn gives its token back at close.
type boundedConn struct {
	net.Conn
	release func()
}

func (c *boundedConn) Close() error {
	err := c.Conn.Close()
	c.release()
	return err
}
