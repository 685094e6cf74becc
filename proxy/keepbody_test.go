package proxy

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/lbtest"
)

// halfReading answers a request once its body, which ends with a dot, is there; every second connection
// of all origins that share turn is reset in the middle of that, or at its end.
func halfReading(t *testing.T, turn *atomic.Int64, atEnd bool) *origin {
	return newOrigin(t, func(s *side) {
		head, ok := s.head()
		if !ok {
			return
		}
		fail := turn.Add(1)%2 == 1
		if fail && !atEnd {
			_ = s.tcp.SetLinger(0)
			return
		}
		body, err := s.r.ReadString('.')
		if err != nil || fail {
			_ = s.tcp.SetLinger(0)
			return
		}
		if strings.Contains(head, "chunked") {
			if _, err := io.ReadFull(s.r, make([]byte, len("\r\n0\r\n\r\n"))); err != nil {
				return
			}
		}
		text := fmt.Sprintf("%d", strings.Count(body, "x"))
		s.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(text), text))
	})
}

// TestBodiesAreSentAgain has the first backend end the connection while, or after, it gets the body
// of an idempotent request, which then goes to the other backend whole; and what was sent behind it
// is a request of its own.
func TestBodiesAreSentAgain(t *testing.T) {
	for _, atEnd := range []bool{false, true} {
		for _, size := range []int{5, 3000, 20_000, 60_000} {
			for _, chunked := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d bytes, chunked %v, at the end %v", size, chunked, atEnd), func(t *testing.T) {
					var turn atomic.Int64
					a, b := halfReading(t, &turn, atEnd), halfReading(t, &turn, atEnd)
					r := start(t, site("", "retries: { budget: 100% }", a.Addr(), b.Addr()))
					c := r.dial()
					body := strings.Repeat("x", size) + "."
					for i := range 3 {
						if chunked {
							c.send("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
							c.send(fmt.Sprintf("%x\r\n", len(body)) + body[:size/2])
							lbtest.Eventually(t, patience, func() bool { return turn.Load() > int64(2*i) })
							c.send(body[size/2:] + "\r\n0\r\n\r\n")
						} else {
							c.send(fmt.Sprintf("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", len(body)) + body[:size/2])
							lbtest.Eventually(t, patience, func() bool { return turn.Load() > int64(2*i) })
							c.send(body[size/2:])
						}
						c.want("PUT", 200, fmt.Sprint(size))
					}
					lbtest.Eventually(t, patience, func() bool { return r.leases() == 0 })
				})
			}
		}
	}
}

// TestBodiesThatAreNotSentAgain are those of other methods, and those that are too long.
func TestBodiesThatAreNotSentAgain(t *testing.T) {
	for name, head := range map[string]string{
		"POST":     "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n",
		"long PUT": "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			var turn atomic.Int64
			a, b := halfReading(t, &turn, false), halfReading(t, &turn, false)
			r := start(t, site("", "retries: { budget: 100% }", a.Addr(), b.Addr()))
			c := r.dial()
			c.send(head + "x")
			c.want("", 502, "")
			if got := turn.Load(); got != 1 {
				t.Errorf("%d backends saw it, want 1", got)
			}
		})
	}
}

// TestWaitingForContinueIsNoFaultOfTheClient lets the backend take longer for its 100 than a client
// may be idle in a body, by far.
func TestWaitingForContinueIsNoFaultOfTheClient(t *testing.T) {
	o := newOrigin(t, func(s *side) {
		if _, ok := s.head(); !ok {
			return
		}
		<-s.o.step
		if !s.send("HTTP/1.1 100 Continue\r\n\r\n") {
			return
		}
		if _, err := io.ReadFull(s.r, make([]byte, 5)); err == nil {
			s.send(ok200)
		}
	})
	r := start(t, site("timeouts: { client_body_idle: 20ms }", "", o.Addr()))
	c := r.dial()
	c.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	lbtest.Eventually(t, patience, func() bool { return r.leases() == 1 })
	<-time.After(10 * 20 * time.Millisecond)
	close(o.step)
	if got := c.receive("PUT"); got.StatusCode != 100 {
		t.Fatalf("got %d, want 100", got.StatusCode)
	}
	c.send("hello")
	c.want("PUT", 200, "ok")
}

// TestNoWordForTheClientThatWaits has a backend that says nothing to a client that waits for it.
func TestNoWordForTheClientThatWaits(t *testing.T) {
	o := newOrigin(t, func(s *side) {
		if _, ok := s.head(); ok {
			<-s.o.step
		}
	})
	defer close(o.step)
	r := start(t, site("", "timeouts: { backend_response: 50ms }", o.Addr()))
	c := r.dial()
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	c.want("POST", 504, "")
}
