package lbtest

import (
	"context"
	"io"
	"log"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// quiet swallows what net/http says about clients that misbehave: tests make them on purpose.
var quiet = log.New(io.Discard, "", 0)

// Serve deals with one connection. It is closed when Serve returns; ctx ends with the backend.
type Serve func(ctx context.Context, c *net.TCPConn)

// TCP is a listener that gives each connection to a Serve.
type TCP struct {
	addr     netip.AddrPort
	accepted atomic.Int64
	open     atomic.Int64
}

// NewTCP starts a listener; serve is called for each connection, concurrently.
func NewTCP(t testing.TB, serve Serve) *TCP {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &TCP{addr: ln.Addr().(*net.TCPAddr).AddrPort()}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { b.listen(ctx, ln.(*net.TCPListener), serve, &wg) })
	t.Cleanup(func() {
		cancel()
		if err := ln.Close(); err != nil {
			t.Errorf("stop backend: %v", err)
		}
		wg.Wait()
	})
	return b
}

// Addr is where it listens.
func (b *TCP) Addr() netip.AddrPort { return b.addr }

// Accepted counts the connections that have come.
func (b *TCP) Accepted() int64 { return b.accepted.Load() }

// Open counts the connections that its Serve has not finished with.
func (b *TCP) Open() int64 { return b.open.Load() }

func (b *TCP) listen(ctx context.Context, ln *net.TCPListener, serve Serve, wg *sync.WaitGroup) {
	for {
		c, err := ln.AcceptTCP()
		if err != nil {
			return // the listener is closed
		}
		b.accepted.Add(1)
		b.open.Add(1)
		wg.Go(func() {
			defer b.open.Add(-1)
			defer c.Close()
			stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
			defer stop()
			serve(ctx, c)
		})
	}
}

// Script waits for want bytes, sends reply, and closes when the client does; want may be 0.
func Script(want int, reply string) Serve {
	return func(_ context.Context, c *net.TCPConn) {
		if _, err := io.CopyN(io.Discard, c, int64(want)); err != nil {
			return
		}
		if _, err := io.WriteString(c, reply); err != nil {
			return
		}
		drain(c)
	}
}

// Say sends text and closes, without waiting for anything.
func Say(text string) Serve {
	return func(_ context.Context, c *net.TCPConn) {
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
		if c.CloseWrite() == nil {
			drain(c) // what the client sends must not turn the FIN into a RST
		}
	}
}

// Hang takes what the client sends and never answers.
func Hang() Serve {
	return func(_ context.Context, c *net.TCPConn) { drain(c) }
}

// Drip sends start at once and then drop again and again, every so often, for as long as the client
// listens.
func Drip(start, drop string, every time.Duration) Serve {
	return func(ctx context.Context, c *net.TCPConn) {
		_, err := io.WriteString(c, start)
		for err == nil && wait(ctx, every) {
			_, err = io.WriteString(c, drop)
		}
	}
}

// Reset waits for the first byte of the client and answers with RST.
func Reset() Serve {
	return func(_ context.Context, c *net.TCPConn) {
		var b [1]byte
		if _, err := c.Read(b[:]); err == nil {
			_ = c.SetLinger(0) // it fails only on a connection that is gone
		}
	}
}

// drain reads until the client is done or the backend is stopped.
func drain(c *net.TCPConn) {
	// Whatever ends it, the connection is closed next.
	_, _ = io.Copy(io.Discard, c)
}
