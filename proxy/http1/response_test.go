package http1

import (
	"fmt"
	"strings"
	"testing"

	"weir/proxy/message"
)

// response is the meaning of a head in short.
func response(h *message.Head) string {
	s := fmt.Sprintf("%d %q 1.%d len=%d", h.Status, h.Reason, h.Minor, h.ContentLength)
	for _, f := range []struct {
		on   bool
		name string
	}{{h.Chunked, "chunked"}, {h.Close, "close"}, {h.KeepAlive, "keep-alive"}, {h.Upgrade, "upgrade"}} {
		if f.on {
			s += " " + f.name
		}
	}
	return s
}

// responseWith is a 200 with more field lines.
func responseWith(lines string) string { return "HTTP/1.1 200 OK\r\n" + lines + "\r\n" }

const ok = `200 "OK" 1.1 len=-1`

var responseTests = []struct {
	name string
	in   string
	want string // of an accepted head; "…" for one that is incomplete
	err  *Error
}{
	// The status line.
	{"smallest", "HTTP/1.1 200 OK\r\n\r\n", ok, nil},
	{"no reason", "HTTP/1.1 200 \r\n\r\n", `200 "" 1.1 len=-1`, nil},
	{"no reason and no space", "HTTP/1.1 200\r\n\r\n", `200 "" 1.1 len=-1`, nil},
	{"reason of words", "HTTP/1.1 404 Not\tFound, sorry \r\n\r\n", `404 "Not\tFound, sorry " 1.1 len=-1`, nil},
	{"reason beyond ASCII", "HTTP/1.1 200 \xc3\xa9\r\n\r\n", `200 "é" 1.1 len=-1`, nil},
	{"reason with NUL", "HTTP/1.1 200 O\x00K\r\n\r\n", "", ErrStatusLine},
	{"reason with CR", "HTTP/1.1 200 O\rK\r\n\r\n", "", ErrStatusLine},
	{"reason without a space", "HTTP/1.1 200OK\r\n\r\n", "", ErrStatusLine},
	{"tab before the reason", "HTTP/1.1 200\tOK\r\n\r\n", "", ErrStatusLine},
	{"1.0", "HTTP/1.0 200 OK\r\n\r\n", `200 "OK" 1.0 len=-1`, nil},
	{"1.2", "HTTP/1.2 200 OK\r\n\r\n", ok, nil},
	{"2.0", "HTTP/2.0 200 OK\r\n\r\n", "", ErrStatusLine},
	{"0.9", "hello\r\n", "", ErrStatusLine},
	{"lower case", "http/1.1 200 OK\r\n\r\n", "", ErrStatusLine},
	{"no version", "HTTP 200 OK\r\n\r\n", "", ErrStatusLine},
	{"ICY", "ICY 200 OK\r\n\r\n", "", ErrStatusLine},
	{"empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", "", ErrStatusLine},
	{"space first", " HTTP/1.1 200 OK\r\n\r\n", "", ErrStatusLine},
	{"two spaces behind the version", "HTTP/1.1  200 OK\r\n\r\n", "", ErrStatusLine},
	{"tab behind the version", "HTTP/1.1\t200 OK\r\n\r\n", "", ErrStatusLine},
	{"garbage", "\x00\x01\x02\x03\x04", "", ErrStatusLine},
	{"a request", "GET / HTTP/1.1\r\n\r\n", "", ErrStatusLine},
	{"bare LF", "HTTP/1.1 200 OK\nX: y\r\n\r\n", "", ErrStatusLine},
	{"short line", "HTTP/1.1\r\n\r\n", "", ErrStatusLine},
	{"nothing", "", "…", nil},
	{"half a version", "HTTP", "…", nil},
	{"half a line", "HTTP/1.1 20", "…", nil},
	{"status 100", "HTTP/1.1 100 Continue\r\n\r\n", `100 "Continue" 1.1 len=-1`, nil},
	{"status 101", "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", `101 "X" 1.1 len=-1 upgrade`, nil},
	{"status 599", "HTTP/1.1 599 X\r\n\r\n", `599 "X" 1.1 len=-1`, nil},
	{"status 600", "HTTP/1.1 600 X\r\n\r\n", "", ErrStatusLine},
	{"status 099", "HTTP/1.1 099 X\r\n\r\n", "", ErrStatusLine},
	{"status 000", "HTTP/1.1 000 X\r\n\r\n", "", ErrStatusLine},
	{"status of two digits", "HTTP/1.1 20 X\r\n\r\n", "", ErrStatusLine},
	{"status of four digits", "HTTP/1.1 2000 X\r\n\r\n", "", ErrStatusLine},
	{"status in letters", "HTTP/1.1 2xx X\r\n\r\n", "", ErrStatusLine},
	{"signed status", "HTTP/1.1 +20 X\r\n\r\n", "", ErrStatusLine},

	// Fields.
	{"no fields end", "HTTP/1.1 200 OK\r\nX: y\r\n", "…", nil},
	{"fields", responseWith("X: y\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"), ok, nil},
	{"space before the colon", responseWith("X : y\r\n"), "", ErrFieldName},
	{"folded", responseWith("X: y\r\n z\r\n"), "", ErrFolded},
	{"folded at once", responseWith(" X: y\r\n"), "", ErrFolded},
	{"bare LF in the fields", responseWith("X: y\n"), "", ErrBareLF},
	{"bare CR in the fields", responseWith("X: y\rz\r\n"), "", ErrControlByte},
	{"NUL in a value", responseWith("X: y\x00\r\n"), "", ErrControlByte},
	{"no colon", responseWith("X\r\n"), "", ErrFieldName},
	{"many fields", responseWith(strings.Repeat("X: y\r\n", 9)), "", ErrTooManyFields},
	{"head of 1024 bytes", responseWith("X: " + strings.Repeat("y", 1024-19-5) + "\r\n"), ok, nil},
	{"head of 1025 bytes", responseWith("X: " + strings.Repeat("y", 1025-19-5) + "\r\n"), "", ErrHeaderTooLarge},
	{"line that does not end", "HTTP/1.1 200 " + strings.Repeat("y", 1024), "", ErrHeaderTooLarge},
	{"fault behind the limit", responseWith("X: " + strings.Repeat("y", 1024) + "\r\n\x00"), "", ErrHeaderTooLarge},

	// Framing.
	{"length", responseWith("Content-Length: 42\r\n"), `200 "OK" 1.1 len=42`, nil},
	{"length twice", responseWith("Content-Length: 5\r\nContent-Length: 5\r\n"), "", ErrLength},
	{"listed length", responseWith("Content-Length: 5,5\r\n"), "", ErrLength},
	{"signed length", responseWith("Content-Length: +5\r\n"), "", ErrLength},
	{"length that overflows", responseWith("Content-Length: 9223372036854775808\r\n"), "", ErrLength},
	{"empty length", responseWith("Content-Length: \r\n"), "", ErrLength},
	{"chunked", responseWith("Transfer-Encoding: Chunked\r\n"), ok + " chunked", nil},
	{"chunked and length", responseWith("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), "", ErrLengthCoding},
	{"gzip and chunked", responseWith("Transfer-Encoding: gzip, chunked\r\n"), "", ErrCoding},
	{"chunked in two lines", responseWith("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"), "", ErrCoding},
	{"identity", responseWith("Transfer-Encoding: identity\r\n"), "", ErrCoding},
	{"chunked in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "", ErrCodingVersion},
	{"close", responseWith("Connection: Close\r\n"), ok + " close", nil},
	{"keep-alive in 1.0", "HTTP/1.0 200 OK\r\nConnection: x, keep-alive\r\n\r\n", `200 "OK" 1.0 len=-1 keep-alive`, nil},
	{"options in excess", responseWith("Connection: " + strings.Repeat("x,", 65) + "\r\n"), "", ErrOptions},
}

func TestParseResponse(t *testing.T) {
	for _, tt := range responseTests {
		t.Run(tt.name, func(t *testing.T) {
			var h message.Head
			size, err := ParseResponse([]byte(tt.in), &h, testLimits)
			checkParsed(t, &h, size, err, tt.in, tt.want, tt.err, response)
		})
	}
}

func TestParseResponseInParts(t *testing.T) {
	for _, tt := range responseTests {
		t.Run(tt.name, func(t *testing.T) {
			inParts(t, tt.in, tt.want, tt.err, func(b []byte) (string, int, error) {
				var h message.Head
				size, err := ParseResponse(b, &h, testLimits)
				return response(&h), size, err
			})
		})
	}
}

func TestNoBody(t *testing.T) {
	tests := []struct {
		status int
		head   bool
		want   bool
	}{
		{200, false, false}, {200, true, true}, {100, false, true}, {103, false, true}, {199, false, true},
		{204, false, true}, {205, false, false}, {304, false, true}, {302, false, false}, {404, true, true}, {500, false, false},
	}
	for _, tt := range tests {
		if got := NoBody(tt.status, tt.head); got != tt.want {
			t.Errorf("NoBody(%d, %v) = %v, want %v", tt.status, tt.head, got, tt.want)
		}
	}
}
