package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A response without Date gets one, and none gets a second.
func TestDate(t *testing.T) {
	const theirs = "Date: Tue, 15 Nov 1994 08:12:31 GMT\r\n"
	const ours = "ours"
	tests := []struct {
		name, listener, version, reply string
		want                           string // the Dates of the head
	}{
		{"none", "", "1.1", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ours},
		{"theirs", "", "1.1", "HTTP/1.1 200 OK\r\n" + theirs + "Content-Length: 2\r\n\r\nok", "Tue, 15 Nov 1994 08:12:31 GMT"},
		{"theirs in another case", "", "1.1", "HTTP/1.1 200 OK\r\ndATE: x\r\nContent-Length: 2\r\n\r\nok", "x"},
		{"named in Connection", "", "1.1", "HTTP/1.1 200 OK\r\nConnection: date\r\nDate: x\r\nContent-Length: 2\r\n\r\nok", ours},
		{"chunked, with one in the trailer", "", "1.1", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nDate: x\r\n\r\n", ours},
		{"to the end", "", "1.1", "HTTP/1.0 200 OK\r\n\r\nok", ours},
		{"304", "", "1.1", "HTTP/1.1 304 Not Modified\r\n\r\n", ours},
		{"500", "", "1.1", "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", ours},
		{"a client of HTTP/1.0", "", "1.0", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ours},
		{"a route removes it", "routes: [{ path: /, pool: app, response_headers: { remove: [Date] } }]", "1.1", "HTTP/1.1 200 OK\r\n" + theirs + "Content-Length: 2\r\n\r\nok", ""},
		{"a route sets it", "routes: [{ path: /, pool: app, response_headers: { set: { DATE: y } } }]", "1.1", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "y"},
		{"an answer of weir's", "routes: [{ path: /, respond: { status: 200 } }]", "1.1", "", ours},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrigin(t, func(s *side) {
				if _, ok := s.head(); ok {
					s.send(tt.reply)
				}
			})
			c := start(t, site(tt.listener, "", o.Addr())).dial()
			before := time.Now().Add(-2 * time.Second) // the text is of the last second, and has no parts of one
			c.send("GET / HTTP/" + tt.version + "\r\nHost: h\r\nConnection: close\r\n\r\n")
			b, err := io.ReadAll(c.r)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, line := range strings.Split(string(b), "\r\n") { // with those of the trailer
				name, value, _ := strings.Cut(line, ": ")
				if !strings.EqualFold(name, "date") {
					continue
				}
				if at, err := time.Parse(http.TimeFormat, value); err == nil && !at.Before(before) && !at.After(time.Now()) {
					value = ours
				}
				got = append(got, value)
			}
			if strings.Join(got, "|") != tt.want {
				t.Errorf("got Date %q in %q, want %q", got, b, tt.want)
			}
		})
	}
}

// A client of HTTP/1.0 gets no trailers, and is promised none.
func TestNoTrailerForHTTP10(t *testing.T) {
	const reply = "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n"
	for version, want := range map[string]bool{"1.0": false, "1.1": true} {
		c := start(t, site("", "", answering(t, reply).Addr())).dial()
		c.send("GET / HTTP/" + version + "\r\nHost: h\r\nConnection: close\r\n\r\n")
		b, err := io.ReadAll(c.r)
		if got := string(b); err != nil || !strings.Contains(got, "ok") || strings.Contains(got, "Trailer: X-Sum") != want || strings.Contains(got, "X-Sum: 7") != want {
			t.Errorf("HTTP/%s: got %q %v, want the field and the trailer: %v", version, got, err, want)
		}
	}
}
