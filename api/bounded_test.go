package api

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/zap"
)

// quiet is a log that nobody reads.
func quiet() *zap.Logger { return zap.NewNop() }

// pipeListener accepts pipes, so that a test decides when a connection comes.
type pipeListener struct {
	net.Listener
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipeListener) Close() error {
	close(p.closed)
	return nil
}

func TestBounded(t *testing.T) {
	under := &pipeListener{conns: make(chan net.Conn, 3), closed: make(chan struct{})}
	for range 3 {
		c, _ := net.Pipe()
		under.conns <- c
	}
	b := newBounded(under, 2)
	first, err := b.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Accept(); err != nil {
		t.Fatal(err)
	}

	third := make(chan error, 1)
	go func() {
		_, err := b.Accept()
		third <- err
	}()
	if len(b.free) != 0 || len(under.conns) != 1 {
		t.Errorf("got %d free and %d waiting, want 0 and 1", len(b.free), len(under.conns))
	}
	// Closing twice gives one place, not two.
	for range 2 {
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-third; err != nil {
		t.Fatal(err)
	}

	go func() {
		_, err := b.Accept()
		third <- err
	}()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-third; !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept at the bound after close: got %v, want %v", err, net.ErrClosed)
	}
	if err := b.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

// TestIdleConnectionsMakeRoom: whoever holds all connections, and asks nothing, keeps nobody out.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	g := newRig(t, nil)
	const question = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
	ask := func() (net.Conn, *bufio.Reader) {
		c, err := net.Dial("tcp", g.server.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, question); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(c)
		response, err := http.ReadResponse(r, nil)
		if err != nil || response.StatusCode != 200 {
			t.Fatalf("got %v, %v", response, err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatal(err)
		}
		return c, r
	}
	_, first := ask()
	for range 2 * maxConnections {
		ask()
	}
	if _, err := first.ReadByte(); err != io.EOF {
		t.Errorf("the longest idle: got %v, want its end", err)
	}
}
