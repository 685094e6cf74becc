package conformance

var endings = topic{
	name:  "Responses that end too early, or by the end of the connection",
	about: "A response that is cut off is never made to look whole: the connection ends short of the length, without the last chunk, or, where only the end delimits, with a reset.",
	messages: []message{
		{name: "response to the end of the connection", reply: ok("", "hello"), finish: closed, want: passedLast, got: ok(closing, "hello"), why: "RFC 9112, 6.3 (8)"},
		{name: "response to the end of the connection, of HTTP/1.0", reply: "HTTP/1.0 200 OK\r\nX-Origin: script\r\n\r\nhello", finish: closed, want: passedLast, got: ok(closing, "hello"), why: "RFC 9112, 6.3 (8)"},
		{name: "response to the end of the connection, to HTTP/1.0", send: "GET /case HTTP/1.0\r\n" + host + "Connection: keep-alive\r\n\r\n", saw: []string{getCase}, reply: ok("", "hello"), finish: closed, want: passedLast, got: ok(closing, "hello"), why: "RFC 9112, 6.3 (8)"},
		{name: "response to the end of the connection, which is a reset", reply: ok("", "hello"), finish: reset, want: cutOff, why: "RFC 9112, 8: only a reset shows that it is not whole"},
		{name: "response short of its length", reply: measured("50"), finish: closed, want: cutOff, why: "RFC 9112, 8: incomplete"},
		{name: "response short of its length, with a response in it", reply: ok("Content-Length: 500\r\n", split), finish: closed, want: cutOff, why: "RFC 9112, 8: incomplete"},
		{name: "response short of its length, reset", reply: measured("50"), finish: reset, want: cutOff, why: "RFC 9112, 8: incomplete"},
		{name: "response short of its length, then silence", reply: measured("50"), slow: true, want: cutOff, why: "RFC 9112, 8: incomplete; backend_idle"},
		{name: "response without its last chunk", reply: inChunks("5\r\nhello\r\n"), finish: closed, want: cutOff, why: "RFC 9112, 8: incomplete"},
		{name: "response within a chunk", reply: inChunks("50\r\nhello"), finish: closed, want: cutOff, why: "RFC 9112, 8: incomplete"},
		{name: "response without its final CRLF", reply: inChunks("5\r\nhello\r\n0\r\n"), finish: closed, want: cutOff, why: "RFC 9112, 8: incomplete"},
		{name: "chunked response cut off to HTTP/1.0", send: "GET /case HTTP/1.0\r\n" + host + "\r\n", saw: []string{getCase}, reply: inChunks("5\r\nhello\r\n"), finish: closed, want: cutOff, why: "RFC 9112, 8: only a reset shows that it is not whole"},
		{name: "no response", finish: closed, want: badGateway, why: "RFC 9110, 15.6.3"},
		{name: "reset in place of a response", finish: reset, want: badGateway, why: "RFC 9110, 15.6.3"},
		{name: "half a status line", reply: "HTTP/1.1 20", finish: closed, want: badGateway, why: "RFC 9112, 8: an incomplete head is no response"},
		{name: "half a head", reply: "HTTP/1.1 200 OK\r\nX-Origin: script\r\nContent-Le", finish: closed, want: badGateway, why: "RFC 9112, 8: an incomplete head is no response"},
		{name: "half a head, then silence", reply: "HTTP/1.1 200 OK\r\nX-Origin: script\r\nContent-Le", slow: true, want: "504, kept", why: "backend_response"},
		{name: "no response to a POST", send: post("Content-Length: 5\r\n", "hello"), finish: closed, want: badGateway, why: "RFC 9110, 9.2.2: a POST is not repeated"},
	},
}
