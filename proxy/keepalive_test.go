package proxy

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"weir/internal/lbtest"
)

func TestKeepAliveUsesOneConnectionOnEachSide(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	for range 5 {
		c.get("/", "ok")
	}
	if got := o.Accepted(); got != 1 {
		t.Errorf("the backend saw %d connections, want 1", got)
	}
	r.wantOutcomes("ok 5")
	if got := r.stats.Backend("app", "b1").Counts(); got.Reused != 4 || got.Opened != 1 || got.Open != 1 {
		t.Errorf("counted %+v, want 4 of 5 on a connection that was there", got)
	}
	if got := r.connections(); got != 1 {
		t.Errorf("%d client connections, want 1", got)
	}
	c.Close()
	lbtest.Eventually(t, patience, func() bool { return r.connections() == 0 })
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	o := newOrigin(t, each(func(head, _ string) string {
		path := strings.Fields(head)[1]
		return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + path
	}))
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	var all strings.Builder
	for _, p := range "abcdef" {
		all.WriteString("GET /" + string(p) + " HTTP/1.1\r\nHost: h\r\n\r\n")
	}
	all.WriteString("POST /g HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nxyz")
	all.WriteString("POST /h HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n")
	all.WriteString("GET /i HTTP/1.1\r\nHost: h\r\n\r\n")
	c.send(all.String())
	for _, p := range "abcdefghi" {
		c.want("GET", 200, "/"+string(p))
	}
	r.wantOutcomes("ok 9")
}

// What follows an error on the connection is not looked at: where it begins is a matter of opinion.
func TestPipelinedBehindAnErrorIsDropped(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	c.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n" +
		"GET /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\nx" +
		"GET /3 HTTP/1.1\r\nHost: h\r\n\r\n")
	c.want("GET", 200, "ok")
	if a := c.want("GET", 400, "Content-Length"); !a.Close {
		t.Error("the 400 does not announce the end of the connection")
	}
	c.wantEnd()
	if got := o.requests(); got != 1 {
		t.Errorf("the backend got %d requests, want the first alone", got)
	}
	r.wantOutcomes("ok 1 bad_request 1")
}

// A response that ends the connection must arrive although the client has sent more.
func TestLastResponseArrivesWhenMoreWasPipelined(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("keepalive_requests: 2", "", o.Addr()))
	for range 20 {
		c := r.dial()
		c.send(strings.Repeat("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 2000))
		c.want("GET", 200, "ok")
		if a := c.want("GET", 200, "ok"); !a.Close {
			t.Fatal("the last response does not say that it is")
		}
		c.wantEnd()
	}
}

func TestResponsesWithoutBody(t *testing.T) {
	tests := []struct {
		name, method, reply string
		status              int
		length              string
	}{
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n", 200, "77"},
		{"HEAD chunked", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, ""},
		{"HEAD close-delimited", "HEAD", "HTTP/1.1 200 OK\r\n\r\n", 200, ""},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
		{"204 with a length", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204, ""},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"a\"\r\n\r\n", 304, "99"},
		{"empty", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := answering(t, tt.reply)
			r := start(t, site("", "", o.Addr()))
			c := r.dial()
			for range 3 {
				c.send(tt.method + " / HTTP/1.1\r\nHost: h\r\n\r\n")
				a := c.want(tt.method, tt.status, "")
				if got := a.Header.Get("Content-Length"); got != tt.length {
					t.Errorf("Content-Length %q, want %q", got, tt.length)
				}
			}
			if got := o.Accepted(); got != 1 {
				t.Errorf("%d connections to the backend, want 1", got)
			}
		})
	}
}

func TestHTTP10(t *testing.T) {
	t.Run("closes", func(t *testing.T) {
		o := answering(t, ok200)
		r := start(t, site("", "", o.Addr()))
		c := r.dial()
		c.send("GET /old HTTP/1.0\r\n\r\n")
		c.want("GET", 200, "ok")
		c.wantEnd()
		head := o.last()
		if !strings.HasPrefix(head, "GET /old HTTP/1.1\r\n") || !strings.Contains(head, "\r\nHost: 127.0.0.1:") {
			t.Errorf("the backend got %q, want HTTP/1.1 with a Host", head)
		}
	})
	t.Run("keeps alive when asked", func(t *testing.T) {
		o := answering(t, ok200)
		r := start(t, site("", "", o.Addr()))
		c := r.dial()
		for range 3 {
			c.send("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
			if a := c.want("GET", 200, "ok"); a.Header.Get("Connection") != "keep-alive" {
				t.Errorf("Connection: %q, want keep-alive", a.Header.Get("Connection"))
			}
		}
	})
	t.Run("gets chunks as plain content", func(t *testing.T) {
		o := answering(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX-T: 1\r\n\r\n")
		r := start(t, site("", "", o.Addr()))
		c := r.dial()
		c.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
		a := c.want("GET", 200, "abcdefg")
		if a.body != "abcdefg" || len(a.TransferEncoding) != 0 || !a.Close {
			t.Errorf("got %q %v close=%v, want the content up to the end of the connection", a.body, a.TransferEncoding, a.Close)
		}
		c.wantEnd()
		r.wantOutcomes("ok 1")
	})
	t.Run("backend of 1.0 is not reused", func(t *testing.T) {
		o := answering(t, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
		r := start(t, site("", "", o.Addr()))
		c := r.dial()
		c.get("/", "ok")
		c.get("/", "ok")
		if got := o.Accepted(); got != 2 {
			t.Errorf("%d connections to the backend, want 2", got)
		}
	})
}

// An empty line behind a body belongs to no request: the connection is idle, not in the middle of a
// head, whose time-out would be a 408.
func TestEmptyLineBehindBodyIsNoRequest(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("timeouts: { client_header: 500ms }", "", o.Addr()))
	c := r.dial()
	c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\r\n")
	c.want("POST", 200, "ok")
	if err := c.SetReadDeadline(time.Now().Add(900 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if b, err := c.r.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %q %v from a connection that should be silent and open", b, err)
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c.get("/", "ok")
	r.wantOutcomes("ok 2")
}

// TestUnreadRequestsDoNotResetTheLastResponse sends more while the last response is on its way: it
// lies unread in the kernel when the connection ends, and must not turn its end into a reset.
func TestUnreadRequestsDoNotResetTheLastResponse(t *testing.T) {
	release := make(chan struct{})
	o := newOrigin(t, each(func(string, string) string {
		<-release
		return ok200
	}))
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	lbtest.Eventually(t, patience, func() bool { return r.leases() == 1 })
	c.send(strings.Repeat("GET /more HTTP/1.1\r\nHost: h\r\n\r\n", 1000))
	close(release)
	c.want("GET", 200, "ok")
	c.wantEnd()
	r.wantOutcomes("ok 1")
}
