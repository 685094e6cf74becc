package proxy

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
)

// maxForwardsOf lists the counts that a backend got.
func maxForwardsOf(t *testing.T, head string) []string {
	t.Helper()
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	return req.Header.Values("Max-Forwards")
}

// RFC 9110, section 7.6.2.
func TestMaxForwards(t *testing.T) {
	const host = " HTTP/1.1\r\nHost: h\r\n"
	tests := []struct {
		name, request string
		status        int
		left          string // Max-Forwards as the backend gets it; "": it gets no request
	}{
		{"TRACE", "TRACE /" + host + "Max-Forwards: 0\r\n", 405, ""},
		{"TRACE, zeros", "TRACE /" + host + "Max-Forwards: 000\r\n", 405, ""},
		{"OPTIONS", "OPTIONS /" + host + "Max-Forwards: 0\r\n", 200, ""},
		{"OPTIONS of all", "OPTIONS *" + host + "max-forwards:0\r\n", 200, ""},
		{"hidden by Connection", "TRACE /" + host + "Connection: Max-Forwards\r\nMax-Forwards: 0\r\n", 405, ""},
		{"kept from the backend by Connection", "TRACE /" + host + "Connection: Max-Forwards\r\nMax-Forwards: 3\r\n", 200, "2"},
		{"one left", "OPTIONS /" + host + "Max-Forwards: 1\r\n", 200, "0"},
		{"many left", "TRACE /" + host + "Max-Forwards: 0100\r\n", 200, "99"},
		{"more than fit", "TRACE /" + host + "Max-Forwards: 340282366920938463463374607431768211456\r\n", 200, "2147483646"},
		{"no number", "TRACE /" + host + "Max-Forwards: 1,0\r\n", 400, ""},
		{"negative", "OPTIONS /" + host + "Max-Forwards: -1\r\n", 400, ""},
		{"empty", "OPTIONS /" + host + "Max-Forwards:\r\n", 400, ""},
		{"twice", "OPTIONS /" + host + "Max-Forwards: 1\r\nMax-Forwards: 1\r\n", 400, ""},
		{"of another method", "GET /" + host + "Max-Forwards: 0\r\n", 200, "0"},
		{"of a method in lower case", "trace /" + host + "Max-Forwards: 0\r\n", 200, "0"},
	}
	o := answering(t, ok200)
	r := start(t, site("", "", o.Addr()))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := o.requests()
			c := r.dial()
			c.send(tt.request + "\r\n")
			a := c.receive("GET")
			if a.StatusCode != tt.status {
				t.Errorf("status %d, want %d", a.StatusCode, tt.status)
			}
			if got, want := o.requests()-before, min(len(tt.left), 1); got != want {
				t.Fatalf("the backend got %d requests, want %d", got, want)
			}
			if tt.left != "" {
				if got := maxForwardsOf(t, o.last()); len(got) != 1 || got[0] != tt.left {
					t.Errorf("the backend got Max-Forwards %q, want %q alone", got, tt.left)
				}
			}
			if got := a.Header.Get("Allow"); a.StatusCode == 405 && got != "OPTIONS" {
				t.Errorf("405 with Allow: %q", got)
			}
			if a.StatusCode == 200 && tt.left == "" && (a.body != "" || a.Header.Get("Content-Length") != "0") {
				t.Errorf("OPTIONS was answered with %q and %v", a.body, a.Header)
			}
			c.get("/", "ok") // the connection goes on
		})
	}
}

// A body that comes with a request that goes nowhere is not read.
func TestMaxForwardsWithABody(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("", "", o.Addr()))
	for _, method := range []string{"OPTIONS", "TRACE"} {
		c := r.dial()
		c.send(method + " / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\nContent-Length: 100000\r\n\r\n")
		if a := c.receive(method); !a.Close {
			t.Errorf("%s: the connection is to go on", method)
		}
		c.wantEnd()
	}
	r.wantOutcomes("ok 1 bad_request 1")
}

// What a route says of the field stands, and a request that a route answers itself goes nowhere anyway.
func TestMaxForwardsAndRoutes(t *testing.T) {
	r, app, _ := routed(t, "", `  - { method: [TRACE], respond: { status: 403 } }
  - { path: /none, pool: app, request_headers: { remove: [Max-Forwards] } }
  - { path: /seven, pool: app, request_headers: { set: { Max-Forwards: "7" } } }`)
	c := r.dial()
	c.request("TRACE /", "Max-Forwards: 0")
	c.want("TRACE", 403, "")
	for path, want := range map[string]string{"/none": "", "/seven": "7", "/other": "4"} {
		c.request("OPTIONS "+path, "Max-Forwards: 5")
		c.want("OPTIONS", 200, "")
		if got := strings.Join(maxForwardsOf(t, app.last()), ","); got != want {
			t.Errorf("%s: the backend got Max-Forwards %q, want %q", path, got, want)
		}
	}
}
