package http1

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"weir/proxy/message"
)

// testLimits are small, so that tests reach them.
var testLimits = Limits{Header: 1024, Fields: 8, Target: 64}

// request is the meaning of a head in short.
func request(h *message.Head) string {
	s := fmt.Sprintf("%s %s 1.%d host=%s len=%d", h.Method, h.Target, h.Minor, h.Authority, h.ContentLength)
	flags := []struct {
		on   bool
		name string
	}{
		{h.Absolute, "absolute"}, {h.Chunked, "chunked"}, {h.Close, "close"}, {h.KeepAlive, "keep-alive"},
		{h.Upgrade, "upgrade"}, {h.ExpectContinue, "expect"}, {h.TETrailers, "trailers"},
	}
	for _, f := range flags {
		if f.on {
			s += " " + f.name
		}
	}
	return s
}

// requestWith is a GET with one more field line.
func requestWith(lines string) string { return "GET / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n" }

// requestTo is a GET with another start line.
func requestTo(line string) string { return line + "\r\nHost: a\r\n\r\n" }

// requestFor is a GET with another Host.
func requestFor(host string) string { return "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n" }

const plain = "GET / 1.1 host=a len=-1"

var requestTests = []struct {
	name string
	in   string
	want string // of an accepted head; "…" for one that is incomplete
	err  *Error
}{
	// The request line.
	{"smallest", requestTo("GET / HTTP/1.1"), plain, nil},
	{"target and query", requestTo("GET /a/%20b?x=1&y=; HTTP/1.1"), "GET /a/%20b?x=1&y=; 1.1 host=a len=-1", nil},
	{"empty line first", "\r\n" + requestTo("GET / HTTP/1.1"), plain, nil},
	{"two empty lines first", "\r\n\r\n" + requestTo("GET / HTTP/1.1"), "", ErrMethod},
	{"bare LF first", "\n" + requestTo("GET / HTTP/1.1"), "", ErrMethod},
	{"bare CR first", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", "", ErrMethod},
	{"lone CR", "\r", "…", nil},
	{"lone CRLF", "\r\n", "…", nil},
	{"nothing", "", "…", nil},
	{"space first", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", ErrMethod},
	{"no method", requestTo(" / HTTP/1.1"), "", ErrMethod},
	{"lower-case method", requestTo("get / HTTP/1.1"), "get / 1.1 host=a len=-1", nil},
	{"token method", requestTo("M-SEARCH!#$%&'*+.^_`|~ / HTTP/1.1"), "M-SEARCH!#$%&'*+.^_`|~ / 1.1 host=a len=-1", nil},
	{"method with a separator", requestTo("GE(T / HTTP/1.1"), "", ErrMethod},
	{"method with a colon", requestTo("GET: / HTTP/1.1"), "", ErrMethod},
	{"method with NUL", requestTo("GE\x00T / HTTP/1.1"), "", ErrMethod},
	{"method beyond ASCII", requestTo("GÉT / HTTP/1.1"), "", ErrMethod},
	{"method with DEL", requestTo("GET\x7f / HTTP/1.1"), "", ErrMethod},
	{"method of 64 bytes", requestTo(strings.Repeat("M", 64) + " / HTTP/1.1"), strings.Repeat("M", 64) + " / 1.1 host=a len=-1", nil},
	{"method of 65 bytes", requestTo(strings.Repeat("M", 65) + " / HTTP/1.1"), "", ErrMethod},
	{"method that does not end", strings.Repeat("M", 65), "", ErrMethod},
	{"tab behind the method", requestTo("GET\t/ HTTP/1.1"), "", ErrMethod},
	{"two spaces behind the method", requestTo("GET  / HTTP/1.1"), "", ErrTarget},
	{"tab behind the target", requestTo("GET /\tHTTP/1.1"), "", ErrTarget},
	{"two spaces behind the target", requestTo("GET /  HTTP/1.1"), "", ErrRequestLine},
	{"space behind the version", requestTo("GET / HTTP/1.1 "), "", ErrRequestLine},
	{"HTTP/0.9", "GET /\r\n", "", ErrTarget},
	{"method only", "GET\r\n", "", ErrMethod},
	{"TLS handshake", "\x16\x03\x01\x02\x00\x01", "", ErrMethod},

	// The target.
	{"asterisk", requestTo("OPTIONS * HTTP/1.1"), "OPTIONS * 1.1 host=a len=-1", nil},
	{"asterisk with GET", requestTo("GET * HTTP/1.1"), "", ErrTarget},
	{"asterisk and more", requestTo("OPTIONS *a HTTP/1.1"), "", ErrTarget},
	{"no slash", requestTo("GET a HTTP/1.1"), "", ErrTarget},
	{"query only", requestTo("GET ?a HTTP/1.1"), "", ErrTarget},
	{"fragment", requestTo("GET /a#b HTTP/1.1"), "", ErrTarget},
	{"two slashes", requestTo("GET //b/c HTTP/1.1"), "GET //b/c 1.1 host=a len=-1", nil},
	{"NUL", requestTo("GET /\x00 HTTP/1.1"), "", ErrTarget},
	{"vertical tab", requestTo("GET /\v HTTP/1.1"), "", ErrTarget},
	{"bytes beyond ASCII", requestTo("GET /é HTTP/1.1"), "", ErrTarget},
	{"CR in the target", requestTo("GET /\rb HTTP/1.1"), "", ErrTarget},
	{"LF in the target", requestTo("GET /\nb HTTP/1.1"), "", ErrTarget},
	{"connect", requestTo("CONNECT a:443 HTTP/1.1"), "", ErrConnect},
	{"connect to a path", requestTo("CONNECT / HTTP/1.1"), "", ErrConnect},
	{"absolute", requestTo("GET http://b/c?d HTTP/1.1"), "GET /c?d 1.1 host=b len=-1 absolute", nil},
	{"absolute https", requestTo("GET HTTPS://b:8443/c HTTP/1.1"), "GET /c 1.1 host=b:8443 len=-1 absolute", nil},
	{"absolute without path", requestTo("GET http://b HTTP/1.1"), "GET / 1.1 host=b len=-1 absolute", nil},
	{"absolute without path, OPTIONS", requestTo("OPTIONS http://b HTTP/1.1"), "OPTIONS * 1.1 host=b len=-1 absolute", nil},
	{"absolute, OPTIONS of the root", requestTo("OPTIONS http://b/ HTTP/1.1"), "OPTIONS / 1.1 host=b len=-1 absolute", nil},
	{"absolute without path but query", requestTo("GET http://b?c=/d HTTP/1.1"), "GET /?c=/d 1.1 host=b len=-1 absolute", nil},
	{"absolute without path but query, OPTIONS", requestTo("OPTIONS http://b?c HTTP/1.1"), "OPTIONS /?c 1.1 host=b len=-1 absolute", nil},
	{"absolute without host but query", requestTo("GET http://?c HTTP/1.1"), "", ErrTarget},
	{"absolute without host", requestTo("GET http:///c HTTP/1.1"), "", ErrTarget},
	{"absolute with nothing", requestTo("GET http:// HTTP/1.1"), "", ErrTarget},
	{"absolute with user", requestTo("GET http://u:p@b/ HTTP/1.1"), "", ErrTarget},
	{"absolute with backslash", requestTo("GET http://b\\@a/ HTTP/1.1"), "", ErrTarget},
	{"absolute of another scheme", requestTo("GET ftp://b/ HTTP/1.1"), "", ErrTarget},
	{"absolute without Host", "GET http://b/ HTTP/1.1\r\n\r\n", "", ErrHostMissing},
	{"absolute without Host in 1.0", "GET http://b/ HTTP/1.0\r\n\r\n", "GET / 1.0 host=b len=-1 absolute", nil},
	{"absolute with malformed Host", "GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n", "", ErrHostMalformed},
	{"authority", requestTo("GET b:80 HTTP/1.1"), "", ErrTarget},
	{"target of 64 bytes", requestTo("GET /" + strings.Repeat("a", 63) + " HTTP/1.1"), "GET /" + strings.Repeat("a", 63) + " 1.1 host=a len=-1", nil},
	{"target of 65 bytes", requestTo("GET /" + strings.Repeat("a", 64) + " HTTP/1.1"), "", ErrTargetTooLong},
	{"target that does not end", "GET /" + strings.Repeat("a", 64), "", ErrTargetTooLong},
	{"long absolute target", requestTo("GET http://b/" + strings.Repeat("a", 60) + " HTTP/1.1"), "", ErrTargetTooLong},

	// The version.
	{"1.0", "GET / HTTP/1.0\r\n\r\n", "GET / 1.0 host= len=-1", nil},
	{"1.0 with Host", requestTo("GET / HTTP/1.0"), "GET / 1.0 host=a len=-1", nil},
	{"1.2", requestTo("GET / HTTP/1.2"), plain, nil},
	{"2.0", requestTo("GET / HTTP/2.0"), "", ErrVersion},
	{"0.9", requestTo("GET / HTTP/0.9"), "", ErrVersion},
	{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", ErrVersion},
	{"no minor version", requestTo("GET / HTTP/1"), "", ErrRequestLine},
	{"long minor version", requestTo("GET / HTTP/1.10"), "", ErrRequestLine},
	{"long major version", requestTo("GET / HTTP/01.1"), "", ErrRequestLine},
	{"lower-case version", requestTo("GET / http/1.1"), "", ErrRequestLine},
	{"other protocol", requestTo("GET / SIP/2.0"), "", ErrRequestLine},
	{"version with a comma", requestTo("GET / HTTP/1,1"), "", ErrRequestLine},
	{"version beyond digits", requestTo("GET / HTTP/1.:"), "", ErrRequestLine},
	{"bare LF behind the version", "GET / HTTP/1.1\nHost: a\r\n\r\n", "", ErrBareLF},
	{"bare CR behind the version", "GET / HTTP/1.1\rHost: a\r\n\r\n", "", ErrRequestLine},
	{"empty version", "GET / \r\nHost: a\r\n\r\n", "", ErrRequestLine},

	// Field lines.
	{"no fields end", "GET / HTTP/1.1\r\nHost: a\r\n", "…", nil},
	{"half an empty line", "GET / HTTP/1.1\r\nHost: a\r\n\r", "…", nil},
	{"no white space before the value", requestWith("X:y\r\n"), plain, nil},
	{"much white space", requestWith("X: \t y \t \r\n"), plain, nil},
	{"empty value", requestWith("X:\r\n"), plain, nil},
	{"tab in a value", requestWith("X: a\tb\r\n"), plain, nil},
	{"bytes beyond ASCII in a value", requestWith("X: \x80\xff\r\n"), plain, nil},
	{"every token byte in a name", requestWith("!#$%&'*+-.^_`|~09azAZ: y\r\n"), plain, nil},
	{"space before the colon", requestWith("X : y\r\n"), "", ErrFieldName},
	{"tab before the colon", requestWith("X\t: y\r\n"), "", ErrFieldName},
	{"space before the colon of Content-Length", requestWith("Content-Length : 5\r\n"), "", ErrFieldName},
	{"no colon", requestWith("X\r\n"), "", ErrFieldName},
	{"no colon, bare LF", requestWith("X\n"), "", ErrBareLF},
	{"no name", requestWith(": y\r\n"), "", ErrFieldName},
	{"name with a space", requestWith("X Y: z\r\n"), "", ErrFieldName},
	{"name with NUL", requestWith("X\x00: z\r\n"), "", ErrFieldName},
	{"name with a parenthesis", requestWith("X(: z\r\n"), "", ErrFieldName},
	{"name beyond ASCII", requestWith("X\xff: z\r\n"), "", ErrFieldName},
	{"name with CR", requestWith("X\rY: z\r\n"), "", ErrFieldName},
	{"folded with a space", requestWith("X: y\r\n z\r\n"), "", ErrFolded},
	{"folded with a tab", requestWith("X: y\r\n\tz\r\n"), "", ErrFolded},
	{"space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "", ErrFolded},
	{"folded line of white space", requestWith("X: y\r\n \r\n"), "", ErrFolded},
	{"bare LF in the fields", requestWith("X: y\nZ: z\r\n"), "", ErrBareLF},
	{"bare LF ends the head", "GET / HTTP/1.1\r\nHost: a\r\n\n", "", ErrBareLF},
	{"LF alone as a value", requestWith("X:\n"), "", ErrBareLF},
	{"bare CR in a value", requestWith("X: y\rz\r\n"), "", ErrControlByte},
	{"two CR at the end", requestWith("X: y\r\r\n"), "", ErrControlByte},
	{"CR without LF for the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\rX", "", ErrControlByte},
	{"NUL in a value", requestWith("X: \x00\r\n"), "", ErrControlByte},
	{"control byte in a value", requestWith("X: a\x01b\r\n"), "", ErrControlByte},
	{"vertical tab in a value", requestWith("X: a\vb\r\n"), "", ErrControlByte},
	{"escape in a long value", requestWith("X: 0123456789\x1b0123456789\r\n"), "", ErrControlByte},
	{"DEL in a value", requestWith("X: \x7f\r\n"), "", ErrControlByte},
	{"eight fields", requestWith(strings.Repeat("X: y\r\n", 7)), plain, nil},
	{"nine fields", requestWith(strings.Repeat("X: y\r\n", 8)), "", ErrTooManyFields},
	{"head of 1024 bytes", requestWith("X: " + strings.Repeat("y", 1024-27-5) + "\r\n"), plain, nil},
	{"head of 1025 bytes", requestWith("X: " + strings.Repeat("y", 1025-27-5) + "\r\n"), "", ErrHeaderTooLarge},
	{"head of 1024 bytes behind an empty line", "\r\n" + requestWith("X: "+strings.Repeat("y", 1024-27-5)+"\r\n"), plain, nil},
	{"fault behind the limit", requestWith("X: " + strings.Repeat("y", 1024) + "\r\n\x00"), "", ErrHeaderTooLarge},
	{"line that does not end", requestWith("X: " + strings.Repeat("y", 1024))[:1024], "", ErrHeaderTooLarge},

	// Host.
	{"no Host", "GET / HTTP/1.1\r\n\r\n", "", ErrHostMissing},
	{"Host twice", requestWith("Host: a\r\n"), "", ErrHostRepeated},
	{"Host twice in any case", requestWith("hOST: b\r\n"), "", ErrHostRepeated},
	{"Host twice in 1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "", ErrHostRepeated},
	{"empty Host", requestFor(""), "", ErrHostMalformed},
	{"empty Host in 1.0", "GET / HTTP/1.0\r\nHost:\r\n\r\n", "", ErrHostMalformed},
	{"port", requestFor("a.example:8080"), "GET / 1.1 host=a.example:8080 len=-1", nil},
	{"empty port", requestFor("a:"), "GET / 1.1 host=a: len=-1", nil},
	{"highest port", requestFor("a:65535"), "GET / 1.1 host=a:65535 len=-1", nil},
	{"port too high", requestFor("a:65536"), "", ErrHostMalformed},
	{"port too long", requestFor("a:000080"), "", ErrHostMalformed},
	{"port not a number", requestFor("a:b"), "", ErrHostMalformed},
	{"signed port", requestFor("a:+80"), "", ErrHostMalformed},
	{"port only", requestFor(":80"), "", ErrHostMalformed},
	{"two ports", requestFor("a:80:80"), "", ErrHostMalformed},
	{"final dot", requestFor("a.example."), "GET / 1.1 host=a.example. len=-1", nil},
	{"user in Host", requestFor("u@a"), "", ErrHostMalformed},
	{"path in Host", requestFor("a/b"), "", ErrHostMalformed},
	{"space in Host", requestFor("a b"), "", ErrHostMalformed},
	{"quote in Host", requestFor("a\""), "", ErrHostMalformed},
	{"bytes beyond ASCII in Host", requestFor("é"), "", ErrHostMalformed},
	{"bracket in Host", requestFor("a]"), "", ErrHostMalformed},
	{"IPv6", requestFor("[2001:db8::1]"), "GET / 1.1 host=[2001:db8::1] len=-1", nil},
	{"IPv6 and port", requestFor("[::1]:80"), "GET / 1.1 host=[::1]:80 len=-1", nil},
	{"IPv6 without brackets", requestFor("::1"), "", ErrHostMalformed},
	{"IPv6 not closed", requestFor("[::1"), "", ErrHostMalformed},
	{"IPv6 and more", requestFor("[::1]a"), "", ErrHostMalformed},
	{"IPv6 with two gaps", requestFor("[1::2::3]"), "", ErrHostMalformed},
	{"escapes in a name", requestFor("0%80"), "", ErrHostMalformed},
	{"IPv6 with a zone", requestFor("[fe80::1%25eth0]"), "", ErrHostMalformed},
	{"empty brackets", requestFor("[]"), "", ErrHostMalformed},
	{"IPv4 in brackets", requestFor("[1.2.3.4]"), "", ErrHostMalformed},
	{"Host of 261 bytes", requestFor(strings.Repeat("a", 261)), "GET / 1.1 host=" + strings.Repeat("a", 261) + " len=-1", nil},
	{"Host of 262 bytes", requestFor(strings.Repeat("a", 262)), "", ErrHostMalformed},

	// Content-Length.
	{"length", requestWith("Content-Length: 42\r\n"), "GET / 1.1 host=a len=42", nil},
	{"length 0", requestWith("Content-Length: 0\r\n"), "GET / 1.1 host=a len=0", nil},
	{"length with zeros", requestWith("Content-Length: 0042\r\n"), "GET / 1.1 host=a len=42", nil},
	{"largest length", requestWith("Content-Length: 999999999999999999\r\n"), "GET / 1.1 host=a len=999999999999999999", nil},
	{"length of 19 digits", requestWith("Content-Length: 1000000000000000000\r\n"), "", ErrLength},
	{"length that overflows", requestWith("Content-Length: 18446744073709551616\r\n"), "", ErrLength},
	{"length twice", requestWith("Content-Length: 5\r\nContent-Length: 5\r\n"), "", ErrLength},
	{"lengths that differ", requestWith("Content-Length: 5\r\ncontent-length: 6\r\n"), "", ErrLength},
	{"listed length", requestWith("Content-Length: 5, 5\r\n"), "", ErrLength},
	{"positive length", requestWith("Content-Length: +5\r\n"), "", ErrLength},
	{"negative length", requestWith("Content-Length: -5\r\n"), "", ErrLength},
	{"empty length", requestWith("Content-Length:\r\n"), "", ErrLength},
	{"hexadecimal length", requestWith("Content-Length: 0x5\r\n"), "", ErrLength},
	{"length with a fraction", requestWith("Content-Length: 5.0\r\n"), "", ErrLength},
	{"length with an underscore", requestWith("Content-Length: 1_0\r\n"), "", ErrLength},
	{"length with a space inside", requestWith("Content-Length: 1 0\r\n"), "", ErrLength},
	{"length in other digits", requestWith("Content-Length: \xd9\xa5\r\n"), "", ErrLength},

	// Transfer-Encoding.
	{"chunked", requestWith("Transfer-Encoding: chunked\r\n"), plain + " chunked", nil},
	{"chunked in any case", requestWith("tRANSFER-eNCODING:\tChunkeD \r\n"), plain + " chunked", nil},
	{"chunked and length", requestWith("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), "", ErrLengthCoding},
	{"length and chunked", requestWith("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"), "", ErrLengthCoding},
	{"chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "", ErrCodingVersion},
	{"chunked twice", requestWith("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), "", ErrCoding},
	{"listed chunked", requestWith("Transfer-Encoding: chunked, chunked\r\n"), "", ErrCoding},
	{"gzip and chunked", requestWith("Transfer-Encoding: gzip, chunked\r\n"), "", ErrCoding},
	{"chunked and identity", requestWith("Transfer-Encoding: chunked, identity\r\n"), "", ErrCoding},
	{"identity", requestWith("Transfer-Encoding: identity\r\n"), "", ErrCoding},
	{"empty coding", requestWith("Transfer-Encoding:\r\n"), "", ErrCoding},
	{"trailing comma", requestWith("Transfer-Encoding: chunked,\r\n"), "", ErrCoding},
	{"leading comma", requestWith("Transfer-Encoding: ,chunked\r\n"), "", ErrCoding},
	{"quoted chunked", requestWith("Transfer-Encoding: \"chunked\"\r\n"), "", ErrCoding},
	{"chunked with a parameter", requestWith("Transfer-Encoding: chunked;q=1\r\n"), "", ErrCoding},
	{"xchunked", requestWith("Transfer-Encoding: xchunked\r\n"), "", ErrCoding},
	{"chunked with a non-breaking space", requestWith("Transfer-Encoding: \xa0chunked\r\n"), "", ErrCoding},
	{"chunked with dotless letters", requestWith("Transfer-Encoding: chun\xe2\x84\xaaed\r\n"), "", ErrCoding},
	{"chunked with a vertical tab", requestWith("Transfer-Encoding: \vchunked\r\n"), "", ErrControlByte},
	{"chunked with a form feed", requestWith("Transfer-Encoding: chunked\f\r\n"), "", ErrControlByte},
	{"chunked with CR", requestWith("Transfer-Encoding: \rchunked\r\n"), "", ErrControlByte},
	{"coding with a space before the colon", requestWith("Transfer-Encoding : chunked\r\n"), "", ErrFieldName},
	{"folded coding", requestWith("Transfer-Encoding:\r\n chunked\r\n"), "", ErrCoding},
	{"coding behind a folded line", requestWith("X: y\r\n Transfer-Encoding: chunked\r\n"), "", ErrFolded},
	{"coding behind a bare CR", requestWith("X: y\rTransfer-Encoding: chunked\r\n"), "", ErrControlByte},
	{"coding behind a bare LF", requestWith("X: y\nTransfer-Encoding: chunked\r\n"), "", ErrBareLF},
	{"other name of the coding", requestWith("Transfer_Encoding: chunked\r\n"), plain, nil},

	// Connection, Expect, TE, Upgrade.
	{"close", requestWith("Connection: close\r\n"), plain + " close", nil},
	{"close in a list", requestWith("Connection: x ,\tCLOSE,\r\nConnection: y\r\n"), plain + " close", nil},
	{"keep-alive", requestWith("Connection: Keep-Alive\r\n"), plain + " keep-alive", nil},
	{"not close", requestWith("Connection: closed, xclose\r\n"), plain, nil},
	{"upgrade", requestWith("Connection: Upgrade\r\nUpgrade: websocket\r\n"), plain + " upgrade", nil},
	{"upgrade that is not named", requestWith("Upgrade: websocket\r\n"), plain, nil},
	{"upgrade that is not there", requestWith("Connection: upgrade\r\n"), plain, nil},
	{"64 options", requestWith("Connection: " + strings.Repeat("x,", 64) + "\r\n"), plain, nil},
	{"65 options", requestWith("Connection: " + strings.Repeat("x,", 60) + "\r\nConnection: a,b,c,d,e\r\n"), "", ErrOptions},
	{"expect", requestWith("Expect: 100-Continue\r\n"), plain + " expect", nil},
	{"another expectation", requestWith("Expect: 200-ok\r\n"), "", ErrExpectation},
	{"empty expectation", requestWith("Expect:\r\n"), "", ErrExpectation},
	{"listed expectation", requestWith("Expect: 100-continue, x\r\n"), "", ErrExpectation},
	{"expect twice", requestWith("Expect: 100-continue\r\nExpect: 100-continue\r\n"), "", ErrExpectRepeated},
	{"trailers", requestWith("TE: deflate;q=0.5, Trailers\r\n"), plain + " trailers", nil},
	{"no trailers", requestWith("TE: trailers;q=0\r\n"), plain, nil},
}

func TestParseRequest(t *testing.T) {
	for _, tt := range requestTests {
		t.Run(tt.name, func(t *testing.T) {
			var h message.Head
			size, err := ParseRequest([]byte(tt.in), &h, testLimits)
			checkParsed(t, &h, size, err, tt.in, tt.want, tt.err, request)
		})
	}
}

// checkParsed compares the outcome of a parse with what is wanted.
func checkParsed(t *testing.T, h *message.Head, size int, err error, in, want string, wantErr *Error, meaning func(*message.Head) string) {
	t.Helper()
	if wantErr != nil {
		if err != error(wantErr) {
			t.Fatalf("parse of %q: size %d, error %v, want error %v", in, size, err, wantErr)
		}
		return
	}
	if err != nil {
		t.Fatalf("parse of %q: error %v, want %q", in, err, want)
	}
	if want == "…" {
		if size != 0 {
			t.Fatalf("parse of %q: size %d, want an incomplete head", in, size)
		}
		return
	}
	if got := meaning(h); size != len(in) || got != want {
		t.Errorf("parse of %q: size %d, %q, want %d, %q", in, size, got, len(in), want)
	}
	if len(h.Buf) != h.Size || !strings.HasSuffix(in, string(h.Buf)) {
		t.Errorf("parse of %q: head of %d bytes is %q", in, h.Size, h.Buf)
	}
}

// TestParseRequestInParts lets every head arrive byte by byte: the first outcome that is not
// "incomplete" must be that of the whole, and come with the byte that decides it or later.
func TestParseRequestInParts(t *testing.T) {
	for _, tt := range requestTests {
		t.Run(tt.name, func(t *testing.T) {
			inParts(t, tt.in, tt.want, tt.err, func(b []byte) (string, int, error) {
				var h message.Head
				size, err := ParseRequest(b, &h, testLimits)
				return request(&h), size, err
			})
		})
	}
}

func inParts(t *testing.T, in, want string, wantErr *Error, parse func([]byte) (string, int, error)) {
	t.Helper()
	for n := range len(in) + 1 {
		got, size, err := parse([]byte(in[:n]))
		switch {
		case err != nil:
			if wantErr == nil || err != error(wantErr) {
				t.Fatalf("error %v after %d bytes, want %v", err, n, wantErr)
			}
			return
		case size > 0:
			if wantErr != nil || got != want || size != n || n != len(in) {
				t.Fatalf("%q of %d bytes after %d of %d, want %q, error %v", got, size, n, len(in), want, wantErr)
			}
		}
	}
	if _, size, _ := parse([]byte(in)); wantErr != nil || (size > 0) != (want != "…") {
		t.Fatalf("%d bytes of %d in the end, want %q, error %v", size, len(in), want, wantErr)
	}
}

func TestParseRequestLeavesTheNextOne(t *testing.T) {
	first, second := requestWith("Content-Length: 0\r\n"), requestTo("GET /next HTTP/1.1")
	var h message.Head
	size, err := ParseRequest([]byte(first+second), &h, testLimits)
	if size != len(first) || err != nil {
		t.Fatalf("size %d, error %v, want %d", size, err, len(first))
	}
	size, err = ParseRequest([]byte(second), &h, testLimits)
	if size != len(second) || err != nil || string(h.Target) != "/next" || h.ContentLength != -1 {
		t.Fatalf("size %d, error %v, %q: the head of the first request shows", size, err, request(&h))
	}
}

func TestErrorsHaveAnswers(t *testing.T) {
	allowed := map[int]bool{400: true, 414: true, 417: true, 431: true, 501: true, 505: true}
	for _, tt := range requestTests {
		if tt.err != nil && (!allowed[tt.err.Status] || tt.err.Error() == "") {
			t.Errorf("%s: status %d, reason %q", tt.name, tt.err.Status, tt.err.Reason)
		}
	}
	var fault *Error
	if !errors.As(error(ErrTarget), &fault) || fault != ErrTarget {
		t.Error("an Error is not found by its type")
	}
}

func TestNoLimits(t *testing.T) {
	in := "GET /" + strings.Repeat("a", 100<<10) + " HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 1000) + "\r\n"
	var h message.Head
	size, err := ParseRequest([]byte(in), &h, Limits{})
	if size != len(in) || err != nil || len(h.Fields) != 1001 {
		t.Errorf("size %d, error %v, %d fields", size, err, len(h.Fields))
	}
}
