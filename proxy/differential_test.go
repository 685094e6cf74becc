package proxy

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/lbtest"
)

var (
	differentialSeed     = flag.Uint64("differential-seed", 1, "where the exchanges of the differential test come from")
	differentialSessions = flag.Int("differential-sessions", 1000, "how many sessions of exchanges it has")
)

// scripted is an origin that looks up what to answer, and keeps what it was asked.
type scripted struct {
	*lbtest.TCP
	mu     sync.Mutex
	script map[string]*trial
	got    map[string][]*modelRequest
}

func newScripted(t testing.TB) *scripted {
	t.Helper()
	o := &scripted{script: map[string]*trial{}, got: map[string][]*modelRequest{}}
	o.TCP = lbtest.NewTCP(t, func(_ context.Context, c *net.TCPConn) { o.serve(c) })
	return o
}

// learn makes a session known, and forget what it has left behind.
func (o *scripted) learn(s *session) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range s.trials {
		o.script[s.trials[i].name()] = &s.trials[i]
	}
}

func (o *scripted) forget(s *session) (got []*modelRequest, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range s.trials {
		name := s.trials[i].name()
		if n := len(o.got[name]); n != 1 {
			err = fmt.Errorf("request %d arrived %d times", i, n)
		} else {
			got = append(got, o.got[name][0])
		}
		delete(o.got, name)
		delete(o.script, name)
	}
	return got, err
}

// name is the one in the request, by which the origin knows it.
func (t *trial) name() string {
	for _, l := range t.asked.lines {
		if name, ok := strings.CutPrefix(l, "X-Trial: "); ok {
			return name
		}
	}
	return ""
}

func (o *scripted) serve(c *net.TCPConn) {
	in, b := "", make([]byte, 64<<10)
	for {
		m, r := requestOf(in)
		if r == malformed {
			return
		}
		if r != whole {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			in += string(b[:n])
			continue
		}
		in = in[m.end:]
		name := strings.Join(m.values("x-trial"), "")
		o.mu.Lock()
		t := o.script[name]
		o.got[name] = append(o.got[name], m)
		o.mu.Unlock()
		if t == nil {
			return
		}
		if _, err := io.WriteString(c, t.responseText()); err != nil || t.closes() {
			return
		}
	}
}

// closes reports whether the origin closes its connection behind the response.
func (t *trial) closes() bool {
	m, _, _ := responseOf(t.answered.text("HTTP/1.1 "+t.status), t.method)
	return t.answered.coding == toTheEnd || (t.old && !m.lists("connection", "keep-alive"))
}

// party is a proxy in front of an origin of its own.
type party struct {
	addr   string
	origin *scripted
}

// outcome is what became of a session: for each trial the request that the origin got, and the responses
// that the client got.
type outcome struct {
	requests  []*modelRequest
	responses [][]*modelResponse
}

// play lets a client have a session.
func (p *party) play(s *session) (o outcome, err error) {
	p.origin.learn(s)
	defer func() {
		got, missing := p.origin.forget(s)
		if o.requests = got; err == nil && missing != nil {
			err = fmt.Errorf("%w; the client got %v", missing, o.responses)
		}
	}()
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		return o, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return o, err
	}
	texts := make(chan string, len(s.trials))
	sent := make(chan error, 1)
	go func() {
		var err error
		for text := range texts {
			if err == nil {
				_, err = io.WriteString(conn, text)
			}
		}
		sent <- err
	}()
	for i := range s.trials {
		if s.pipelined {
			texts <- s.trials[i].requestText()
		}
	}
	in := ""
	for i := range s.trials {
		if !s.pipelined {
			texts <- s.trials[i].requestText()
		}
		var responses []*modelResponse
		if responses, in, err = receiveModel(conn, in, s.trials[i].method); err != nil {
			err = fmt.Errorf("response %d: %w", i, err)
			break
		}
		o.responses = append(o.responses, responses)
	}
	close(texts)
	return o, errors.Join(err, <-sent)
}

// receiveModel reads the interim responses and the final one to a request.
func receiveModel(conn net.Conn, in, method string) (responses []*modelResponse, rest string, err error) {
	b := make([]byte, 64<<10)
	for ended := false; ; {
		m, rest, r := responseOf(in, method)
		switch {
		case r == malformed:
			return nil, "", fmt.Errorf("malformed: %.300q", in)
		case m != nil && r == whole && (!m.closed || ended):
			responses, in = append(responses, m), rest
			if m.status >= 200 {
				return responses, in, nil
			}
			continue
		case ended:
			return nil, "", fmt.Errorf("cut off: %.300q", in)
		}
		n, err := conn.Read(b)
		if ended = err == io.EOF; err != nil && !ended {
			return nil, "", err
		}
		in += string(b[:n])
	}
}

// newReverseProxy is the party to be compared with. It is told to do with forwarding fields as ours
// does, and to leave queries alone.
func newReverseProxy(t *testing.T) *party {
	o := newScripted(t)
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		ErrorLog:  log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.URL.RawQuery = "http", o.Addr().String(), r.In.URL.RawQuery
			r.Out.Header.Del("X-Real-IP")
			r.SetXForwarded()
			if r.In.Host == "" {
				r.Out.Host = r.In.Context().Value(http.LocalAddrContextKey).(net.Addr).String()
				r.Out.Header.Del("X-Forwarded-Host")
			}
		},
	}
	server := httptest.NewUnstartedServer(proxy)
	server.Config.DisableGeneralOptionsHandler = true
	server.Config.ErrorLog = proxy.ErrorLog
	server.Start()
	t.Cleanup(server.Close)
	return &party{server.Listener.Addr().String(), o}
}

// compare plays a session on both sides and says how they differ, or how ours differs from what was
// sent; empty: they do not. Ours is played once. Theirs is the measure: on a busy machine it may meet a
// connection that its origin is closing and answer that by itself, so a difference must show each time
// that it is played.
func compare(s *session, ours, theirs *party) (why string) {
	a, err := ours.play(s)
	if err != nil {
		return fmt.Sprintf("weir: %v", err)
	}
	for range 5 {
		b, err := theirs.play(s)
		if err != nil {
			why = fmt.Sprintf("ReverseProxy: %v", err)
			continue
		}
		if why = differ(s, &a, &b, ours, theirs); why == "" {
			break
		}
	}
	return why
}

// differ says how two outcomes of a session differ, or how ours differs from what was sent.
func differ(s *session, a, b *outcome, ours, theirs *party) string {
	for i := range s.trials {
		t := &s.trials[i]
		if x, y := requestView(a.requests[i], ours.addr).String(), requestView(b.requests[i], theirs.addr).String(); x != y {
			return fmt.Sprintf("request %d reached the origin as\n%sthrough ReverseProxy as\n%s", i, x, y)
		}
		x, y := fmt.Sprint(responseViews(a.responses[i])), fmt.Sprint(responseViews(b.responses[i]))
		if x != y {
			return fmt.Sprintf("response %d came as\n%s\nthrough ReverseProxy as\n%s", i, x, y)
		}
		if why := t.kept(a.requests[i], a.responses[i]); why != "" {
			return fmt.Sprintf("exchange %d: %s", i, why)
		}
	}
	return ""
}

// kept compares what arrived through our proxy with what was sent, line by line, in order and in the
// case in which it was: field lines, content and trailers.
func (t *trial) kept(got *modelRequest, responses []*modelResponse) string {
	sent, _ := requestOf(t.requestText())
	if why := sent.forwarded(got); why != "" {
		return "request: " + why
	}
	if len(got.trailer) != len(sent.trailer) {
		return fmt.Sprintf("of the trailer %q arrived %q", sent.trailer, got.trailer)
	}
	text := t.responseText()
	for i, r := range responses {
		m, rest, _ := responseOf(text, t.method)
		if text = rest; m == nil {
			return fmt.Sprintf("nobody sent response %d", i)
		}
		if why := compareLines(m.lines, r.lines, m.mayDrop, m.mayAdd); why != "" {
			return fmt.Sprintf("response %d: %s", i, why)
		}
		if _, reason, _ := strings.Cut(m.start, " "); "HTTP/1.1 "+reason != r.start {
			return fmt.Sprintf("the status line %q became %q", m.start, r.start)
		}
		if trailer := strings.Join(m.trailer, "\n"); r.chunked && strings.Join(r.trailer, "\n") != trailer {
			return fmt.Sprintf("the trailer is %q, want %q", r.trailer, m.trailer)
		}
	}
	if text != "" {
		return fmt.Sprintf("%d of the responses are missing", strings.Count(text, "HTTP/1."))
	}
	return ""
}

// mayDrop reports whether a line of a response ends at a proxy.
func (m *modelResponse) mayDrop(line string) bool {
	name, _, _ := strings.Cut(strings.ToLower(line), ":")
	switch name {
	case "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te",
		"transfer-encoding", "upgrade":
		return true
	}
	return m.lists("connection", name)
}

// mayAdd reports whether a proxy may have written a line of a response itself.
func (m *modelResponse) mayAdd(line string) bool {
	switch line {
	case "Connection: close", "Connection: keep-alive":
		return true
	case "Transfer-Encoding: chunked":
		return m.chunked
	}
	date, is := strings.CutPrefix(line, "Date: ")
	_, err := time.Parse(http.TimeFormat, date)
	return is && err == nil && m.status >= 200 && (len(m.values("date")) == 0 || m.lists("connection", "date"))
}

// TestDifferential plays sessions of valid exchanges through weir and through net/http's ReverseProxy.
func TestDifferential(t *testing.T) {
	o := newScripted(t)
	r := start(t, site("", "", o.Addr()))
	ours, theirs := &party{r.addr(), o}, newReverseProxy(t)
	sessions, workers := *differentialSessions, 4
	if racing {
		sessions /= 4
	}
	t.Logf("-differential-seed=%d -differential-sessions=%d", *differentialSeed, sessions)
	counts := make(chan int, workers)
	for w := range workers {
		go func() {
			n := 0
			for number := w; number < sessions && !t.Failed(); number += workers {
				s := thinker{rand.New(rand.NewPCG(*differentialSeed, uint64(number)))}.session(number)
				n += len(s.trials)
				if why := compare(&s, ours, theirs); why != "" {
					s, why = minimise(s, why, func(s *session) string { return compare(s, ours, theirs) })
					t.Errorf("session %d, made as small as possible: %s\n%s", number, why, s.String())
				}
			}
			counts <- n
		}()
	}
	n := 0
	for range workers {
		n += <-counts
	}
	t.Logf("%d exchanges", n)
	if !t.Failed() && n < 3*sessions {
		t.Errorf("only %d exchanges", n)
	}
}
