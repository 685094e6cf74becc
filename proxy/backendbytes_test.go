package proxy

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"weir/internal/lbtest"
)

// rawOrigin answers requests for /first with the bytes of the input at hand, and others properly.
type rawOrigin struct {
	*lbtest.TCP
	mu     sync.Mutex
	bytes  string
	ends   bool // the connection ends behind them
	spoilt bool // there is more in them than the response
	reused bool // a request has come on a connection that was spoilt
}

func newRawOrigin(t testing.TB) *rawOrigin {
	t.Helper()
	o := &rawOrigin{}
	o.TCP = lbtest.NewTCP(t, func(_ context.Context, c *net.TCPConn) { o.serve(c) })
	return o
}

func (o *rawOrigin) serve(c *net.TCPConn) {
	in, b, spoilt := "", make([]byte, 4<<10), false
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		in += string(b[:n])
		m, r := requestOf(in)
		if r != whole {
			continue
		}
		in = in[m.end:]
		text, ends := "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclean", false
		o.mu.Lock()
		o.reused = o.reused || spoilt
		if m.target == "/first" {
			text, ends, spoilt = o.bytes, o.ends, o.spoilt
		}
		o.mu.Unlock()
		if _, err := io.WriteString(c, text); err != nil || ends {
			return
		}
	}
}

// backendRig is a server in front of a raw origin.
type backendRig struct {
	*bytesRig
	o *rawOrigin
}

func newBackendRig(t testing.TB) *backendRig {
	t.Helper()
	o := newRawOrigin(t)
	return &backendRig{newBytesRig(t, o.TCP, "", ""), o}
}

// readResponses reads what a backend has sent: the interim responses and the final one; nil: there
// is none. Then the connection ends, or what was sent is whole.
func readResponses(s, method string) (interims []*modelResponse, final *modelResponse, rest string, r reading) {
	for {
		m, rest, r := responseOf(s, method)
		switch {
		case m == nil:
			return interims, nil, "", r
		case m.status >= 200:
			return interims, m, rest, r
		}
		interims, s = append(interims, m), rest
	}
}

// check lets the backend answer with input and judges what the client gets. ends says that the backend
// closes behind it, which it does anyway if that is the end of the message. It returns the status.
func (b *backendRig) check(t testing.TB, input, method string, ends bool) int {
	t.Helper()
	interims, want, rest, r := readResponses(input, method)
	ends = ends || r != whole || want.closed
	b.o.mu.Lock()
	b.o.bytes, b.o.ends, b.o.spoilt, b.o.reused = input, ends, rest != "", false
	b.o.mu.Unlock()
	answer, cut := b.exchange(t, []byte(method+" /first HTTP/1.1\r\nHost: h\r\n\r\n"+second), 1)
	j := &judge{t, answer, cut, interims, want, r}
	status, behind := j.first(method)
	if behind != "" {
		j.second(behind)
	}
	again, _ := b.exchange(t, []byte(second), 1) // on whatever connection to the backend there is
	j.second(again)
	b.o.mu.Lock()
	defer b.o.mu.Unlock()
	if b.o.reused {
		t.Error("a request went out on a connection that had sent more than a response")
	}
	if t.Failed() {
		t.Logf("the backend sent %q (ends: %v, behind it %q)\nand the client got %q (cut: %v)", input, ends, rest, answer, cut)
	}
	return status
}

const second = "GET /second HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

// judge compares the response that a client got with the one that a backend sent.
type judge struct {
	testing.TB
	answer   string
	cut      bool
	interims []*modelResponse
	want     *modelResponse // nil: it sent none
	read     reading
}

// first judges the response to the first request. It returns its status, 0 if there was none, and what
// came behind it.
func (j *judge) first(method string) (status int, behind string) {
	interims, got, behind, r := readResponses(j.answer, method)
	for i, m := range interims {
		if i >= len(j.interims) || m.status != j.interims[i].status {
			j.Errorf("nobody sent the interim response %v", m)
		} else {
			j.same(j.interims[i], m)
		}
	}
	switch {
	case got == nil:
		if r == malformed || !j.cut {
			j.Errorf("the client got no response")
		}
		return 0, ""
	case got.status == 502 && strings.Contains(j.answer, "Cache-Control: no-store\r\n") && (j.want == nil || j.want.status != 502):
		return 502, behind
	case j.want == nil:
		j.Errorf("the client got a response, and the backend sent none")
		return got.status, ""
	}
	j.same(j.want, got)
	finished := r == whole && !(got.closed && j.cut)
	switch {
	case !strings.HasPrefix(j.want.content, got.content):
		j.Errorf("the content is %q, want %q", got.content, j.want.content)
	case finished && (j.read != whole || got.content != j.want.content):
		j.Errorf("a response that was cut off looks whole")
	case r != whole:
		behind = ""
	}
	return got.status, behind
}

// same compares heads.
func (j *judge) same(sent, got *modelResponse) {
	if why := got.ill(); why != "" {
		j.Errorf("%s: %v", why, got)
	}
	if got.status != sent.status {
		j.Errorf("status %d, want %d", got.status, sent.status)
	}
	if got.status >= 200 && len(got.values("date")) == 0 {
		j.Error("the response has no Date")
	}
	drop := func(line string) bool {
		noBody := sent.status < 200 || sent.status == 204
		return sent.mayDrop(line) || (noBody && strings.HasPrefix(strings.ToLower(line), "content-length:"))
	}
	if why := compareLines(sent.lines, got.lines, drop, sent.mayAdd); why != "" {
		j.Error(why)
	}
}

// second judges the response to the second request, which is the same whatever came before.
func (j *judge) second(answer string) {
	m, rest, r := responseOf(answer, "GET")
	if m == nil || r != whole || rest != "" || m.content != "clean" {
		j.Errorf("the second request was answered by %q", answer)
	}
}

// FuzzBackendBytes: whatever a backend sends, the client gets the response that it contains, or sees
// that it got none or only a part; and the next request gets its own.
func FuzzBackendBytes(f *testing.F) {
	for _, tt := range backendBytes {
		f.Add([]byte(tt.in), uint8(0), false)
		f.Add([]byte(tt.in), uint8(1), true)
	}
	b := newBackendRig(f)
	methods := []string{"GET", "HEAD", "POST"}
	f.Fuzz(func(t *testing.T, input []byte, method uint8, ends bool) {
		if len(input) > maxInput {
			t.Skip("longer than buffers are interested in")
		}
		b.check(t, string(input), methods[int(method)%len(methods)], ends)
	})
}

// TestBackendBytes says of each seed what status the client gets.
func TestBackendBytes(t *testing.T) {
	b := newBackendRig(t)
	for _, tt := range backendBytes {
		t.Run(tt.name, func(t *testing.T) {
			for _, ends := range []bool{false, true} {
				if got := b.check(t, tt.in, "GET", ends); got != tt.status {
					t.Errorf("the client got %d, want %d", got, tt.status)
				}
			}
		})
	}
}

const (
	resOK   = "HTTP/1.1 200 OK\r\n"
	five    = resOK + "Content-Length: 5\r\n\r\nhello"
	inParts = resOK + "Transfer-Encoding: chunked\r\n\r\n"
)

// backendBytes are responses, right and wrong, and the status that the client gets.
var backendBytes = []struct {
	name, in string
	status   int
}{
	{"nothing", "", 502},
	{"length", five, 200},
	{"length of zero", resOK + "Content-Length: 0\r\n\r\n", 200},
	{"chunks", inParts + "5\r\nhello\r\n0\r\n\r\n", 200},
	{"extensions and trailers", inParts + "5;a=b\r\nhello\r\n0;c\r\nX-T: 1\r\n\r\n", 200},
	{"to the end", resOK + "\r\nhello", 200},
	{"to the end, with a response as content", resOK + "\r\n" + five, 200},
	{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200},
	{"HTTP/1.0 kept alive", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", 200},
	{"no reason", "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", 200},
	{"204", "HTTP/1.1 204 No Content\r\n\r\n", 204},
	{"204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", 204},
	{"304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304},
	{"304 with content", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", 304},
	{"two responses", five + five, 200},
	{"half a second one", five + "HTTP/1.1 200 OK\r\nContent-Le", 200},
	{"two chunked ones", inParts + "0\r\n\r\n" + five, 200},
	{"interims", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + five, 200},
	{"interim with a length", "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n" + five, 200},
	{"interim and nothing", "HTTP/1.1 103 Early Hints\r\n\r\n", 502},
	{"switching", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n" + five, 502},
	{"half a head", "HTTP/1.1 200 OK\r\nX: y", 502},
	{"half a body", resOK + "Content-Length: 9\r\n\r\nhello", 200},
	{"half a chunk", inParts + "9\r\nhello", 200},
	{"no last chunk", inParts + "5\r\nhello\r\n", 200},
	{"no end of the trailer", inParts + "5\r\nhello\r\n0\r\nX: y\r\n", 200},
	{"malformed chunk", inParts + "5\r\nhelloo\r\n0\r\n\r\n", 502},
	{"chunk size that overflows", inParts + "ffffffffffffffff5\r\nhello\r\n0\r\n\r\n", 502},
	{"both lengths", resOK + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502},
	{"length twice", resOK + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 502},
	{"length signed", resOK + "Content-Length: +5\r\n\r\nhello", 502},
	{"another coding", resOK + "Transfer-Encoding: gzip\r\n\r\nhello", 502},
	{"coding in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502},
	{"folded", resOK + "X: y\r\n z\r\nContent-Length: 5\r\n\r\nhello", 502},
	{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", 502},
	{"bare CR", resOK + "X: y\rSet-Cookie: z\r\nContent-Length: 5\r\n\r\nhello", 502},
	{"NUL", resOK + "X: y\x00\r\nContent-Length: 5\r\n\r\nhello", 502},
	{"hop by hop", resOK + "Connection: X-A, close\r\nX-A: 1\r\nKeep-Alive: 5\r\nContent-Length: 5\r\n\r\nhello", 200},
	{"hop by hop of requests", resOK + "Te:\r\nUpgrade: x\r\nProxy-Connection: y\r\nProxy-Authorization: z\r\nContent-Length: 5\r\n\r\nhello", 200},
	{"HTTP/2", "HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 502},
	{"status 600", "HTTP/1.1 600 OK\r\nContent-Length: 5\r\n\r\nhello", 502},
	{"status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello", 502},
	{"garbage", "garbage", 502},
	{"its own 502", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\nhello", 502},
	{"large", resOK + "Content-Length: 30000\r\n\r\n" + strings.Repeat("x", 30000), 200},
	{"large chunk", inParts + "7530\r\n" + strings.Repeat("x", 30000) + "\r\n0\r\n\r\n", 200},
}
