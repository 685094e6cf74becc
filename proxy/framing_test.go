package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir/internal/lbtest"
)

// overBoth runs a test body with a plain and with a TLS backend; the two must not differ.
func overBoth(t *testing.T, body func(t *testing.T, begin beginner)) {
	t.Helper()
	t.Run("http", func(t *testing.T) {
		body(t, func(t *testing.T, serve func(*side)) (*rig, *origin) {
			o := newOrigin(t, serve)
			return start(t, site("", "", o.Addr())), o
		})
	})
	t.Run("https", func(t *testing.T) {
		cert := lbtest.NewCertificate(t, "127.0.0.1")
		body(t, func(t *testing.T, serve func(*side)) (*rig, *origin) {
			o := newTLSOrigin(t, serverTLS(cert), serve)
			return start(t, site("", fmt.Sprintf("protocol: https\ntls: { ca: %q }", cert.CertFile), o.Addr())), o
		})
	})
}

// beginner starts an origin and a server in front of it.
type beginner func(t *testing.T, serve func(*side)) (*rig, *origin)

func TestBodiesBothWays(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 40<<10) // 640 KiB
	chunked := func(parts ...string) string {
		var b strings.Builder
		for _, p := range parts {
			fmt.Fprintf(&b, "%x\r\n%s\r\n", len(p), p)
		}
		return b.String() + "0\r\n\r\n"
	}
	length := func(body string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body) }
	const te = "Transfer-Encoding: chunked\r\n\r\n"
	tests := []struct {
		name, request, reply string
		up, down             string // content
		reused               bool   // the connection to the backend may be used again
	}{
		{"length", length("hello"), length("world"), "hello", "world", true},
		{"chunks", te + chunked("hel", "lo"), te + chunked("wor", "ld"), "hello", "world", true},
		{"chunks with extensions", te + "5;a=b\r\nhello\r\n0;c\r\n\r\n", te + "5;q=\"x\"\r\nworld\r\n0\r\n\r\n", "hello", "world", true},
		{"empty chunked", te + chunked(), te + chunked(), "", "", true},
		{"large length", length(large), length(large), large, large, true},
		{"large chunks", te + chunked(large, large), te + chunked(large, "x", large), large + large, large + "x" + large, true},
		{"length up, chunks down", length(large), te + chunked(large), large, large, true},
		{"chunks up, length down", te + chunked(large), length(large), large, large, true},
		{"close-delimited", length("hello"), "\r\n" + large, "hello", large, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, begin beginner) {
				got := make(chan string, 2)
				r, o := begin(t, func(s *side) {
					for {
						_, body, ok := s.request()
						if !ok {
							return
						}
						got <- body
						if !s.send("HTTP/1.1 200 OK\r\n"+tt.reply) || !tt.reused {
							return
						}
					}
				})
				for range 2 {
					c := r.dial()
					sent := make(chan error, 1)
					go func() {
						_, err := io.WriteString(c, "POST /x HTTP/1.1\r\nHost: h\r\n"+tt.request)
						sent <- err
					}()
					a := c.receive("POST")
					if a.err != nil || a.StatusCode != 200 || a.body != tt.down {
						t.Fatalf("got %d, %d bytes, %v; want %d bytes", a.StatusCode, len(a.body), a.err, len(tt.down))
					}
					if body := <-got; body != tt.up {
						t.Fatalf("the backend got %d bytes, want %d", len(body), len(tt.up))
					}
					if err := <-sent; err != nil {
						t.Fatal(err)
					}
					if !tt.reused {
						c.wantEnd()
					}
					// The response may be here before the backend's connection is back.
					lbtest.Eventually(t, patience, func() bool { return r.leases() == 0 })
				}
				want := int64(1)
				if !tt.reused {
					want = 2
				}
				if n := o.Accepted(); n != want {
					t.Errorf("%d connections to the backend, want %d", n, want)
				}
				r.wantOutcomes("ok 2")
			})
		})
	}
}

func TestKeepAliveAfterBodies(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	body := strings.Repeat("x", 100<<10)
	for range 5 {
		c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", len(body)))
		c.send(body)
		if a := c.want("POST", 200, "ok"); a.Close {
			t.Fatal("the connection ends after a complete upload")
		}
	}
	// The response to the last bytes may be here before their sending is noted.
	for range 500 {
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n")
		c.send("hi")
		if a := c.want("POST", 200, "ok"); a.Close {
			t.Fatal("the connection ends after a complete upload")
		}
	}
	c.get("/", "ok")
	if got := o.Accepted(); got != 1 {
		t.Errorf("%d connections to the backend, want 1", got)
	}
}

// What came behind a streamed body is the next request.
func TestPipelinedBehindAnUpload(t *testing.T) {
	o := newOrigin(t, each(func(head, body string) string {
		text := strings.Fields(head)[1] + fmt.Sprint(len(body))
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
	}))
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(c, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("x", 100000)+
			"POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nc350\r\n"+strings.Repeat("y", 50000)+"\r\n0\r\n\r\n"+
			"GET /c HTTP/1.1\r\nHost: h\r\n\r\n")
		sent <- err
	}()
	c.want("POST", 200, "/a100000")
	c.want("POST", 200, "/b50000")
	c.want("GET", 200, "/c0")
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

func TestTrailersAreForwarded(t *testing.T) {
	overBoth(t, func(t *testing.T, begin beginner) {
		trailers := make(chan string, 1)
		r, _ := begin(t, func(s *side) {
			if _, ok := s.head(); !ok {
				return
			}
			var got strings.Builder
			for !strings.HasSuffix(got.String(), "\r\n\r\n") {
				b, err := s.r.ReadByte()
				if err != nil {
					return
				}
				got.WriteByte(b)
			}
			trailers <- got.String()
			s.send("HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\nContent-Length: 5\r\n\r\n")
			io.Copy(io.Discard, s)
		})
		c := r.dial()
		c.send("POST / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n")
		c.send("3\r\nabc\r\n0\r\nX-Up: 9\r\nHost: evil\r\n\r\n")
		a := c.want("POST", 200, "ok")
		if got := a.Trailer; got.Get("X-Sum") != "7" || len(got) != 1 {
			t.Errorf("trailers %v, want X-Sum alone", got)
		}
		if got := <-trailers; got != "3\r\nabc\r\n0\r\nX-Up: 9\r\n\r\n" {
			t.Errorf("the backend got %q", got)
		}
	})
}

// What weir answers for in a head, or a route takes out of it, does not come back in a trailer.
func TestTrailersDoNotGoRoundTheHead(t *testing.T) {
	const sent = "X-Request-ID: evil\r\nX_Request_Id: evil\r\nX-Secret: 1\r\nX-Admin: 1\r\nX-Sum: 7\r\n"
	const route = "routes:\n  - { path: /, pool: app, request_headers: { set: { X-Admin: \"0\" } }, response_headers: { remove: [X-Secret] } }\n"
	tests := []struct{ name, listener, up, down string }{
		{"nothing", "", sent, sent},
		{"request ids", "request_id: true", "X-Secret: 1\r\nX-Admin: 1\r\nX-Sum: 7\r\n", "X-Secret: 1\r\nX-Admin: 1\r\nX-Sum: 7\r\n"},
		{"a route", route, strings.Replace(sent, "X-Admin: 1\r\n", "", 1), strings.Replace(sent, "X-Secret: 1\r\n", "", 1)},
		{"odd names", "routes: [{ path: /, pool: app, request_headers: { remove: [X_Secret], set: { X.Admin: a } }, response_headers: { set: { x_sum: b }, remove: [x_request_id] } }]",
			sent, strings.Replace(sent, "X_Request_Id: evil\r\n", "", 1)},
		{"both", "request_id: true\n" + route, "X-Secret: 1\r\nX-Sum: 7\r\n", "X-Admin: 1\r\nX-Sum: 7\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			trailer := make(chan string, 1)
			o := newOrigin(t, func(s *side) {
				if _, ok := s.head(); !ok {
					return
				}
				got, _ := s.head() // the body has the form of one
				trailer <- strings.TrimPrefix(got, "0\r\n")
				s.send("HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + sent + "\r\n")
			})
			r := start(t, site(tt.listener, "", o.Addr()))
			c := r.dial()
			c.send("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + sent + "\r\n")
			b, err := io.ReadAll(c.r)
			_, got, _ := strings.Cut(string(b), "\r\n\r\n0\r\n")
			if err != nil || got != tt.down+"\r\n" {
				t.Errorf("the client got the trailer %q %v, want %q", got, err, tt.down)
			}
			if got := <-trailer; got != tt.up {
				t.Errorf("the backend got the trailer %q, want %q", got, tt.up)
			}
		})
	}
}

// A response that was cut off must look like it, by its framing, or else by a reset.
func TestTruncatedResponses(t *testing.T) {
	overBoth(t, func(t *testing.T, begin beginner) {
		tests := []struct {
			name, version, reply string
			outcome              string
		}{
			{"length", "1.1", "Content-Length: 10\r\n\r\nhalf", "backend_reset 1"},
			{"length, nothing", "1.1", "Content-Length: 10\r\n\r\n", "backend_reset 1"},
			{"chunk", "1.1", "Transfer-Encoding: chunked\r\n\r\n9\r\nhalf", "backend_reset 1"},
			{"no last chunk", "1.1", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "backend_reset 1"},
			{"no end of trailers", "1.1", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nX: y\r\n", "backend_reset 1"},
			{"chunk, old client", "1.0", "Transfer-Encoding: chunked\r\n\r\n9\r\nhalf", "backend_reset 1"},
			{"no last chunk, old client", "1.0", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "backend_reset 1"},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				r, _ := begin(t, func(s *side) {
					if _, _, ok := s.request(); ok {
						s.send("HTTP/1.1 200 OK\r\n" + tt.reply)
					}
				})
				c := r.dial()
				c.send("GET / HTTP/" + tt.version + "\r\nHost: h\r\n\r\n")
				if a := c.receive("GET"); a.StatusCode != 200 || a.err == nil {
					t.Errorf("got %d %q and no sign that it was cut off", a.StatusCode, a.body)
				}
				r.wantOutcomes(tt.outcome)
			})
		}
	})
}

// Only a reset tells that a response without any framing was cut off.
func TestTruncatedCloseDelimitedResponse(t *testing.T) {
	o := newOrigin(t, func(s *side) {
		if _, _, ok := s.request(); ok {
			s.send("HTTP/1.1 200 OK\r\n\r\nhalf")
			s.r.Peek(1) // until the client has it
			s.reset()
		}
	})
	r := start(t, site("", "timeouts: { backend_idle: 200ms }", o.Addr()))
	c := r.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(res.Body); err == nil {
		t.Error("a response that was cut off looks whole")
	}
	r.wantOutcomes("backend_timeout 1")
}

// Bytes behind a response must not become the response to somebody else, whenever they come.
func TestBytesBehindAResponseReachNobody(t *testing.T) {
	const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
	tests := []struct{ name, method, reply string }{
		{"length", "GET", ok200},
		{"chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n"},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\n\r\n"},
	}
	overBoth(t, func(t *testing.T, begin beginner) {
		for _, tt := range tests {
			for _, later := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s later=%v", tt.name, later), func(t *testing.T) {
					release := make(chan struct{})
					poisoned := make(chan struct{}, 1)
					r, o := begin(t, func(s *side) {
						head, _, ok := s.request()
						for ok && !strings.Contains(head, " /first ") {
							s.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclean")
							head, _, ok = s.request()
						}
						if !ok {
							return
						}
						if later {
							s.send(tt.reply)
							<-release
							s.send(poison)
						} else {
							s.send(tt.reply + poison)
						}
						poisoned <- struct{}{}
						s.request()
						s.send(ok200)
						io.Copy(io.Discard, s)
					})
					c := r.dial()
					c.send(tt.method + " /first HTTP/1.1\r\nHost: h\r\n\r\n")
					c.receive(tt.method)
					if later {
						// The exchange is over and its connection idle: only then come the bytes.
						lbtest.Eventually(t, patience, func() bool { return r.leases() == 0 })
						close(release)
					}
					<-poisoned
					for range 3 {
						c2 := r.dial()
						c2.get("/second", "clean")
						lbtest.Eventually(t, patience, func() bool { return r.leases() == 0 })
					}
					if got := o.Accepted(); got != 2 {
						t.Errorf("%d connections to the backend, want the poisoned one and a new one", got)
					}
				})
			}
		}
	})
}

func TestMalformedResponses(t *testing.T) {
	big := strings.Repeat("x", 70<<10)
	tests := []struct{ name, reply string }{
		{"garbage", "garbage\r\n\r\n"},
		{"no version", "200 OK\r\n\r\n"},
		{"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n"},
		{"status", "HTTP/1.1 2x0 OK\r\n\r\n"},
		{"status 999", "HTTP/1.1 999 OK\r\n\r\n"},
		{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"},
		{"length twice", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"},
		{"listed length", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok"},
		{"signed length", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok"},
		{"length and coding", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
		{"coding in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"folded", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok"},
		{"space before colon", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok"},
		{"control byte", "HTTP/1.1 200 OK\r\nA: b\x00c\r\nContent-Length: 2\r\n\r\nok"},
		{"malformed first chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\n"},
		{"head too large", "HTTP/1.1 200 OK\r\nA: " + big + "\r\nContent-Length: 2\r\n\r\nok"},
		{"head without end", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 20<<10)},
		{"too many fields", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 128) + "Content-Length: 2\r\n\r\nok"},
		{"switching", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"},
		{"storm of interim responses", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1000) + ok200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrigin(t, func(s *side) {
				if _, _, ok := s.request(); ok && s.send(tt.reply) {
					io.Copy(io.Discard, s)
				}
			})
			r := start(t, site("", "", o.Addr()))
			c := r.dial()
			for range 2 {
				c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
				a := c.receive("GET")
				for a.StatusCode == 103 {
					a = c.receive("GET")
				}
				if a.StatusCode != 502 || !strings.Contains(a.body, "Bad Gateway") || a.Close {
					t.Fatalf("got %d %q, want 502 and the connection kept", a.StatusCode, a.body)
				}
			}
			r.wantOutcomes("backend_bad_response 2")
			lbtest.Eventually(t, patience, func() bool { return o.Open() == 0 })
		})
	}
}

// A head that drips in is looked at once for each line, so that its faults show when their line ends,
// and its limits hold all the same.
func TestResponseHeadThatDripsIn(t *testing.T) {
	tests := []struct {
		name, part, rest string
		status           int
	}{
		{"fault", "A b", ": c\r\n", 502},
		{"whole", "Content-Length: 2\r", "\n\r\nok", 200},
		{"large", "A: b", strings.Repeat("c", 2<<10), 502},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			more := make(chan string)
			o := newOrigin(t, func(s *side) {
				if _, _, ok := s.request(); !ok {
					return
				}
				// One piece: whoever has the first response has begun to read the second.
				s.send("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n")
				for text := range more {
					for i := range text {
						s.send(text[i : i+1])
					}
				}
				io.Copy(io.Discard, s)
			})
			r := start(t, site("", "limits: { max_response_header: 1KiB }", o.Addr()))
			c := r.dial()
			c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			c.want("GET", 103, "")
			more <- tt.part
			c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			if b, err := c.r.Peek(1); !isTimeout(err) {
				t.Errorf("got %q %v before the line ended", b, err)
			}
			c.SetReadDeadline(time.Now().Add(patience))
			more <- tt.rest
			close(more)
			c.want("GET", tt.status, "")
		})
	}
}

// A chunked response that turns out malformed in its middle cannot be taken back, only cut off.
func TestMalformedChunkLaterCutsTheResponseOff(t *testing.T) {
	o := newOrigin(t, func(s *side) {
		if _, _, ok := s.request(); ok {
			s.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
			<-s.o.step
			s.send("zz\r\n")
			io.Copy(io.Discard, s)
		}
	})
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	close(o.step)
	if rest, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("got %q and the regular end of a malformed body", rest)
	}
	lbtest.Eventually(t, patience, func() bool { return r.leases() == 0 && o.Open() == 0 })
}

func TestLargeHeadsPassBothWays(t *testing.T) {
	value := strings.Repeat("v", 40<<10)
	o := newOrigin(t, each(func(head, _ string) string {
		if !strings.Contains(head, value) {
			return "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"
		}
		return "HTTP/1.1 200 OK\r\nX-Big: " + value + "\r\nContent-Length: 2\r\n\r\nok"
	}))
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	for range 3 {
		c.send("GET / HTTP/1.1\r\nHost: h\r\nX-Big: " + value + "\r\n\r\n")
		if a := c.want("GET", 200, "ok"); a.Header.Get("X-Big") != value {
			t.Error("the large field did not come through")
		}
	}
}

func TestOversizeRequestsAreRefused(t *testing.T) {
	tests := []struct {
		name, request string
		status        int
	}{
		{"head", "GET / HTTP/1.1\r\nHost: h\r\nA: " + strings.Repeat("x", 70<<10) + "\r\n\r\n", 431},
		{"head without end", "GET / HTTP/1.1\r\nHost: h\r\nA: " + strings.Repeat("x", 70<<10), 431},
		{"fields", "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("A: b\r\n", 200) + "\r\n", 431},
		{"target", "GET /" + strings.Repeat("x", 17<<10) + " HTTP/1.1\r\nHost: h\r\n\r\n", 414},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := answering(t, ok200)
			r := start(t, site("", "", o.Addr()))
			c := r.dial()
			c.send(tt.request)
			c.want("GET", tt.status, "")
			c.wantEnd()
			if o.Accepted() != 0 {
				t.Error("the backend was asked")
			}
			r.wantOutcomes("too_large 1")
		})
	}
}
