package proxy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/lbtest"
)

func TestContinueIsEndToEnd(t *testing.T) {
	overBoth(t, func(t *testing.T, begin beginner) {
		r, o := begin(t, func(s *side) {
			head, ok := s.head()
			if !ok || !strings.Contains(head, "Expect: 100-continue\r\n") {
				return
			}
			s.send("HTTP/1.1 100 Continue\r\n\r\n")
			b := make([]byte, 5)
			if _, err := io.ReadFull(s.r, b); err != nil {
				return
			}
			s.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + string(b))
			io.Copy(io.Discard, s)
		})
		c := r.dial()
		c.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
		if a := c.receive("POST"); a.StatusCode != 100 {
			t.Fatalf("got %d, want the backend's 100", a.StatusCode)
		}
		c.send("hello")
		if a := c.want("POST", 200, "hello"); a.Close {
			t.Error("the connection ends after a complete exchange")
		}
		r.wantOutcomes("ok 1")
		lbtest.Eventually(t, patience, func() bool { return r.leases() == 0 })
		if got := o.Open(); got != 1 {
			t.Errorf("%d connections to the backend are open, want the idle one", got)
		}
	})
}

// The client waits for a 100 and gets the backend's refusal without having sent its body.
func TestExpectationRefusedByTheBackend(t *testing.T) {
	o := newOrigin(t, func(s *side) {
		if _, ok := s.head(); ok {
			s.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno")
			io.Copy(io.Discard, s)
		}
	})
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	c.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	if a := c.want("POST", 417, "no"); !a.Close {
		t.Error("the connection goes on although the body may still come")
	}
	c.wantEnd()
	lbtest.Eventually(t, patience, func() bool { return o.Open() == 0 })
	r.wantOutcomes("ok 1")
}

// Nobody waits for a 100 when the body is there.
func TestExpectationWithTheWholeBody(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	c.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
	c.want("POST", 200, "ok")
	if strings.Contains(o.last(), "Expect") {
		t.Errorf("the backend got %q, want no Expect", o.last())
	}
}

func TestUnknownExpectationIsRefused(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	c.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: miracles\r\nContent-Length: 5\r\n\r\nhello")
	c.want("POST", 417, "")
	c.wantEnd()
	if o.Accepted() != 0 {
		t.Error("the backend was asked")
	}
}

func TestInterimResponsesAreForwarded(t *testing.T) {
	reply := "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 2\r\n\r\n" +
		"HTTP/1.1 102 Processing\r\n\r\n" + ok200
	o := answering(t, reply)
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	a := c.want("GET", 103, "")
	if a.Header.Get("Link") != "</a.css>" || len(a.Header) != 1 {
		t.Errorf("the 103 has %v, want Link alone", a.Header)
	}
	c.want("GET", 102, "")
	c.want("GET", 200, "ok")
	c.send("GET / HTTP/1.0\r\nHost: h\r\n\r\n")
	c.want("GET", 200, "ok") // 1.0 knows no interim responses
}

// A response that comes before the end of the upload ends it, and the client can read it although
// it goes on sending.
func TestEarlyResponseEndsTheUpload(t *testing.T) {
	for _, coding := range []string{"Content-Length: 100000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n5f5e100\r\n"} {
		t.Run(strings.Fields(coding)[0], func(t *testing.T) {
			overBoth(t, func(t *testing.T, begin beginner) {
				r, o := begin(t, func(s *side) {
					if _, ok := s.head(); ok {
						s.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\n\r\ntoo much")
						io.Copy(io.Discard, io.LimitReader(s, 1<<20))
					}
				})
				c := r.dial()
				c.send("POST / HTTP/1.1\r\nHost: h\r\n" + coding)
				ended := make(chan error, 1)
				go func() {
					piece := make([]byte, 64<<10)
					for {
						if _, err := c.Write(piece); err != nil {
							ended <- err
							return
						}
					}
				}()
				if a := c.want("POST", 413, "too much"); !a.Close {
					t.Error("the response does not say that the connection ends")
				}
				lbtest.Eventually(t, patience, func() bool { return o.Open() == 0 && r.connections() == 0 && r.leases() == 0 })
				<-ended // the client's writes fail, they do not block
				r.wantOutcomes("ok 1")
			})
		})
	}
}

// A backend that does not take a body stops the client: what is in between does not grow.
func TestUploadsHaveBackPressure(t *testing.T) {
	release := make(chan struct{})
	o := newOrigin(t, func(s *side) {
		if err := s.tcp.SetReadBuffer(64 << 10); err != nil {
			t.Error(err)
		}
		if _, ok := s.head(); !ok {
			return
		}
		<-release
		n, _ := io.Copy(io.Discard, io.LimitReader(s.r, 64<<20))
		s.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%d", len(fmt.Sprint(n)), n))
		io.Copy(io.Discard, s)
	})
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	if err := c.SetWriteBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 67108864\r\n\r\n")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	piece := make([]byte, 64<<10)
	sent := 0
	for sent < 64<<20 {
		if err := c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := c.Write(piece)
		sent += n
		if err != nil {
			break // nobody takes it any more
		}
	}
	runtime.ReadMemStats(&after)
	if sent >= 32<<20 {
		t.Fatalf("%d bytes were taken although the backend reads nothing", sent)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	close(release)
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for sent < 64<<20 {
		n, err := c.Write(piece[:min(len(piece), 64<<20-sent)])
		if err != nil {
			t.Fatal(err)
		}
		sent += n
	}
	c.want("POST", 200, "67108864")
}

func TestBodyLimit(t *testing.T) {
	tests := []struct {
		name, request string
		asked         bool // the backend sees the request
	}{
		{"declared", "Content-Length: 1001\r\n\r\n", false},
		{"chunk in hand", "Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + strings.Repeat("x", 1001) + "\r\n0\r\n\r\n", false},
		{"streamed", "Transfer-Encoding: chunked\r\n\r\n", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrigin(t, func(s *side) {
				s.head()
				io.Copy(io.Discard, s)
			})
			r := start(t, site("limits: { max_body: 1000B }", "", o.Addr()))
			c := r.dial()
			c.send("POST / HTTP/1.1\r\nHost: h\r\n" + tt.request)
			if tt.asked {
				lbtest.Eventually(t, patience, func() bool { return o.requests() == 1 })
				c.send("1f4\r\n" + strings.Repeat("x", 500) + "\r\n")
				c.send("1f5\r\n" + strings.Repeat("x", 501) + "\r\n")
			}
			if a := c.want("POST", 413, "max_body"); !a.Close {
				t.Error("the connection goes on")
			}
			c.wantEnd()
			if !tt.asked && o.Accepted() != 0 {
				t.Error("the backend was asked")
			}
			lbtest.Eventually(t, patience, func() bool { return o.Open() == 0 })
			r.wantOutcomes("too_large 1")
		})
	}
	t.Run("exact", func(t *testing.T) {
		o := answering(t, ok200)
		r := start(t, site("limits: { max_body: 1000B }", "", o.Addr()))
		c := r.dial()
		c.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" + strings.Repeat("x", 1000) + "\r\n0\r\n\r\n")
		c.want("POST", 200, "ok")
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + strings.Repeat("x", 1000))
		c.want("POST", 200, "ok")
	})
}

// Nothing of or behind a malformed piece of a body reaches the backend, and it sees that the body is
// not whole.
func TestMalformedChunkInAnUpload(t *testing.T) {
	tests := []struct{ name, before, malformed string }{
		{"in hand", "", "5\r\nhello\r\nzz\r\nGET /evil HTTP/1.1\r\n\r\n"},
		{"streamed", "5\r\nhello\r\n", "3\r\nabcX0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n"},
		{"bare LF", "5\r\nhello\r\n", "0\n\nGET /evil HTTP/1.1\r\n\r\n"},
		{"size overflow", "5\r\nhello\r\n", "ffffffffffffffff5\r\nGET /evil HTTP/1.1\r\n\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bodies := make(chan string, 1)
			o := newOrigin(t, func(s *side) {
				if _, ok := s.head(); ok {
					b, _ := io.ReadAll(s.r)
					bodies <- string(b)
				}
			})
			r := start(t, site("", "", o.Addr()))
			c := r.dial()
			const head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
			if tt.before == "" {
				c.send(head + tt.malformed)
			} else {
				c.send(head + tt.before)
				lbtest.Eventually(t, patience, func() bool { return o.requests() == 1 })
				c.send(tt.malformed)
			}
			c.want("POST", 400, "malformed request body")
			c.wantEnd()
			if tt.before != "" {
				if got := <-bodies; got != tt.before {
					t.Errorf("the backend got %q, want %q", got, tt.before)
				}
			} else if o.Accepted() != 0 {
				t.Error("the backend was asked")
			}
			r.wantOutcomes("bad_request 1")
		})
	}
}

// A body in hand must not make the idle connection look like one whose head takes too long.
func TestIdleAfterChunkedBodyInHand(t *testing.T) {
	o := newOrigin(t, func(s *side) {
		for {
			if _, _, ok := s.request(); !ok {
				return
			}
			<-s.o.step
			s.send(ok200)
		}
	})
	r := start(t, site("timeouts: { client_header: 500ms, client_idle: 10s }", "", o.Addr()))
	c := r.dial()
	c.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
	// Longer than any deadline that the connection had when the request came.
	<-time.After(1100 * time.Millisecond)
	close(o.step)
	c.want("POST", 200, "ok")
	c.get("/", "ok")
	r.wantOutcomes("ok 2")
}

// The deadline of a body is not the one of the silence after it.
func TestIdleTimeoutAfterAnUpload(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("timeouts: { client_idle: 300ms }", "", o.Addr()))
	c := r.dial()
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n")
	lbtest.Eventually(t, patience, func() bool { return o.requests() == 1 })
	c.send("hi")
	if a := c.want("POST", 200, "ok"); a.Close {
		t.Fatal("the connection does not go on")
	}
	c.wantEnd()
}

// A client may close its half behind the request, in the same segment: the answer comes, and soon
// after it the end.
func TestDataAndFINInOneSegment(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("", "", o.Addr()))
	for i := range 20 {
		c := r.dial()
		raw, err := c.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 { // a connection that has served before
			c.get("/", "ok")
		}
		cork := func(on int) {
			if err := raw.Control(func(fd uintptr) {
				if err := syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, 3 /* TCP_CORK */, on); err != nil {
					t.Error(err)
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
		cork(1)
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		c.want("GET", 200, "ok")
		if i > 3 {
			c.Close() // the time of the rest is the same
			continue
		}
		c.wantEnd()
		if d := time.Since(began); d > patience/2 {
			t.Errorf("the end came after %v", d)
		}
	}
	lbtest.Eventually(t, patience, func() bool { return r.connections() == 0 })
}

// The upload is whole and the client waits with its half closed: its other half is all that counts
// while the backend is quick.
func TestHalfClosedUpload(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("", "", o.Addr()))
	body := strings.Repeat("x", 1<<20)
	conn, err := net.Dial("tcp", r.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	req, err := http.NewRequest(http.MethodPut, "http://h/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200 OK\r\n") {
		t.Errorf("got %q %v", b, err)
	}
}

// A client that has closed its half cannot be told apart from one that has left until something is
// sent to it. It is answered if the backend is quick.
func TestHalfClosedRequest(t *testing.T) {
	o := newOrigin(t, func(s *side) {
		for {
			head, ok := s.head()
			if strings.HasPrefix(head, "GET /slow ") {
				io.Copy(io.Discard, s)
			}
			if !ok || !s.send(ok200) {
				return
			}
		}
	})
	ask := func(t *testing.T, path string) (*rig, *client) {
		r := start(t, site("", "", o.Addr()))
		c := r.dial()
		c.send("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n")
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		return r, c
	}
	t.Run("quick", func(t *testing.T) {
		r, c := ask(t, "/")
		c.want("GET", 200, "ok")
		c.wantEnd()
		r.wantOutcomes("ok 1")
	})
	t.Run("slow", func(t *testing.T) {
		r, c := ask(t, "/slow")
		c.wantCut()
		r.wantOutcomes("client_closed 1")
	})
}

// A response that comes a moment before the end of its request costs nobody the connection. The moment
// is short, and whoever shares a machine with others may miss it: many do not.
func TestUploadThatEndsJustAfterItsResponse(t *testing.T) {
	answered := make(chan struct{}, 1)
	o := newOrigin(t, func(s *side) {
		for {
			if _, ok := s.head(); !ok || !s.send(ok200) {
				return
			}
			answered <- struct{}{}
			if _, err := io.CopyN(io.Discard, s.r, 2); err != nil {
				return
			}
		}
	})
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	kept := 0
	for range 100 {
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nh")
		<-answered
		<-time.After(300 * time.Microsecond) // the response is there before
		c.send("i")
		if a := c.want("POST", 200, "ok"); a.Close {
			c = r.dial()
			continue
		}
		kept++
	}
	if kept < 20 {
		t.Errorf("%d of 100 connections were kept", kept)
	}
	r.wantOutcomes("ok 100")
}
