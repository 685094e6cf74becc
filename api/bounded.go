package api

import (
	"net"
	"sync"
)

// bounded is a listener with a bound on the connections that are open at once. At the bound, further
// ones wait in the kernel's queue.
type bounded struct {
	net.Listener
	free chan struct{} // holds a token per connection that may still be opened
	done chan struct{} // closed by Close
	once sync.Once
	err  error // of the first Close
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
	case <-b.done:
		return nil, net.ErrClosed
	}
	c, err := b.Listener.Accept()
	if err != nil {
		b.free <- struct{}{}
		return nil, err
	}
	return &boundedConn{Conn: c, release: sync.OnceFunc(func() { b.free <- struct{}{} })}, nil
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
