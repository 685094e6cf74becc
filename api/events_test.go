package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/telemetry"
)

// patience is how long these tests wait for what must come.
const patience = 20 * time.Second

// sse is one message of a stream.
type sse struct{ id, event, data string }

// follower reads a stream.
type follower struct {
	t      *testing.T
	cancel context.CancelFunc
	body   *bufio.Reader
	header http.Header
}

// follow opens a stream over the socket and ends it with the test.
func (g *rig) follow(query string, fields ...string) *follower {
	g.t.Helper()
	return g.followFrom(overSocket(g.server.options.Socket), "http://localhost", query, fields...)
}

// followTCP is follow over TCP.
func (g *rig) followTCP(query string, fields ...string) *follower {
	g.t.Helper()
	return g.followFrom(overTCP(), "http://"+g.server.Addr(), query, fields...)
}

func (g *rig) followFrom(client *http.Client, base, query string, fields ...string) *follower {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	request, err := http.NewRequestWithContext(ctx, "GET", base+"/v1/events"+query, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		request.Header.Set(name, value)
	}
	client.Timeout = 0
	response, err := client.Do(request)
	if err != nil {
		cancel()
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		cancel()
		_ = response.Body.Close()
	})
	if response.StatusCode != 200 {
		g.t.Fatalf("got %d", response.StatusCode)
	}
	return &follower{g.t, cancel, bufio.NewReader(response.Body), response.Header}
}

// next reads a message. Comments and retry are left out.
func (f *follower) next() sse {
	f.t.Helper()
	m, err := f.read()
	if err != nil {
		f.t.Fatal(err)
	}
	return m
}

func (f *follower) read() (m sse, err error) {
	for {
		line, err := f.body.ReadString('\n')
		if err != nil {
			return m, err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			m.id = value
		case "event":
			m.event = value
		case "data":
			m.data = value
		case "":
			if m != (sse{}) {
				return m, nil
			}
		}
	}
}

// event wants the next message to be one that says message.
func (f *follower) event(message string) Event {
	f.t.Helper()
	m := f.next()
	e := decode[Event](f.t, []byte(m.data))
	if m.event != "event" || e.Message != message || m.id != strconv.FormatUint(e.ID, 10) {
		f.t.Fatalf("got %+v, want the event %q", m, message)
	}
	return e
}

func (g *rig) tell(message string) {
	g.journal.Add(telemetry.Event{Kind: telemetry.EventHealth, Pool: "web", Backend: "b1", Message: message})
}

func TestEventsFollow(t *testing.T) {
	g := newRig(t, nil)
	g.tell("before")
	f := g.follow("")
	if got := f.header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type: got %q", got)
	}
	g.tell("first")
	first := f.event("first")
	g.tell("second")
	second := f.event("second")
	if first.Pool != "web" || first.Backend != "b1" || first.Kind != "health" || second.ID <= first.ID || first.Time.IsZero() {
		t.Errorf("got %+v and %+v", first, second)
	}
	// Whoever comes back misses nothing.
	f = g.follow("", fmt.Sprint("Last-Event-ID: ", first.ID))
	f.event("second")
	g.follow("?since=0").event("before")
	g.follow("?since=1h").event("before")
	g.follow("?since=" + first.Time.Add(-time.Hour).Format(time.RFC3339)).event("before")
}

func TestEventsAsDocument(t *testing.T) {
	g := newRig(t, nil)
	empty := decode[EventList](t, g.do("GET", "/v1/events?follow=false", "").must(t, 200).body)
	if empty.Items == nil || len(empty.Items) != 0 {
		t.Errorf("got %+v", empty)
	}
	g.tell("one")
	g.tell("two")
	all := decode[EventList](t, g.do("GET", "/v1/events?follow=false", "").must(t, 200).body)
	if len(all.Items) != 2 || all.Items[1].Message != "two" || all.Last != all.Items[1].ID {
		t.Fatalf("got %+v", all)
	}
	rest := decode[EventList](t, g.do("GET", fmt.Sprint("/v1/events?follow=false&since=", all.Items[0].ID), "").must(t, 200).body)
	if len(rest.Items) != 1 || rest.Items[0].Message != "two" {
		t.Errorf("got %+v", rest)
	}
}

// TestEventsGap: a client that was away for too long is told so.
func TestEventsGap(t *testing.T) {
	g := newRig(t, nil)
	g.tell("one")
	last := g.journal.Last()
	for range 2 * telemetry.JournalSize {
		g.tell("more")
	}
	f := g.follow("", fmt.Sprint("Last-Event-ID: ", last))
	if m := f.next(); m.event != "gap" || decode[Gap](t, []byte(m.data)).After != last {
		t.Errorf("got %+v, want a gap after %d", m, last)
	}
	f.event("more")
}

func TestEventsBadQueries(t *testing.T) {
	g := newRig(t, nil)
	for _, tt := range []struct{ query, field string }{
		{"?since=yesterday", ""}, {"?since=-1h", ""}, {"?follow=maybe", ""}, {"", "Last-Event-ID: 10m"}, {"?since=-1", ""},
	} {
		a := g.do("GET", "/v1/events"+tt.query, "", tt.field)
		if a.status != 400 || a.problem(t).Hint == "" {
			t.Errorf("%s %s: got %d %s", tt.query, tt.field, a.status, a.body)
		}
	}
}

// TestEventsHeartbeat: a stream without events says that it lives.
func TestEventsHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal, err := telemetry.OpenJournal(telemetry.JournalOptions{})
		if err != nil {
			t.Fatal(err)
		}
		w := &pipeWriter{header: http.Header{}, out: make(chan string)}
		gone := make(chan struct{})
		go (&stream{w: w, control: http.NewResponseController(w), journal: journal, after: journal.Last()}).run(gone, nil)
		<-w.out // retry
		began := time.Now()
		for i := range 3 {
			text, after := <-w.out, time.Since(began)
			if !strings.HasPrefix(text, ":") || !strings.HasSuffix(text, "\n\n") || after != time.Duration(i+1)*heartbeat {
				t.Errorf("got %q after %v, want a comment every %v", text, after, heartbeat)
			}
		}
		close(gone)
	})
}

// TestEventsHead: who asks for the header alone gets it at once.
func TestEventsHead(t *testing.T) {
	g := newRig(t, nil)
	if a := g.do("HEAD", "/v1/events", "").must(t, 200); a.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("got %v", a.header)
	}
}

// TestEventsAreBounded: streams leave room for questions, and end gives it back.
func TestEventsAreBounded(t *testing.T) {
	g := newRig(t, nil)
	var open []*follower
	for range maxStreams {
		open = append(open, g.follow("?since=0"))
	}
	a := g.do("GET", "/v1/events", "")
	if a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("got %d: %s", a.status, a.body)
	}
	g.do("GET", "/v1/status", "").must(t, 200)
	g.do("GET", "/v1/events?follow=false", "").must(t, 200)
	open[0].cancel()
	deadline := time.Now().Add(patience)
	for len(g.server.streams) == maxStreams {
		if time.Now().After(deadline) {
			t.Fatal("a stream that has ended keeps its place")
		}
		time.Sleep(time.Millisecond)
	}
	g.follow("")
}

// TestEventsOfDoors: who comes over TCP leaves the streams of the socket alone.
func TestEventsOfDoors(t *testing.T) {
	g := newRig(t, nil)
	for range maxStreams {
		g.followTCP("?since=0")
	}
	g.tcp("GET", "/v1/events", "").must(t, 503)
	g.follow("")
}

// TestEventsEndWithCredential: a stream ends when its credential is not good any more, before it tells anything else.
func TestEventsEndWithCredential(t *testing.T) {
	var access atomic.Pointer[Access]
	access.Store(&Access{Credentials: credentials()})
	g := newRig(t, func(o *Options) { o.Access = func() Access { return *access.Load() } })
	f, other := g.followTCP("", "X-Auth-Token: "+readToken), g.followTCP("", "X-Auth-Token: "+adminToken)
	g.tell("before")
	f.event("before")
	other.event("before")
	access.Store(&Access{Credentials: credentials()[:1]})
	g.tell("after")
	other.event("after")
	if m := f.next(); m.event != "end" || decode[End](t, []byte(m.data)).Reason != "access" {
		t.Errorf("got %+v", m)
	}
	if _, err := f.read(); err != io.EOF {
		t.Errorf("got %v, want the end of the stream", err)
	}
}

// TestEventsEndWithServer: at the end, streams get what was told last and why they end.
func TestEventsEndWithServer(t *testing.T) {
	g := newRig(t, nil)
	f := g.follow("")
	g.tell("last words")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := g.server.Close(ctx); err != nil {
		t.Fatal(err)
	}
	f.event("last words")
	if m := f.next(); m.event != "end" || decode[End](t, []byte(m.data)).Reason != "stopping" {
		t.Errorf("got %+v", m)
	}
	if _, err := f.read(); err != io.EOF {
		t.Errorf("got %v, want the end of the stream", err)
	}
}

// TestEventsSlow: a client that misses events is told and let go; its stream is a pipe here, so that
// nothing but the test decides how fast it is.
func TestEventsSlow(t *testing.T) {
	journal, err := telemetry.OpenJournal(telemetry.JournalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w := &pipeWriter{header: http.Header{}, out: make(chan string)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		(&stream{w: w, control: http.NewResponseController(w), journal: journal, after: journal.Last()}).run(nil, nil)
	}()
	<-w.out // retry
	journal.Add(telemetry.Event{Kind: telemetry.EventHealth, Message: "first"})
	for range 3 * telemetry.JournalSize {
		journal.Add(telemetry.Event{Kind: telemetry.EventHealth, Message: "more"})
	}
	var last string
	for text := range readUntil(w.out, done) {
		last = text
	}
	if !strings.Contains(last, "event: end\ndata: "+`{"reason":"slow"}`) {
		t.Errorf("the last message is %.200q", last)
	}
}

// readUntil yields what is written until done.
func readUntil(out <-chan string, done <-chan struct{}) func(func(string) bool) {
	return func(yield func(string) bool) {
		for {
			select {
			case text := <-out:
				if !yield(text) {
					return
				}
			case <-done:
				return
			}
		}
	}
}

// pipeWriter is a client that takes what the test lets it.
type pipeWriter struct {
	header http.Header
	out    chan string
}

func (p *pipeWriter) Header() http.Header { return p.header }
func (p *pipeWriter) WriteHeader(int)     {}
func (p *pipeWriter) Write(b []byte) (int, error) {
	p.out <- string(b)
	return len(b), nil
}
func (p *pipeWriter) Flush()                           {}
func (p *pipeWriter) SetWriteDeadline(time.Time) error { return nil }

// TestEventsStalled: a client that takes nothing is cut, and others are served meanwhile.
func TestEventsStalled(t *testing.T) {
	g := newRig(t, func(o *Options) { o.stalled = 300 * time.Millisecond })
	c, err := net.Dial("unix", g.server.options.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for len(g.server.streams) == 0 {
		if time.Now().After(deadline) {
			t.Fatal("there is no stream")
		}
		time.Sleep(time.Millisecond)
	}
	fields := map[string]string{"x": strings.Repeat("x", 20_000)}
	for len(g.server.streams) > 0 {
		if time.Now().After(deadline) {
			t.Fatal("a client that reads nothing keeps its stream")
		}
		g.journal.Add(telemetry.Event{Kind: telemetry.EventHealth, Message: "more", Fields: fields})
		g.do("GET", "/livez", "").must(t, 200)
	}
}

// TestEventsOutliveTimeouts: a stream of which nothing is read goes on beyond the time that a request has.
func TestEventsOutliveTimeouts(t *testing.T) {
	const limit = 100 * time.Millisecond
	g := newRig(t, func(o *Options) { o.read = limit })
	f := g.follow("")
	for began := time.Now(); time.Since(began) < 4*limit; {
		g.tell("more")
		f.event("more")
	}
}

// TestEventsOfFile: what the file of a journal holds is what a stream sends.
func TestEventsOfFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j, err := telemetry.OpenJournal(telemetry.JournalOptions{File: path})
	if err != nil {
		t.Fatal(err)
	}
	j.Add(telemetry.Event{Kind: telemetry.EventOverride, Pool: "web", Backend: "b1", Message: "web/b1 drains"})
	want, err := json.Marshal(j.Since(0).Events[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if j, err = telemetry.OpenJournal(telemetry.JournalOptions{File: path}); err != nil {
		t.Fatal(err)
	}
	g := newRig(t, func(o *Options) { o.Journal = j })
	if m := g.follow("?since=0").next(); m.data != string(want) {
		t.Errorf("got %s, want %s", m.data, want)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}
