package conformance

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// received is what a client got on a connection.
type received struct {
	raw   string
	reset bool // the connection ended by a reset
	open  bool // it did not end
}

// play sends the message and all that belongs to it, and reads to the end of the connection.
func play(t *testing.T, addr string, o *origin) received {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return received{}
	}
	c := conn.(*net.TCPConn)
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Error(err)
		return received{}
	}
	got := &progress{m: o.m, begun: make(chan struct{}), answered: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() { o.m.write(c, o, got) })
	r := got.read(c)
	wg.Wait()
	return r
}

// write is the client's part. A write fails when the proxy has closed, which what is read tells.
func (m *message) write(c *net.TCPConn, o *origin, got *progress) {
	first, rest := m.send, m.then
	switch {
	case m.alone:
	case rest != "" || m.until != atOnce:
		rest += behind
	default:
		first += behind
	}
	if m.drip {
		for i := range len(first) {
			if _, err := io.WriteString(c, first[i:i+1]); err != nil {
				return
			}
		}
	} else if _, err := io.WriteString(c, first); err != nil {
		return
	}
	switch m.until {
	case responseBegun:
		await(got.begun, patience)
	case answered:
		await(got.answered, patience)
	case headArrived:
		await(o.head, time.Second) // not all proxies send a head before the body is there
	case originClosed:
		await(o.over, patience)
	}
	if rest != "" {
		if _, err := io.WriteString(c, rest); err != nil {
			return
		}
	}
	if m.fin {
		_ = c.CloseWrite() // as with a write
	}
}

func await(event <-chan struct{}, limit time.Duration) {
	select {
	case <-event:
	case <-time.After(limit):
	}
}

// progress is what has been received so far.
type progress struct {
	m               *message
	begun, answered chan struct{} // closed when that has happened, or nothing can happen any more
}

// read reads until the connection ends.
func (g *progress) read(c *net.TCPConn) (r received) {
	var begun, answered sync.Once
	defer answered.Do(func() { close(g.answered) })
	defer begun.Do(func() { close(g.begun) })
	p := make([]byte, 64<<10)
	for {
		n, err := c.Read(p)
		r.raw += string(p[:n])
		if n > 0 {
			begun.Do(func() { close(g.begun) })
			if list := readResponses(r.raw, g.m, false); len(list) > 0 && list[0].whole {
				answered.Do(func() { close(g.answered) })
			}
		}
		if err != nil {
			if e, ok := err.(net.Error); ok && e.Timeout() {
				r.open = true
			} else {
				r.reset = err != io.EOF
			}
			return r
		}
	}
}

// response is one final response with the interim ones before it.
type response struct {
	interims []int
	status   int
	head     string // of the final response
	body     string // as sent, with chunked coding
	content  string // without chunked coding
	raw      string // all of it
	whole    bool
	fault    string // why it is ill-formed; what follows has not been read
}

// field is the first value of a field, given in lower case.
func (r *response) field(name string) string {
	for l := range strings.SplitSeq(r.head, "\r\n") {
		if n, v, ok := strings.Cut(l, ":"); ok && strings.EqualFold(n, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

var statusLine = regexp.MustCompile(`^HTTP/1\.[01] ([1-5][0-9][0-9]) `)

// readResponses reads what a client got for the requests of a message. ended tells that nothing
// more comes, and that the end was no reset.
func readResponses(raw string, m *message, ended bool) (list []response) {
	for i := 0; raw != ""; i++ {
		r := response{}
		size := r.readHeads(raw)
		if size > 0 && r.fault == "" {
			size += r.readBody(raw[size:], m.method(i), ended)
		}
		if !r.whole {
			r.raw = raw
			return append(list, r)
		}
		r.raw, raw = raw[:size], raw[size:]
		list = append(list, r)
	}
	return list
}

// readHeads reads interim heads and a final one; it returns their size, 0 if they are incomplete.
func (r *response) readHeads(raw string) int {
	size := 0
	for {
		end := strings.Index(raw[size:], "\r\n\r\n")
		if end < 0 {
			return 0
		}
		r.head = raw[size : size+end+4]
		size += end + 4
		lines := strings.Split(strings.TrimSuffix(r.head, "\r\n\r\n"), "\r\n")
		first := statusLine.FindStringSubmatch(lines[0])
		if first == nil || hasControls(lines[0]) {
			r.fault = "status line " + quoted(lines[0])
			return size
		}
		if _, fault := readFields(lines[1:]); fault != "" {
			r.fault = fault
			return size
		}
		r.status, _ = strconv.Atoi(first[1]) // three digits
		if r.status >= 200 || r.status == 101 {
			return size
		}
		r.interims = append(r.interims, r.status)
	}
}

// readBody reads the body at the start of raw and returns its size.
func (r *response) readBody(raw, method string, ended bool) int {
	length, coding := r.field("content-length"), r.field("transfer-encoding")
	switch {
	case method == "HEAD" || r.status == 204 || r.status == 304:
		r.whole = true
		return 0
	case length != "" && coding != "":
		r.fault = "both Content-Length and Transfer-Encoding"
		return 0
	case r.status == 101 || length == "" && coding == "":
		r.body, r.content, r.whole = raw, raw, ended
		return len(raw)
	case coding != "":
		return r.readChunks(raw, coding)
	}
	n, err := strconv.Atoi(length)
	if err != nil || !lengthValue.MatchString(length) {
		r.fault = "Content-Length " + quoted(length)
		return 0
	}
	size := min(n, len(raw))
	r.body, r.content, r.whole = raw[:size], raw[:size], size == n
	return size
}

func (r *response) readChunks(raw, coding string) int {
	if !strings.EqualFold(coding, "chunked") {
		r.fault = "Transfer-Encoding " + quoted(coding)
		return 0
	}
	var a arrival
	if r.body = raw; !a.readChunks(raw) {
		return len(raw)
	}
	r.body, r.content = a.raw, a.body
	r.whole, r.fault = a.fault == "", a.fault
	return len(a.raw)
}

// maxCounted interim responses are counted in an outcome; how many there are above depends on buffers.
const maxCounted = 100

// kind is the word for a response in an outcome.
func (r *response) kind() string {
	origin := r.field("x-origin")
	word := fmt.Sprint(r.status)
	switch {
	case r.fault != "":
		word = illFormed + ": " + ticked(r.fault)
	case !strings.HasPrefix(r.raw, "HTTP/") && r.raw != "":
		word = "no HTTP/1.1"
	case !r.whole:
		word = cutOff
	case origin == "script":
		word = "passed"
	case origin != "":
		word = "forwarded"
	}
	for i := len(r.interims) - 1; i >= 0; {
		same := 1
		for same <= i && r.interims[i-same] == r.interims[i] {
			same++
		}
		times := ""
		if same > maxCounted {
			times = " × many"
		} else if same > 1 {
			times = fmt.Sprintf(" × %d", same)
		}
		word = fmt.Sprintf("%d%s, %s", r.interims[i], times, word)
		i -= same
	}
	return word
}

func TestReadResponses(t *testing.T) {
	const two = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Origin: GET /a 0\r\n\r\nok"
	tests := []struct {
		name, raw string
		head      bool
		reset     bool
		want      []string
	}{
		{"two", two + two, false, false, []string{"forwarded", "forwarded"}},
		{"script", ok("Content-Length: 0\r\n", ""), false, false, []string{"passed"}},
		{"own", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", false, false, []string{"400"}},
		{"interim", "HTTP/1.1 103 Early Hints\r\n\r\n" + two, false, false, []string{"103, forwarded"}},
		{"short", two[:len(two)-1], false, false, []string{cutOff}},
		{"half a head", two[:20], false, false, []string{cutOff}},
		{"chunked", ok("Transfer-Encoding: chunked\r\n", "1\r\na\r\n0\r\n\r\n") + two, false, false, []string{"passed", "forwarded"}},
		{"no last chunk", ok("Transfer-Encoding: chunked\r\n", "1\r\na\r\n"), false, false, []string{cutOff}},
		{"to the end", ok("", "abc"), false, false, []string{"passed"}},
		{"to a reset", ok("", "abc"), false, true, []string{cutOff}},
		{"interims", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 3) + "HTTP/1.1 100 Continue\r\n\r\n" + two, false, false, []string{"103 × 3, 100, forwarded"}},
		{"another protocol", "\x00\x00\x06", false, false, []string{"no HTTP/1.1"}},
		{"head", ok("Content-Length: 5\r\n", "") + two, true, false, []string{"passed", "forwarded"}},
		{"garbage", two + "garbage\r\n\r\n", false, false, []string{"forwarded", illFormed + ": `status line garbage`"}},
		{"both", ok("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", ""), false, false, []string{illFormed + ": `both Content-Length and Transfer-Encoding`"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := &message{}
			if tt.head {
				m.methods = "HEAD"
			}
			var got []string
			for _, r := range readResponses(tt.raw, m, !tt.reset) {
				got = append(got, r.kind())
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
