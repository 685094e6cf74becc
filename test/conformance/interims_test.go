package conformance

import "strings"

var interims = topic{
	name:  "Interim responses",
	about: "1xx are forwarded to HTTP/1.1 clients, 32 of them at most. A 101 that was not asked for is a 502.",
	messages: []message{
		{name: "103 before the response", reply: "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + measured("5"), want: "103, passed, kept", why: "RFC 8297"},
		{name: "several 1xx", reply: "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nConnection: X\r\nX: y\r\nLink: a\r\n\r\n" + measured("5"), want: "102, 103, passed, kept", got: "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + measured("5"), why: "RFC 9110, 15.2 and 7.6.1"},
		{name: "100 that was not asked for", reply: "HTTP/1.1 100 Continue\r\n\r\n" + measured("5"), want: "100, passed, kept", why: "RFC 9110, 15.2: a client takes 1xx that it does not expect"},
		{name: "103 to HTTP/1.0", send: "GET /case HTTP/1.0\r\n" + host + "\r\n", saw: []string{getCase}, reply: "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + measured("5"), want: passedLast, got: ok("Content-Length: 5\r\n"+closing, "hello"), why: "RFC 9110, 15.2: not to HTTP/1.0"},
		{name: "1xx with a length", reply: "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nLink: a\r\n\r\n" + measured("5"), want: "103, passed, kept", got: "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + measured("5"), why: "RFC 9110, 8.6: no Content-Length in 1xx; it has no body"},
		{name: "1xx with chunks", reply: "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n" + measured("5"), want: "103, passed, kept", got: "HTTP/1.1 103 Early Hints\r\n\r\n" + measured("5"), why: "RFC 9112, 6.1: no coding in 1xx; it has no body"},
		{name: "32 interim responses", reply: strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 32) + measured("5"), want: "103 × 32, passed, kept", why: "RFC 9110, 15.2: one or more"},
		{name: "storm of interim responses", reply: strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1000) + measured("5"), want: "103 × 32, 502, kept", why: "RFC 9110, 15.2: one or more; what never ends is cut after 32"},
		{name: "interim responses to HTTP/1.0 without end", send: "GET /case HTTP/1.0\r\n" + host + "\r\n", saw: []string{getCase}, reply: strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1000), want: "502, closed", why: "RFC 9110, 15.2: one or more; what never ends is cut after 32"},
		{name: "interim response, then the end", reply: "HTTP/1.1 103 Early Hints\r\n\r\n", finish: closed, want: "103, 502, kept", why: "RFC 9110, 15.2: a final response must follow"},
		{name: "101 that was not asked for", reply: "HTTP/1.1 101 Switching Protocols\r\nX-Origin: script\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", want: badGateway, why: "RFC 9110, 7.8: only to what was asked for"},
		{name: "101 to h2c", send: get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"), saw: []string{getCase}, reply: "HTTP/1.1 101 Switching Protocols\r\nX-Origin: script\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", want: badGateway, why: "RFC 9110, 7.8: h2c was not forwarded, so nobody asked for it"},
	},
}
