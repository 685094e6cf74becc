package conformance

const (
	lfRule   = "RFC 9112, 2.2: a bare LF may be accepted, and is not"
	crRule   = "RFC 9112, 2.2: bare CR"
	foldRule = "RFC 9112, 5.2: obs-fold is refused with 400"
	ctlRule  = "RFC 9110, 5.5: control byte in a value"
)

var lines = topic{
	name:  "Line ends, folding and control bytes",
	about: "A line ends in CRLF and nowhere else; control bytes but the tab have no place in a head.",
	messages: []message{
		{name: "empty line before the request", send: "\r\n" + getCase, want: forwarded, saw: []string{getCase}, why: "RFC 9112, 2.2: at least one empty line is ignored"},
		{name: "two empty lines before the request", send: "\r\n\r\n" + getCase, want: refused, why: "RFC 9112, 2.2: one is enough"},
		{name: "bare LF before the request", send: "\n" + getCase, want: refused, why: lfRule},
		{name: "bare LF everywhere", send: "GET /case HTTP/1.1\nHost: a.example\n\n", want: refused, why: lfRule},
		{name: "bare LF behind the request line", send: "GET /case HTTP/1.1\n" + host + "\r\n", want: refused, why: lfRule},
		{name: "bare LF behind a field", send: get("X: y\nZ: z\r\n"), want: refused, why: lfRule},
		{name: "bare LF for the empty line", send: "GET /case HTTP/1.1\r\n" + host + "\n", want: refused, why: lfRule},
		{name: "bare LF behind the last field and for the empty line", send: "GET /case HTTP/1.1\r\nHost: a.example\n\n" + next("/b"), want: refused, why: lfRule},
		{name: "bare CR behind the request line", send: "GET /case HTTP/1.1\r" + host + "\r\n", want: refused, why: crRule},
		{name: "bare CR in a value", send: get("X: y\rz\r\n"), want: refused, why: crRule},
		{name: "bare CR at the start of a value", send: get("X:\ry\r\n"), want: refused, why: crRule},
		{name: "bare CR before a name", send: get("\rX: y\r\n"), want: refused, why: crRule},
		{name: "two CR at the end of a line", send: get("X: y\r\r\n"), want: refused, why: crRule},
		{name: "CR without LF for the empty line", send: "GET /case HTTP/1.1\r\n" + host + "\r" + poison, want: refused, why: crRule},
		{name: "LF CR in place of CR LF", send: "GET /case HTTP/1.1\r\nHost: a.example\n\r\n\r", want: refused, why: lfRule},
		{name: "field folded with a space", send: get("X: y\r\n z\r\n"), want: refused, why: foldRule},
		{name: "field folded with a tab", send: get("X: y\r\n\tz\r\n"), want: refused, why: foldRule},
		{name: "folded line of white space", send: get("X: y\r\n \r\n"), want: refused, why: foldRule},
		{name: "folded Host", send: "GET /case HTTP/1.1\r\nHost:\r\n a.example\r\n\r\n", want: refused, why: foldRule},
		{name: "white space before the first field", send: "GET /case HTTP/1.1\r\n X: y\r\n" + host + "\r\n", want: refused, why: "RFC 9112, 2.2: white space between start line and first field"},
		{name: "white space before Host", send: "GET /case HTTP/1.1\r\n " + host + "\r\n", want: refused, why: "RFC 9112, 2.2: white space between start line and first field"},
		{name: "NUL in a value", send: get("X: y\x00z\r\n"), want: refused, why: ctlRule},
		{name: "control byte 1 in a value", send: get("X: y\x01z\r\n"), want: refused, why: ctlRule},
		{name: "vertical tab in a value", send: get("X: y\vz\r\n"), want: refused, why: ctlRule},
		{name: "escape in a value", send: get("X: 0123456789\x1b[31m\r\n"), want: refused, why: ctlRule},
		{name: "DEL in a value", send: get("X: y\x7fz\r\n"), want: refused, why: ctlRule},
		{name: "tab in a value", send: get("X: y\tz\r\n"), want: forwarded, why: "RFC 9110, 5.5: HTAB is allowed"},
		{name: "bytes above ASCII in a value", send: get("X: \x80\xff \xc3\xa9\r\n"), want: forwarded, why: "RFC 9110, 5.5: obs-text is opaque"},
		{name: "head without an end, then silence", send: "GET /case HTTP/1.1\r\n" + host, alone: true, slow: true, want: "408, closed", why: "RFC 9112, 8: an incomplete request; client_header"},
		{name: "head without an end, then the end", send: "GET /case HTTP/1.1\r\n" + host, alone: true, fin: true, want: noAnswer, why: "RFC 9112, 8: an incomplete request"},
		{name: "half a request line, then silence", send: "GET /ca", alone: true, slow: true, want: "408, closed", why: "RFC 9112, 8: an incomplete request; client_header"},
		{name: "byte by byte", send: post("Content-Length: 5\r\n", "hello"), drip: true, want: forwarded, why: "RFC 9112, 2.2: a message is a sequence of bytes, however they arrive"},
		{name: "bare LF byte by byte", send: get("X: y\nZ: z\r\n"), drip: true, want: refused, why: lfRule},
	},
}
