package conformance

import "strings"

// inChunks is a reply with a body in chunked coding.
func inChunks(body string) string { return ok("Transfer-Encoding: chunked\r\n", body) }

var responseCodings = topic{
	name: "Chunked responses",
	about: "A fault that is there before anything has gone to the client is a 502. Later the response is cut off: the client gets no last chunk. " +
		"Extensions are left out, trailers pass.",
	messages: []message{
		{name: "chunked response", reply: inChunks("5\r\nhello\r\n0\r\n\r\n"), want: passed, why: "RFC 9112, 7.1"},
		{name: "chunked response with extensions", reply: inChunks("5;a=\"b\"\r\nhello\r\n0;c\r\n\r\n"), want: passed, got: inChunks("5\r\nhello\r\n0\r\n\r\n"), why: "RFC 9112, 7.1.1: extensions that are not known are left out"},
		{name: "chunked response with trailers", reply: inChunks("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), want: passed, why: "RFC 9110, 6.5: trailers are forwarded"},
		{name: "chunked response with trailers that frame", reply: inChunks("5\r\nhello\r\n0\r\nContent-Length: 1\r\nX-Sum: 1\r\nSet-Cookie: a=b\r\n\r\n"), want: passed, got: inChunks("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), why: "RFC 9110, 6.5.1: such trailers are left out"},
		{name: "chunked response to HTTP/1.0", send: "GET /case HTTP/1.0\r\n" + host + "Connection: keep-alive\r\n\r\n", saw: []string{getCase}, reply: inChunks("5\r\nhello\r\n1\r\n!\r\n0\r\nX: y\r\n\r\n"), want: passedLast, got: ok(closing, "hello!"), why: "RFC 9112, 6.1: no coding to HTTP/1.0; the end of the connection is the end"},
		{name: "response with length and chunks", reply: ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), want: badGateway, why: "RFC 9112, 6.3 (3): ought to be handled as an error"},
		{name: "response with chunks and length, and another response", reply: ok("Transfer-Encoding: chunked\r\n"+lengthOfSplit, hiddenSplit), want: badGateway, why: "RFC 9112, 6.3 (3): ought to be handled as an error"},
		{name: "response coded gzip, chunked", reply: ok("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), want: badGateway, why: responseCodingRule},
		{name: "response coded chunked twice", reply: ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), want: badGateway, why: responseCodingRule},
		{name: "response coded identity", reply: ok("Transfer-Encoding: identity\r\n", "hello"), finish: closed, want: badGateway, why: responseCodingRule},
		{name: "response coded xchunked", reply: ok("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), finish: closed, want: badGateway, why: responseCodingRule},
		{name: "response coded behind a vertical tab", reply: ok("Transfer-Encoding: \vchunked\r\n", "0\r\n\r\n"), finish: closed, want: badGateway, why: "RFC 9110, 5.5: control byte in a value"},
		{name: "chunked response in HTTP/1.0", reply: "HTTP/1.0 200 OK\r\nX-Origin: script\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", finish: closed, want: badGateway, why: "RFC 9112, 6.1: a coding in HTTP/1.0 is faulty framing"},
		{name: "response with a bad chunk size", reply: inChunks("hello\r\n0\r\n\r\n"), want: badGateway, why: "RFC 9112, 7.1"},
		{name: "response with a chunk size that wraps", reply: inChunks("10000000000000005\r\nhello\r\n0\r\n\r\n"), want: badGateway, why: "RFC 9112, 7.1: guard against overflow"},
		{name: "response with a negative chunk size", reply: inChunks("-1\r\nhello\r\n0\r\n\r\n"), want: badGateway, why: "RFC 9112, 7.1"},
		{name: "response with a bare LF behind a chunk size", reply: inChunks("5\nhello\r\n0\r\n\r\n"), want: badGateway, why: "RFC 9112, 2.2: a bare LF may be accepted, and is not"},
		{name: "response with a chunk longer than its size", reply: inChunks("3\r\nhello\r\n0\r\n\r\n"), want: badGateway, why: "RFC 9112, 7.1: CRLF behind the data"},
		{name: "response with an ill-formed trailer", reply: inChunks("5\r\nhello\r\n0\r\nX : y\r\n\r\n"), varies: map[string]string{"haproxy": "502, kept, or passed: not always the same"}, want: badGateway, why: "RFC 9112, 5.1 and 7.1.2"},
		{name: "response with a trailer of 16 KiB", reply: inChunks("5\r\nhello\r\n0\r\nX: " + strings.Repeat("y", 16<<10) + "\r\n\r\n"), want: badGateway, why: "RFC 9110, 5.4: trailers may be limited"},
		{name: "chunked response byte by byte", reply: inChunks("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), dripping: true, want: passed, why: "RFC 9112, 2.2: a message is a sequence of bytes, however they arrive"},
		{name: "response with a bad chunk far behind", reply: inChunks("8000\r\n" + strings.Repeat("a", 0x8000) + "\r\n8000\r\n" + strings.Repeat("b", 0x8000) + "\r\nx\r\n"), want: cutOff, why: "RFC 9112, 8: a response that is cut off must show it"},
	},
}
