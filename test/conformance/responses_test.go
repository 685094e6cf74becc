package conformance

import (
	"fmt"
	"strings"
)

// closing is the line that weir adds to the last response of a connection.
const closing = "Connection: close\r\n"

// split is a second response within the content of a first.
const split = "HTTP/1.1 200 OK\r\nX-Origin: split\r\nContent-Length: 4\r\n\r\nevil"

var (
	lengthOfSplit = fmt.Sprintf("Content-Length: %d\r\n", len("0\r\n\r\n"+split))
	hiddenSplit   = "0\r\n\r\n" + split
)

const (
	responseLengthRule = "RFC 9112, 6.3 (5): 502 for an invalid Content-Length of a response"
	responseCodingRule = "RFC 9112, 6.1 and 6.3 (4); SPEC 7: the same faults from a backend are a 502"
)

// measured is a reply of five bytes with this for its length.
func measured(value string) string { return ok("Content-Length: "+value+"\r\n", "hello") }

var responseLengths = topic{
	name:  "Content-Length of a response",
	about: "As of a request; what is wrong with it is a 502, and the connection to the backend is closed. The client's connection goes on: it has sent nothing wrong.",
	messages: []message{
		{name: "response with a length", reply: measured("5"), want: passed, why: "RFC 9112, 6.2"},
		{name: "response of length 0", reply: ok("Content-Length: 0\r\n", ""), want: passed, why: "RFC 9112, 6.2"},
		{name: "response with the same length twice", reply: ok("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), want: badGateway, why: "RFC 9112, 6.3 (5): may be refused; SPEC 7"},
		{name: "response with two lengths", reply: ok("Content-Length: 5\r\nContent-Length: 50\r\n", "hello"), want: badGateway, why: responseLengthRule},
		{name: "response with two lengths and another response", reply: ok("Content-Length: 5\r\n"+lengthOfSplit, "hello"+split), want: badGateway, why: responseLengthRule},
		{name: "response with a list of lengths", reply: measured("5, 5"), want: badGateway, why: "RFC 9112, 6.3 (5): may be refused; SPEC 7"},
		{name: "response with a signed length", reply: measured("+5"), want: badGateway, why: responseLengthRule},
		{name: "response with a negative length", reply: measured("-5"), want: badGateway, why: responseLengthRule},
		{name: "response with an empty length", reply: measured(""), want: badGateway, why: responseLengthRule},
		{name: "response with a hexadecimal length", reply: measured("0x5"), want: badGateway, why: responseLengthRule},
		{name: "response with a length that wraps", reply: measured("18446744073709551621"), want: badGateway, why: responseLengthRule},
		{name: "response with a length of words", reply: measured("five"), want: badGateway, why: responseLengthRule},
		{name: "response with a space before the colon of its length", reply: ok("Content-Length : 5\r\n", "hello"), want: badGateway, why: "RFC 9112, 5.1; SPEC 7: ambiguous, so it is not repaired"},
	},
}

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
		{name: "response with length and chunks", reply: ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), want: badGateway, why: "RFC 9112, 6.3 (3): ought to be handled as an error; SPEC 7"},
		{name: "response with chunks and length, and another response", reply: ok("Transfer-Encoding: chunked\r\n"+lengthOfSplit, hiddenSplit), want: badGateway, why: "RFC 9112, 6.3 (3): ought to be handled as an error; SPEC 7"},
		{name: "response coded gzip, chunked", reply: ok("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), want: badGateway, why: responseCodingRule},
		{name: "response coded chunked twice", reply: ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), want: badGateway, why: responseCodingRule},
		{name: "response coded identity", reply: ok("Transfer-Encoding: identity\r\n", "hello"), finish: closed, want: badGateway, why: responseCodingRule},
		{name: "response coded xchunked", reply: ok("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), finish: closed, want: badGateway, why: responseCodingRule},
		{name: "response coded behind a vertical tab", reply: ok("Transfer-Encoding: \vchunked\r\n", "0\r\n\r\n"), finish: closed, want: badGateway, why: "RFC 9110, 5.5: control byte in a value"},
		{name: "chunked response in HTTP/1.0", reply: "HTTP/1.0 200 OK\r\nX-Origin: script\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", finish: closed, want: badGateway, why: "RFC 9112, 6.1: a coding in HTTP/1.0 is faulty framing"},
		{name: "response with a bad chunk size", reply: inChunks("hello\r\n0\r\n\r\n"), want: badGateway, why: "RFC 9112, 7.1"},
		{name: "response with a chunk size that wraps", reply: inChunks("10000000000000005\r\nhello\r\n0\r\n\r\n"), want: badGateway, why: "RFC 9112, 7.1: guard against overflow"},
		{name: "response with a negative chunk size", reply: inChunks("-1\r\nhello\r\n0\r\n\r\n"), want: badGateway, why: "RFC 9112, 7.1"},
		{name: "response with a bare LF behind a chunk size", reply: inChunks("5\nhello\r\n0\r\n\r\n"), want: badGateway, why: "SPEC 7: bare LF"},
		{name: "response with a chunk longer than its size", reply: inChunks("3\r\nhello\r\n0\r\n\r\n"), want: badGateway, why: "RFC 9112, 7.1: CRLF behind the data"},
		{name: "response with an ill-formed trailer", reply: inChunks("5\r\nhello\r\n0\r\nX : y\r\n\r\n"), want: badGateway, why: "RFC 9112, 5.1 and 7.1.2"},
		{name: "response with a bad chunk far behind", reply: inChunks("8000\r\n" + strings.Repeat("a", 0x8000) + "\r\n8000\r\n" + strings.Repeat("b", 0x8000) + "\r\nx\r\n"), want: cutOff, why: "RFC 9112, 8: a response that is cut off must show it; SPEC 7"},
	},
}

var responseHeads = topic{
	name:  "Heads of responses",
	about: "As strict as with requests: an answer that could be read in two ways is a 502. That covers fields in which a backend lets somebody put line ends.",
	messages: []message{
		{name: "no reason", reply: "HTTP/1.1 200 \r\nX-Origin: script\r\nContent-Length: 0\r\n\r\n", want: passed, why: "RFC 9112, 4: the reason may be empty"},
		{name: "no reason and no space", reply: "HTTP/1.1 200\r\nX-Origin: script\r\nContent-Length: 0\r\n\r\n", want: passed, got: "HTTP/1.1 200 \r\nX-Origin: script\r\nContent-Length: 0\r\n\r\n", why: "RFC 9112, 4: servers leave the space out; it is put back"},
		{name: "status that nobody knows", reply: "HTTP/1.1 299 Fine\r\nX-Origin: script\r\nContent-Length: 0\r\n\r\n", want: passed, why: "RFC 9110, 15: the class counts"},
		{name: "order and case of the fields of a response", reply: ok("b: 1\r\nSet-Cookie: a=1\r\nA:2\r\nset-cookie: a=2\r\nDate: x\r\nContent-Length: 0\r\n", ""), want: passed, why: "SPEC 7: order and case, and Date, are left alone"},
		{name: "HTTP/1.0 response", reply: "HTTP/1.0 200 OK\r\nX-Origin: script\r\nContent-Length: 5\r\n\r\nhello", finish: closed, want: passed, got: measured("5"), why: "RFC 9110, 2.5: weir answers in its own version"},
		{name: "fields of one hop in a response", reply: ok("Connection: X-A, close\r\nX-A: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\nUpgrade: h2c\r\nContent-Length: 0\r\n", ""), finish: closed, want: passed, got: ok("Content-Length: 0\r\n", ""), why: hopRule},
		{name: "a response names its length in Connection", reply: ok("Connection: Content-Length\r\nContent-Length: 5\r\n", "hello"), want: passed, got: measured("5"), why: "RFC 9110, 7.6.1: a field for all recipients is no connection option"},
		{name: "garbage", reply: "\x00\x01\x02\x03garbage\r\n\r\n", want: badGateway, why: "RFC 9112, 4"},
		{name: "body without a head", reply: "<html>hello</html>\r\n\r\n", finish: closed, want: badGateway, why: "RFC 9112, 4: HTTP/0.9 is not spoken"},
		{name: "empty line before the response", reply: "\r\n" + measured("5"), want: badGateway, why: "RFC 9112, 2.2: only before requests"},
		{name: "ICY", reply: "ICY 200 OK\r\nX-Origin: script\r\n\r\n", finish: closed, want: badGateway, why: "RFC 9112, 4"},
		{name: "response of HTTP/2.0", reply: "HTTP/2.0 200 OK\r\nX-Origin: script\r\nContent-Length: 0\r\n\r\n", want: badGateway, why: "RFC 9112, 2.3"},
		{name: "version of a response in lower case", reply: "http/1.1 200 OK\r\nX-Origin: script\r\nContent-Length: 0\r\n\r\n", want: badGateway, why: "RFC 9112, 2.3: HTTP-name is case-sensitive"},
		{name: "status of two digits", reply: "HTTP/1.1 20 OK\r\nX-Origin: script\r\nContent-Length: 0\r\n\r\n", want: badGateway, why: "RFC 9112, 4: status-code = 3DIGIT"},
		{name: "status of four digits", reply: "HTTP/1.1 2000 OK\r\nX-Origin: script\r\nContent-Length: 0\r\n\r\n", want: badGateway, why: "RFC 9112, 4: status-code = 3DIGIT"},
		{name: "status 600", reply: "HTTP/1.1 600 OK\r\nX-Origin: script\r\nContent-Length: 0\r\n\r\n", want: badGateway, why: "RFC 9110, 15: outside 100 to 599 is invalid"},
		{name: "status 000", reply: "HTTP/1.1 000 OK\r\nX-Origin: script\r\nContent-Length: 0\r\n\r\n", want: badGateway, why: "RFC 9110, 15: outside 100 to 599 is invalid"},
		{name: "status and reason in one word", reply: "HTTP/1.1 200OK\r\nX-Origin: script\r\nContent-Length: 0\r\n\r\n", want: badGateway, why: "RFC 9112, 4"},
		{name: "NUL in the reason", reply: "HTTP/1.1 200 O\x00K\r\nX-Origin: script\r\nContent-Length: 0\r\n\r\n", want: badGateway, why: "RFC 9112, 4"},
		{name: "bare LF everywhere in a response", reply: "HTTP/1.1 200 OK\nX-Origin: script\nContent-Length: 0\n\n", want: badGateway, why: "SPEC 7: bare LF"},
		{name: "bare LF in a response", reply: ok("X: y\nContent-Length: 0\r\n", ""), want: badGateway, why: "SPEC 7: bare LF"},
		{name: "bare CR in a response, to split it", reply: ok("X: y\r\rSet-Cookie: evil=1\r\nContent-Length: 0\r\n", ""), want: badGateway, why: "RFC 9112, 2.2: bare CR"},
		{name: "bare LF in a response, to split it", reply: ok("X: y\n\nHTTP/1.1 200 OK\nX-Origin: split\nContent-Length: 0\r\n", ""), want: badGateway, why: "SPEC 7: bare LF"},
		{name: "folded field in a response", reply: ok("X: y\r\n z\r\nContent-Length: 0\r\n", ""), want: badGateway, why: "RFC 9112, 5.2: 502 for obs-fold"},
		{name: "NUL in a field of a response", reply: ok("X: y\x00z\r\nContent-Length: 0\r\n", ""), want: badGateway, why: "RFC 9110, 5.5"},
		{name: "control byte in a field of a response", reply: ok("X: \x1b[31m\r\nContent-Length: 0\r\n", ""), want: badGateway, why: "RFC 9110, 5.5"},
		{name: "space before the colon in a response", reply: ok("X : y\r\nContent-Length: 0\r\n", ""), want: badGateway, why: "RFC 9112, 5.1; SPEC 7: refused rather than repaired"},
		{name: "no colon in a response", reply: ok("X\r\nContent-Length: 0\r\n", ""), want: badGateway, why: "RFC 9112, 5"},
		{name: "empty name in a response", reply: ok(": y\r\nContent-Length: 0\r\n", ""), want: badGateway, why: nameRule},
		{name: "head of a response of 20 KiB", reply: ok("X: "+strings.Repeat("y", 20<<10)+"\r\nContent-Length: 0\r\n", ""), want: passed, why: "SPEC 10: max_response_header"},
		{name: "head of a response above 64 KiB", reply: ok("X: "+strings.Repeat("y", 64<<10)+"\r\nContent-Length: 0\r\n", ""), want: badGateway, why: "SPEC 10: max_response_header"},
		{name: "head of a response that does not end", reply: "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 100) + "X: " + strings.Repeat("y", 80<<10), want: badGateway, why: "SPEC 10: max_response_header"},
		{name: "128 fields in a response", reply: ok(strings.Repeat("X: y\r\n", 126)+"Content-Length: 0\r\n", ""), want: passed, why: "SPEC 10: max_header_count"},
		{name: "129 fields in a response", reply: ok(strings.Repeat("X: y\r\n", 127)+"Content-Length: 0\r\n", ""), want: badGateway, why: "SPEC 10: max_header_count"},
	},
}

var interims = topic{
	name:  "Interim responses",
	about: "1xx are forwarded to HTTP/1.1 clients, 32 of them at most. A 101 that was not asked for is a 502.",
	messages: []message{
		{name: "103 before the response", reply: "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + measured("5"), want: "103, passed, kept", why: "RFC 8297; SPEC 7"},
		{name: "several 1xx", reply: "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nConnection: X\r\nX: y\r\nLink: a\r\n\r\n" + measured("5"), want: "102, 103, passed, kept", got: "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + measured("5"), why: "RFC 9110, 15.2 and 7.6.1"},
		{name: "100 that was not asked for", reply: "HTTP/1.1 100 Continue\r\n\r\n" + measured("5"), want: "100, passed, kept", why: "RFC 9110, 15.2: a client takes 1xx that it does not expect"},
		{name: "103 to HTTP/1.0", send: "GET /case HTTP/1.0\r\n" + host + "\r\n", saw: []string{getCase}, reply: "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + measured("5"), want: passedLast, got: ok("Content-Length: 5\r\n"+closing, "hello"), why: "RFC 9110, 15.2: not to HTTP/1.0"},
		{name: "1xx with a length", reply: "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nLink: a\r\n\r\n" + measured("5"), want: "103, passed, kept", got: "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + measured("5"), why: "RFC 9110, 8.6: no Content-Length in 1xx; it has no body"},
		{name: "1xx with chunks", reply: "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n" + measured("5"), want: "103, passed, kept", got: "HTTP/1.1 103 Early Hints\r\n\r\n" + measured("5"), why: "RFC 9112, 6.1: no coding in 1xx; it has no body"},
		{name: "32 interim responses", reply: strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 32) + measured("5"), want: strings.Repeat("103, ", 32) + passed, why: "RFC 9110, 15.2: one or more"},
		{name: "storm of interim responses", reply: strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1000) + measured("5"), want: strings.Repeat("103, ", 32) + badGateway, why: "SPEC 7: what never ends is cut; 32 are enough"},
		{name: "interim responses to HTTP/1.0 without end", send: "GET /case HTTP/1.0\r\n" + host + "\r\n", saw: []string{getCase}, reply: strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1000), want: "502, closed", why: "SPEC 7: what never ends is cut; 32 are enough"},
		{name: "interim response, then the end", reply: "HTTP/1.1 103 Early Hints\r\n\r\n", finish: closed, want: "103, 502, kept", why: "RFC 9110, 15.2: a final response must follow"},
		{name: "101 that was not asked for", reply: "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", want: badGateway, why: "RFC 9110, 7.8: only to what was asked for"},
		{name: "101 to h2c", send: get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"), saw: []string{getCase}, reply: "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", want: badGateway, why: "SPEC 7: h2c is not forwarded, so nobody asked for it"},
	},
}

var emptyBodies = topic{
	name:  "Responses without a body",
	about: "A response to HEAD, a 204 and a 304 have no body, whatever their fields say. What a backend sends all the same is never somebody else's response.",
	messages: []message{
		{name: "HEAD with a length", send: line("HEAD /case HTTP/1.1"), reply: ok("Content-Length: 5\r\n", ""), want: passed, why: "RFC 9110, 9.3.2"},
		{name: "HEAD with chunked coding", send: line("HEAD /case HTTP/1.1"), reply: inChunks(""), want: passed, got: ok("", ""), why: "RFC 9112, 6.1 and 6.3 (1): any recipient may remove the coding then"},
		{name: "HEAD with a body", send: line("HEAD /case HTTP/1.1"), reply: ok("Content-Length: 5\r\n", "hello"), want: passed, got: ok("Content-Length: 5\r\n", ""), why: "RFC 9112, 6.3 (1): what comes behind belongs to nobody"},
		{name: "HEAD with a response for a body", send: line("HEAD /case HTTP/1.1"), reply: ok(fmt.Sprintf("Content-Length: %d\r\n", len(split)), split), want: passed, got: ok(fmt.Sprintf("Content-Length: %d\r\n", len(split)), ""), why: "RFC 9112, 6.3 (1): what comes behind belongs to nobody"},
		{name: "HEAD with two lengths", send: line("HEAD /case HTTP/1.1"), reply: ok("Content-Length: 5\r\nContent-Length: 6\r\n", ""), want: badGateway, why: responseLengthRule},
		{name: "204", reply: "HTTP/1.1 204 No Content\r\nX-Origin: script\r\n\r\n", want: passed, why: "RFC 9112, 6.3 (1)"},
		{name: "204 with a length of 0", reply: "HTTP/1.1 204 No Content\r\nX-Origin: script\r\nContent-Length: 0\r\n\r\n", want: passed, got: "HTTP/1.1 204 No Content\r\nX-Origin: script\r\n\r\n", why: "RFC 9110, 8.6: no Content-Length in a 204"},
		{name: "204 with a body", reply: "HTTP/1.1 204 No Content\r\nX-Origin: script\r\nContent-Length: 5\r\n\r\nhello", want: passed, got: "HTTP/1.1 204 No Content\r\nX-Origin: script\r\n\r\n", why: "RFC 9112, 6.3 (1): what comes behind belongs to nobody"},
		{name: "204 with chunks", reply: "HTTP/1.1 204 No Content\r\nX-Origin: script\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", want: passed, got: "HTTP/1.1 204 No Content\r\nX-Origin: script\r\n\r\n", why: "RFC 9112, 6.1: no coding in a 204"},
		{name: "204 with a response behind it", reply: "HTTP/1.1 204 No Content\r\nX-Origin: script\r\n\r\n" + split, want: passed, got: "HTTP/1.1 204 No Content\r\nX-Origin: script\r\n\r\n", why: "RFC 9112, 6.3 (1): what comes behind belongs to nobody"},
		{name: "304 with a length", send: get("If-None-Match: \"a\"\r\n"), reply: "HTTP/1.1 304 Not Modified\r\nX-Origin: script\r\nContent-Length: 5\r\n\r\n", want: passed, why: "RFC 9110, 8.6: the length of what was not sent"},
		{name: "304 with a body", send: get("If-None-Match: \"a\"\r\n"), reply: "HTTP/1.1 304 Not Modified\r\nX-Origin: script\r\nContent-Length: 5\r\n\r\nhello", want: passed, got: "HTTP/1.1 304 Not Modified\r\nX-Origin: script\r\nContent-Length: 5\r\n\r\n", why: "RFC 9112, 6.3 (1): what comes behind belongs to nobody"},
		{name: "205 with a body", reply: "HTTP/1.1 205 Reset Content\r\nX-Origin: script\r\nContent-Length: 5\r\n\r\nhello", want: passed, why: "RFC 9112, 6.3: a 205 is framed like any other"},
	},
}

var leftovers = topic{
	name:  "Bytes behind a response",
	about: "Whatever a backend sends behind its response closes that connection: the next request, of whomever, gets its own answer on another one.",
	messages: []message{
		{name: "bytes behind a length", reply: measured("5") + "garbage", want: passed, got: measured("5"), why: "RFC 9112, 6.3: what comes behind belongs to nobody; SPEC 7"},
		{name: "response behind a length", reply: measured("5") + split, want: passed, got: measured("5"), why: "RFC 9112, 6.3: what comes behind belongs to nobody; SPEC 7"},
		{name: "response behind a length of 0", reply: ok("Content-Length: 0\r\n", "") + split, want: passed, got: ok("Content-Length: 0\r\n", ""), why: "RFC 9112, 6.3: what comes behind belongs to nobody; SPEC 7"},
		{name: "response behind the last chunk", reply: inChunks("5\r\nhello\r\n0\r\n\r\n") + split, want: passed, got: inChunks("5\r\nhello\r\n0\r\n\r\n"), why: "RFC 9112, 6.3: what comes behind belongs to nobody; SPEC 7"},
		{name: "CRLF behind a response", reply: measured("5") + "\r\n", want: passed, got: measured("5"), why: "RFC 9112, 2.2: an empty line is ignored before requests only"},
		{name: "response that comes late", send: get(closing), saw: []string{getCase}, reply: measured("5"), late: split, want: passedLast, got: ok("Content-Length: 5\r\n"+closing, "hello"), why: "RFC 9112, 9.3: an idle connection with bytes on it is not used again; SPEC 7"},
		{name: "408 that comes late", send: get(closing), saw: []string{getCase}, reply: measured("5"), late: "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n", finish: closed, want: passedLast, got: ok("Content-Length: 5\r\n"+closing, "hello"), why: "RFC 9110, 15.5.9: servers say so on idle connections; SPEC 7"},
		{name: "end of the connection behind a response that keeps it", reply: measured("5"), finish: closed, want: passed, why: "RFC 9112, 9.3: closed connections are noticed before use; SPEC 7"},
	},
}

var endings = topic{
	name:  "Responses that end too early, or by the end of the connection",
	about: "A response that is cut off is never made to look whole: the connection ends short of the length, without the last chunk, or, where only the end delimits, with a reset.",
	messages: []message{
		{name: "response to the end of the connection", reply: ok("", "hello"), finish: closed, want: passedLast, got: ok(closing, "hello"), why: "RFC 9112, 6.3 (8)"},
		{name: "response to the end of the connection, of HTTP/1.0", reply: "HTTP/1.0 200 OK\r\nX-Origin: script\r\n\r\nhello", finish: closed, want: passedLast, got: ok(closing, "hello"), why: "RFC 9112, 6.3 (8)"},
		{name: "response to the end of the connection, to HTTP/1.0", send: "GET /case HTTP/1.0\r\n" + host + "Connection: keep-alive\r\n\r\n", saw: []string{getCase}, reply: ok("", "hello"), finish: closed, want: passedLast, got: ok(closing, "hello"), why: "RFC 9112, 6.3 (8)"},
		{name: "response to the end of the connection, which is a reset", reply: ok("", "hello"), finish: reset, want: cutOff, why: "RFC 9112, 8: only a reset shows that it is not whole; SPEC 7"},
		{name: "response short of its length", reply: measured("50"), finish: closed, want: cutOff, why: "RFC 9112, 8: incomplete; SPEC 7"},
		{name: "response short of its length, with a response in it", reply: ok("Content-Length: 500\r\n", split), finish: closed, want: cutOff, why: "RFC 9112, 8: incomplete; SPEC 7"},
		{name: "response short of its length, reset", reply: measured("50"), finish: reset, want: cutOff, why: "RFC 9112, 8: incomplete; SPEC 7"},
		{name: "response short of its length, then silence", reply: measured("50"), slow: true, want: cutOff, why: "RFC 9112, 8: incomplete; SPEC 10: backend_idle"},
		{name: "response without its last chunk", reply: inChunks("5\r\nhello\r\n"), finish: closed, want: cutOff, why: "RFC 9112, 8: incomplete; SPEC 7"},
		{name: "response within a chunk", reply: inChunks("50\r\nhello"), finish: closed, want: cutOff, why: "RFC 9112, 8: incomplete; SPEC 7"},
		{name: "response without its final CRLF", reply: inChunks("5\r\nhello\r\n0\r\n"), finish: closed, want: cutOff, why: "RFC 9112, 8: incomplete; SPEC 7"},
		{name: "chunked response cut off to HTTP/1.0", send: "GET /case HTTP/1.0\r\n" + host + "\r\n", saw: []string{getCase}, reply: inChunks("5\r\nhello\r\n"), finish: closed, want: cutOff, why: "RFC 9112, 8: only a reset shows that it is not whole; SPEC 7"},
		{name: "no response", finish: closed, want: badGateway, why: "RFC 9110, 15.6.3"},
		{name: "reset in place of a response", finish: reset, want: badGateway, why: "RFC 9110, 15.6.3"},
		{name: "half a status line", reply: "HTTP/1.1 20", finish: closed, want: badGateway, why: "RFC 9112, 8: an incomplete head is no response"},
		{name: "half a head", reply: "HTTP/1.1 200 OK\r\nX-Origin: script\r\nContent-Le", finish: closed, want: badGateway, why: "RFC 9112, 8: an incomplete head is no response"},
		{name: "half a head, then silence", reply: "HTTP/1.1 200 OK\r\nX-Origin: script\r\nContent-Le", slow: true, want: "504, kept", why: "SPEC 10: backend_response"},
		{name: "no response to a POST", send: post("Content-Length: 5\r\n", "hello"), finish: closed, want: badGateway, why: "SPEC 7: a POST is never delivered twice"},
	},
}

const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n"

var switches = topic{
	name:  "Protocol switches",
	about: "After a backend's 101 bytes go both ways, those that came with the heads first.",
	messages: []message{
		{name: "websocket", send: get(upgrade), alone: true, then: "from the client", until: responseBegun, fin: true, saw: []string{get(upgrade)}, reply: "HTTP/1.1 101 Switching Protocols\r\nX-Origin: script\r\n" + upgrade + "\r\n", want: passedLast, why: "RFC 9110, 7.8"},
		{name: "websocket with bytes behind both heads", send: get(upgrade) + "from the client", alone: true, until: responseBegun, fin: true, saw: []string{get(upgrade)}, reply: "HTTP/1.1 101 Switching Protocols\r\nX-Origin: script\r\n" + upgrade + "\r\nfrom the backend", want: passedLast, why: "RFC 9110, 7.8; SPEC 7"},
		{name: "websocket with requests behind the head", send: get(upgrade) + poison, alone: true, until: responseBegun, fin: true, saw: []string{get(upgrade)}, reply: "HTTP/1.1 101 Switching Protocols\r\nX-Origin: script\r\n" + upgrade + "\r\n", want: passedLast, why: "RFC 9110, 7.8: what follows is that protocol"},
		{name: "upgrade that the backend refuses", send: get(upgrade), reply: "HTTP/1.1 426 Upgrade Required\r\nX-Origin: script\r\nContent-Length: 0\r\n\r\n", want: passed, why: "RFC 9110, 7.8: the connection goes on as HTTP/1.1"},
	},
}
