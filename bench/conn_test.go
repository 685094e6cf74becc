package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// script serves one connection after the other; each function in it is one of them and is given
// what reads the next request off it.
func script(t *testing.T, conns ...func(c *net.TCPConn, request func() bool)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, serve := range conns {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r := bufio.NewReader(c)
			serve(c.(*net.TCPConn), func() bool {
				_, err := http.ReadRequest(r)
				return err == nil
			})
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

// answers sends each text after one more request, then waits for the client to close.
func answers(texts ...string) func(*net.TCPConn, func() bool) {
	return func(c *net.TCPConn, request func() bool) {
		for _, text := range texts {
			if !request() {
				return
			}
			if _, err := c.Write([]byte(text)); err != nil {
				return
			}
		}
		request()
	}
}

// lastWords sends the texts like answers, the last of them in one segment with the FIN.
func lastWords(texts ...string) func(*net.TCPConn, func() bool) {
	return func(c *net.TCPConn, request func() bool) {
		for i, text := range texts {
			if !request() {
				return
			}
			if i == len(texts)-1 {
				_ = cork(c)
			}
			if _, err := c.Write([]byte(text)); err != nil {
				return
			}
		}
	}
}

const (
	hello   = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
	world   = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nworld"
	chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
)

func testConn(addr, method string, timeout time.Duration) *conn {
	return newConn(addr, []byte(method+" / HTTP/1.1\r\nHost: a\r\n\r\n"), LoadOptions{
		Method: method, Timeout: timeout,
		Check: func(_ int, body []byte) error {
			if b := string(body); b != "" && b != "hello" && b != "world" {
				return errors.New("body " + b)
			}
			return nil
		},
	})
}

func TestConnExchanges(t *testing.T) {
	tests := []struct {
		name   string
		conns  []func(*net.TCPConn, func() bool)
		method string
		want   []string // of each exchange: "ok", "resent" or the kind of its failure
	}{
		{"same bytes", conns(answers(hello, hello, hello)), "GET", []string{"ok", "ok", "ok"}},
		{"other bytes", conns(answers(hello, world, chunked, hello)), "GET", []string{"ok", "ok", "ok", "ok"}},
		{"interim response", conns(answers("HTTP/1.1 103 Early Hints\r\n\r\n"+hello, hello)), "GET", []string{"ok", "ok"}},
		{"no body", conns(answers("HTTP/1.1 204 No Content\r\n\r\n", hello)), "GET", []string{"ok", "ok"}},
		{"HEAD", conns(answers("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")), "HEAD", []string{"ok", "ok"}},
		{"until the end of the stream", conns(lastWords("HTTP/1.1 200 OK\r\n\r\nhello"), answers(hello)), "GET", []string{"ok", "ok"}},
		{"connection: close", conns(answers("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"), answers(hello)), "GET", []string{"ok", "ok"}},
		{"closed while idle", conns(lastWords(hello), answers(hello)), "GET", []string{"ok", "resent"}},
		{"twice closed", conns(lastWords(hello), lastWords("")), "GET", []string{"ok", "closed"}},
		{"known response cut short with the end in one segment", conns(lastWords(hello, hello[:20]), answers(hello)), "GET", []string{"ok", "closed", "ok"}},
		{"first response cut short", conns(lastWords(hello[:20])), "GET", []string{"closed"}},
		{"body cut short", conns(lastWords(hello[:len(hello)-1])), "GET", []string{"closed"}},
		{"closed at once", conns(lastWords("")), "GET", []string{"closed"}},
		{"bytes after the response", conns(answers(hello + "x")), "GET", []string{"response"}},
		{"bytes after a known response", conns(answers(hello, hello+"x")), "GET", []string{"ok", "response"}},
		{"not HTTP", conns(answers("SSH-2.0-x\r\n\r\n")), "GET", []string{"response"}},
		{"body announced too long", conns(answers("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n")), "GET", []string{"response"}},
		{"the check refuses", conns(answers("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")), "GET", []string{"check"}},
		{"no answer", conns(func(_ *net.TCPConn, request func() bool) { request(); request() }), "GET", []string{"timeout"}},
		{"half an answer", conns(answers(hello[:30])), "GET", []string{"timeout"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			timeout := 10 * time.Second
			if strings.Contains(strings.Join(tt.want, " "), "timeout") {
				timeout = time.Millisecond
			}
			c := testConn(script(t, tt.conns...), tt.method, timeout)
			defer c.close()
			for i, want := range tt.want {
				rep, resent, err := c.exchange(t.Context(), time.Now())
				got := "ok"
				if f, failed := errors.AsType[*failure](err); failed {
					got = f.kind.String()
				} else if resent {
					got = "resent"
				}
				if got != want {
					t.Fatalf("exchange %d: got %s (%v), want %s", i, got, err, want)
				}
				if err == nil && (rep.status < 200 || rep.status > 204 || rep.size < 20) {
					t.Errorf("exchange %d: got %+v", i, rep)
				}
			}
		})
	}
}

func conns(c ...func(*net.TCPConn, func() bool)) []func(*net.TCPConn, func() bool) { return c }

// TestConnInPieces sends a known response byte by byte.
func TestConnInPieces(t *testing.T) {
	addr := script(t, func(c *net.TCPConn, request func() bool) {
		for request() {
			for i := range hello {
				if _, err := c.Write([]byte(hello[i : i+1])); err != nil {
					return
				}
			}
		}
	})
	c := testConn(addr, "GET", 10*time.Second)
	defer c.close()
	for i := range 50 {
		if rep, _, err := c.exchange(t.Context(), time.Now()); err != nil || rep.size != len(hello) {
			t.Fatalf("exchange %d: got %+v, %v", i, rep, err)
		}
	}
}

func TestConnStop(t *testing.T) {
	addr := script(t, func(_ *net.TCPConn, request func() bool) { request(); request() })
	c := testConn(addr, "GET", time.Hour)
	defer c.close()
	if err := c.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, c.stop)
	if _, _, err := c.exchange(t.Context(), time.Now()); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
	if err := c.connect(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v from connect after stop, want %v", err, context.Canceled)
	}
}

// TestConnAllocs holds the steady exchange free of allocations, so that the garbage collector of
// the generator does not show up in the latencies.
func TestConnAllocs(t *testing.T) {
	addr := script(t, func(c *net.TCPConn, _ func() bool) {
		buf := make([]byte, 1024)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			if _, err := c.Write([]byte(hello)); err != nil {
				return
			}
		}
	})
	c := testConn(addr, "GET", 10*time.Second)
	defer c.close()
	var failed error
	got := testing.AllocsPerRun(200, func() {
		if _, _, err := c.exchange(context.Background(), time.Now()); err != nil {
			failed = err
		}
	})
	if failed != nil {
		t.Fatal(failed)
	}
	if got != 0 && !raceEnabled {
		t.Errorf("got %v allocations for an exchange, want 0", got)
	}
}

// FuzzResponse parses any bytes as a response. What is accepted must be accepted again, with
// nothing left over, and be kept as the known response only if it is whole.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		hello, chunked, hello + "x", hello[:30], "", "HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + world, "HTTP/1.1 200 OK\r\n\r\nhello",
		"HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n",
	} {
		f.Add([]byte(seed), uint8(5))
	}
	f.Fuzz(func(t *testing.T, b []byte, split uint8) {
		c := newConn("", nil, LoadOptions{})
		c.got = copy(c.buf, b[:min(int(split), len(b))])
		rest := bytes.NewReader(b[c.got:])
		rep, err := c.parse(rest)
		if err != nil {
			if _, ok := errors.AsType[*failure](err); !ok {
				t.Fatalf("got %v, which has no kind", err)
			}
			if len(c.known) != 0 {
				t.Fatalf("got %v and the known response %q", err, c.known)
			}
			return
		}
		b = b[:len(b)-rest.Len()] // what is not read is left for the next response
		if rep.size != len(b) {
			t.Fatalf("got %d bytes of %d", rep.size, len(b))
		}
		if len(c.known) != 0 && !bytes.Equal(c.known, b) {
			t.Fatalf("got the known response %q from %q", c.known, b)
		}
	})
}
