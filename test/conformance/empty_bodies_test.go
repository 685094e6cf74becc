package conformance

import "fmt"

var emptyBodies = topic{
	name:  "Responses without a body",
	about: "A response to HEAD, a 204 and a 304 have no body, whatever their fields say. What a backend sends all the same is never somebody else's response.",
	messages: []message{
		{name: "HEAD with a length", send: line("HEAD /case HTTP/1.1"), reply: ok("Content-Length: 5\r\n", ""), want: passed, why: "RFC 9110, 9.3.2"},
		{name: "HEAD with chunked coding", send: line("HEAD /case HTTP/1.1"), reply: inChunks(""), want: passed, got: ok("", ""), why: "RFC 9112, 6.1 and 6.3 (1): any recipient may remove the coding then"},
		{name: "HEAD with a body", send: line("HEAD /case HTTP/1.1"), reply: ok("Content-Length: 5\r\n", "hello"), fresh: true, want: passed, got: ok("Content-Length: 5\r\n", ""), why: "RFC 9112, 6.3 (1): what comes behind belongs to nobody"},
		{name: "HEAD with a response for a body", send: line("HEAD /case HTTP/1.1"), reply: ok(fmt.Sprintf("Content-Length: %d\r\n", len(split)), split), fresh: true, want: passed, got: ok(fmt.Sprintf("Content-Length: %d\r\n", len(split)), ""), why: "RFC 9112, 6.3 (1): what comes behind belongs to nobody"},
		{name: "HEAD with two lengths", send: line("HEAD /case HTTP/1.1"), reply: ok("Content-Length: 5\r\nContent-Length: 6\r\n", ""), want: badGateway, why: responseLengthRule},
		{name: "204", reply: "HTTP/1.1 204 No Content\r\nX-Origin: script\r\n\r\n", want: passed, why: "RFC 9112, 6.3 (1)"},
		{name: "204 with a length of 0", reply: "HTTP/1.1 204 No Content\r\nX-Origin: script\r\nContent-Length: 0\r\n\r\n", want: passed, got: "HTTP/1.1 204 No Content\r\nX-Origin: script\r\n\r\n", why: "RFC 9110, 8.6: no Content-Length in a 204"},
		{name: "204 with a body", reply: "HTTP/1.1 204 No Content\r\nX-Origin: script\r\nContent-Length: 5\r\n\r\nhello", fresh: true, want: passed, got: "HTTP/1.1 204 No Content\r\nX-Origin: script\r\n\r\n", why: "RFC 9112, 6.3 (1): what comes behind belongs to nobody"},
		{name: "204 with chunks", reply: "HTTP/1.1 204 No Content\r\nX-Origin: script\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", fresh: true, want: passed, got: "HTTP/1.1 204 No Content\r\nX-Origin: script\r\n\r\n", why: "RFC 9112, 6.1: no coding in a 204"},
		{name: "204 with a response behind it", reply: "HTTP/1.1 204 No Content\r\nX-Origin: script\r\n\r\n" + split, fresh: true, want: passed, got: "HTTP/1.1 204 No Content\r\nX-Origin: script\r\n\r\n", why: "RFC 9112, 6.3 (1): what comes behind belongs to nobody"},
		{name: "304 with a length", send: get("If-None-Match: \"a\"\r\n"), reply: "HTTP/1.1 304 Not Modified\r\nX-Origin: script\r\nContent-Length: 5\r\n\r\n", want: passed, why: "RFC 9110, 8.6: the length of what was not sent"},
		{name: "304 with a body", send: get("If-None-Match: \"a\"\r\n"), reply: "HTTP/1.1 304 Not Modified\r\nX-Origin: script\r\nContent-Length: 5\r\n\r\nhello", fresh: true, want: passed, got: "HTTP/1.1 304 Not Modified\r\nX-Origin: script\r\nContent-Length: 5\r\n\r\n", why: "RFC 9112, 6.3 (1): what comes behind belongs to nobody"},
		{name: "304 with chunks", send: get("If-None-Match: \"a\"\r\n"), reply: "HTTP/1.1 304 Not Modified\r\nX-Origin: script\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", fresh: true, want: passed, got: "HTTP/1.1 304 Not Modified\r\nX-Origin: script\r\n\r\n", why: "RFC 9112, 6.1 and 6.3 (1): what comes behind belongs to nobody"},
		{name: "304 with length and chunks", send: get("If-None-Match: \"a\"\r\n"), reply: "HTTP/1.1 304 Not Modified\r\nX-Origin: script\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", want: badGateway, why: "RFC 9112, 6.3 (3): ought to be handled as an error"},
		{name: "205 with a body", reply: "HTTP/1.1 205 Reset Content\r\nX-Origin: script\r\nContent-Length: 5\r\n\r\nhello", want: passed, why: "RFC 9112, 6.3: a 205 is framed like any other"},
	},
}
