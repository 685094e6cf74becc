package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/lbtest"
)

// largeBody is a body that is spliced, of a length that fits nothing.
func largeBody(seed byte) []byte {
	b := make([]byte, 5<<20+13)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // which cannot fail
	return b
}

// ofLength is the head of a response, or of a request, with a body of that length.
func ofLength(first string, n int) string {
	return fmt.Sprintf("%s\r\nHost: h\r\nContent-Length: %d\r\n\r\n", first, n)
}

// wantSpliced waits until a large body goes through a pipe. It is gone when that body is cut off with
// bytes in it.
func (r *rig) wantSpliced() {
	r.t.Helper()
	lbtest.Eventually(r.t, patience, func() bool { return r.s.engine.Pipes.Open() > 0 })
}

var bytesOutLine = regexp.MustCompile(`(?m)^weir_bytes_total\{direction="out",.*pool="app"\} (.*)$`)

// bytesOut is what went to clients from the pool, as a scrape sees it.
func (r *rig) bytesOut() int {
	r.t.Helper()
	rec := httptest.NewRecorder()
	r.stats.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	n := 0.0
	if m := bytesOutLine.FindStringSubmatch(rec.Body.String()); m != nil {
		var err error
		if n, err = strconv.ParseFloat(m[1], 64); err != nil {
			r.t.Fatal(err)
		}
	}
	return int(n)
}

// wantBody reads a response and compares all of its body.
func (c *client) wantBody(want []byte) answer {
	c.t.Helper()
	a := c.receive("GET")
	if a.StatusCode != 200 || a.err != nil || a.body != string(want) {
		c.t.Fatalf("got %d, %d bytes, %v; want %d bytes", a.StatusCode, len(a.body), a.err, len(want))
	}
	return a
}

func TestLargeResponses(t *testing.T) {
	body := largeBody(1)
	pieces := newOrigin(t, func(s *side) {
		for head, ok := s.head(); ok; head, ok = s.head() {
			switch {
			case strings.Contains(head, " /close "):
				s.send("HTTP/1.1 200 OK\r\n\r\n" + string(body))
				return
			case strings.Contains(head, " /pause "):
				s.send(ofLength("HTTP/1.1 200 OK", len(body)) + string(body[:1<<20]))
				<-time.After(150 * time.Millisecond) // longer than a pipe is kept for
				s.send(string(body[1<<20:]))
			default:
				s.send(ofLength("HTTP/1.1 200 OK", len(body)) + string(body))
			}
		}
	})
	r := start(t, site("", "", pieces.Addr()))
	c := r.dial()
	for _, path := range []string{"/", "/", "/pause", "/close"} {
		c.send("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n")
		c.wantBody(body)
	}
	c.wantEnd()
	r.wantSpliced()
	r.wantOutcomes("ok 4")
}

// What is encrypted is never spliced, on whichever side, and arrives all the same.
func TestLargeBodiesUnderTLS(t *testing.T) {
	body := largeBody(7)
	cert := lbtest.NewCertificate(t, "shop.example")
	serve := func(s *side) {
		for {
			head, ok := s.head()
			if !ok {
				return
			}
			if strings.HasPrefix(head, "POST ") {
				got := make([]byte, len(body))
				if _, err := io.ReadFull(s.r, got); err != nil {
					return
				}
				s.send(ofLength("HTTP/1.1 200 OK", 4) + fmt.Sprint(bytes.Equal(got, body)))
				continue
			}
			s.send(ofLength("HTTP/1.1 200 OK", len(body)) + string(body))
		}
	}
	exchange := func(t *testing.T, r *rig, c *client, send func(string)) {
		t.Helper()
		for range 2 {
			send(getShop)
			c.wantBody(body)
			send(ofLength("POST / HTTP/1.1", len(body)) + string(body))
			c.want("POST", 200, "true")
		}
		r.wantOutcomes("ok 4")
		if n := r.s.engine.Pipes.Open(); n != 0 {
			t.Errorf("%d pipes were taken", n)
		}
	}
	t.Run("front", func(t *testing.T) {
		r := start(t, secureSite(cert, "", "", newOrigin(t, serve).Addr()))
		c := r.dialTLS(trusting(t, cert))
		exchange(t, r, c.client, c.ask)
	})
	t.Run("back", func(t *testing.T) {
		o := newTLSOrigin(t, serverTLS(cert), serve)
		r := start(t, site("", "protocol: https\ntls: { verify: false }\n", o.Addr()))
		c := r.dial()
		exchange(t, r, c, c.send)
	})
}

// A response that is short of its length is seen to be so, whichever way it ends.
func TestLargeResponseCutOff(t *testing.T) {
	body := largeBody(2)
	for _, tt := range []struct {
		name string
		end  func(*side)
	}{{"end", func(*side) {}}, {"reset", (*side).reset}} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrigin(t, func(s *side) {
				if _, ok := s.head(); !ok {
					return
				}
				s.send(ofLength("HTTP/1.1 200 OK", len(body)+1) + string(body))
				<-s.o.step // the client has the body: a reset may overtake it
				tt.end(s)
			})
			r := start(t, site("", "", o.Addr()))
			c := r.dial()
			c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			res, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(body))
			if _, err := io.ReadFull(res.Body, got); err != nil || !bytes.Equal(got, body) {
				t.Fatalf("the bytes differ: %v", err)
			}
			close(o.step)
			if n, err := io.ReadFull(res.Body, got); n != 0 || err == nil {
				t.Errorf("%d more bytes, %v", n, err)
			}
			res.Body.Close()
			r.wantSpliced()
			r.wantOutcomes("backend_reset 1")
		})
	}
}

// What a backend sends behind a body is nobody's: neither this client gets it nor the next one.
func TestBytesBehindALargeResponse(t *testing.T) {
	body := largeBody(3)
	o := newOrigin(t, func(s *side) {
		if _, ok := s.head(); ok {
			s.send(ofLength("HTTP/1.1 200 OK", len(body)) + string(body) + "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")
			io.Copy(io.Discard, s)
		}
	})
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	for range 3 {
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		c.wantBody(body)
	}
	r.wantSpliced()
	r.wantOutcomes("ok 3")
	if got := o.requests(); got != 3 {
		t.Errorf("%d requests", got)
	}
}

// A client that does not read stops its backend, holds little of what that has sent, and is given up.
func TestLargeResponseToAClientThatDoesNotRead(t *testing.T) {
	const size = 256 << 20
	sent := make(chan int, 1)
	o := newOrigin(t, func(s *side) {
		if _, ok := s.head(); !ok {
			return
		}
		s.send(ofLength("HTTP/1.1 200 OK", size))
		n, piece := 0, make([]byte, 64<<10)
		for n < size {
			m, err := s.Write(piece)
			if n += m; err != nil {
				break
			}
		}
		sent <- n
	})
	r := start(t, site("timeouts: { client_write_idle: 200ms }", "", o.Addr()))
	c := r.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	r.wantSpliced()
	if n := <-sent; n > 64<<20 { // the buffers of four sockets, and a pipe
		t.Errorf("the backend could send %d MiB", n>>20)
	}
	r.wantOutcomes("client_timeout 1")
	if _, err := io.Copy(io.Discard, c.r); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client sees %v, want a reset", err)
	}
}

// A client that leaves takes its backend connection with it, and bytes count while they go by.
func TestClientLeavesALargeResponse(t *testing.T) {
	body := largeBody(4)
	o := newOrigin(t, func(s *side) {
		if _, ok := s.head(); ok {
			s.send(ofLength("HTTP/1.1 200 OK", len(body)+1) + string(body))
			io.Copy(io.Discard, s)
		}
	})
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if _, err := io.CopyN(io.Discard, c.r, int64(len(body))); err != nil {
		t.Fatal(err)
	}
	lbtest.Eventually(t, patience, func() bool { return r.bytesOut() >= 4<<20 })
	c.Close()
	lbtest.Eventually(t, patience, func() bool { return o.Open() == 0 && r.leases() == 0 })
	r.wantSpliced()
	r.wantOutcomes("client_closed 1")
}

func TestLargeRequests(t *testing.T) {
	body := largeBody(5)
	o := newOrigin(t, func(s *side) {
		for {
			_, got, ok := s.upload(len(body))
			if !ok {
				return
			}
			s.send(ofLength("HTTP/1.1 200 OK", 4) + fmt.Sprint(bytes.Equal(got, body)))
		}
	})
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	for range 3 {
		// The next request comes in the same breath as the end of the body.
		c.send(ofLength("POST / HTTP/1.1", len(body)) + string(body) + ofLength("POST / HTTP/1.1", len(body)))
		c.want("POST", 200, "true")
		c.send(string(body[:1<<20]))
		<-time.After(150 * time.Millisecond) // longer than a pipe is kept for
		c.send(string(body[1<<20:]))
		c.want("POST", 200, "true")
	}
	r.wantSpliced()
	r.wantOutcomes("ok 6")
	if got := o.Open(); got != 1 {
		t.Errorf("%d connections to the backend, want the one that is used again", got)
	}
}

// upload reads a request with a body of that length.
func (s *side) upload(n int) (head string, body []byte, ok bool) {
	head, ok = s.head()
	if !ok {
		return "", nil, false
	}
	body = make([]byte, n)
	_, err := io.ReadFull(s.r, body)
	return head, body, err == nil
}

// A request that its client does not finish never looks whole to the backend.
func TestLargeRequestCutOff(t *testing.T) {
	body := largeBody(6)
	for _, tt := range []struct {
		name, listener string
		end            func(*client)
		outcome        string
	}{
		{"reset", "", func(c *client) { _ = c.SetLinger(0); c.Close() }, "client_closed 1"},
		{"idle", "timeouts: { client_body_idle: 200ms }", func(*client) {}, "client_timeout 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			whole := make(chan bool, 1)
			o := newOrigin(t, func(s *side) {
				_, _, ok := s.upload(len(body) + 1)
				whole <- ok
			})
			r := start(t, site(tt.listener, "", o.Addr()))
			c := r.dial()
			c.send(ofLength("POST / HTTP/1.1", len(body)+1) + string(body))
			r.wantSpliced()
			tt.end(c)
			if <-whole {
				t.Error("the backend got all of it")
			}
			r.wantOutcomes(tt.outcome)
			lbtest.Eventually(t, patience, func() bool { return r.leases() == 0 })
		})
	}
}

// A backend that takes nothing more ends the exchange; one that has answered is heard.
func TestBackendOfALargeRequest(t *testing.T) {
	const size = 64 << 20
	t.Run("answers early", func(t *testing.T) {
		o := newOrigin(t, func(s *side) {
			if _, ok := s.head(); !ok {
				return
			}
			if _, err := io.CopyN(io.Discard, s.r, 2<<20); err != nil {
				return
			}
			s.send("HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno")
			<-s.o.step
		})
		r := start(t, site("", "", o.Addr()))
		c := r.dial()
		go func() {
			io.WriteString(c, ofLength("POST / HTTP/1.1", size)) // a failure is seen by the reader
			c.Write(make([]byte, size))
		}()
		if a := c.want("POST", 413, "no"); !a.Close {
			t.Error("the connection goes on although the body may still come")
		}
		close(o.step)
		r.wantOutcomes("ok 1")
	})
	t.Run("does not read", func(t *testing.T) {
		o := newOrigin(t, func(s *side) {
			if _, ok := s.head(); ok {
				<-s.o.step
			}
		})
		defer close(o.step)
		r := start(t, site("", "timeouts: { backend_idle: 200ms }", o.Addr()))
		c := r.dial()
		go func() {
			io.WriteString(c, ofLength("POST / HTTP/1.1", size)) // a failure is seen by the reader
			c.Write(make([]byte, size))
		}()
		r.wantSpliced()
		c.want("POST", 504, "")
		r.wantOutcomes("backend_timeout 1")
	})
}
