package conformance

const versionRule = "RFC 9112, 2.3: HTTP-version = HTTP-name \"/\" DIGIT \".\" DIGIT"

// old is what the origin sees of an HTTP/1.0 request.
var old = []string{getCase}

var versions = topic{
	name:  "Versions",
	about: "HTTP/1.1 and 1.0, and higher minor versions as 1.1. To the backend weir always speaks 1.1.",
	messages: []message{
		{name: "HTTP/1.0", send: "GET /case HTTP/1.0\r\n" + host + "\r\n", want: lastOne, saw: old, why: "RFC 9112, 9.3: closed unless keep-alive is asked for"},
		{name: "HTTP/1.0 with keep-alive", send: "GET /case HTTP/1.0\r\n" + host + "Connection: keep-alive\r\n\r\n", want: forwarded, saw: old, why: "RFC 9112, 9.3 and C.2.2"},
		{name: "HTTP/1.0 with a body", send: "POST /case HTTP/1.0\r\n" + host + "Content-Length: 5\r\nConnection: keep-alive\r\n\r\nhello", want: forwarded, saw: []string{post("Content-Length: 5\r\n", "hello")}, why: "RFC 9112, 6.2"},
		{name: "HTTP/1.1 with close", send: get("Connection: close\r\n"), want: lastOne, saw: old, why: "RFC 9112, 9.6: nothing behind it is served"},
		{name: "HTTP/1.1 with close in a list and another case", send: get("Connection: x,\tCLOSE ,\r\n"), want: lastOne, saw: old, why: "RFC 9110, 7.6.1: options are case-insensitive"},
		{name: "HTTP/1.1 with close and keep-alive", send: get("Connection: keep-alive\r\nConnection: close\r\n"), want: lastOne, saw: old, why: "RFC 9112, 9.3: close comes first"},
		{name: "HTTP/1.2", send: line("GET /case HTTP/1.2"), want: forwarded, saw: old, why: "RFC 9110, 2.5: a higher minor version is processed as the highest known"},
		{name: "HTTP/1.9", send: line("GET /case HTTP/1.9"), want: forwarded, saw: old, why: "RFC 9110, 2.5: a higher minor version is processed as the highest known"},
		{name: "HTTP/0.9 as a simple request", send: "GET /case\r\n", want: refused, why: "RFC 9112, 3: request-line has a version"},
		{name: "HTTP/0.9 by name", send: line("GET /case HTTP/0.9"), want: "505, closed", why: "RFC 9110, 15.6.6"},
		{name: "HTTP/2.0", send: line("GET /case HTTP/2.0"), want: "505, closed", why: "RFC 9110, 15.6.6"},
		{name: "preface of HTTP/2", send: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", alone: true, want: "505, closed", why: "RFC 9113, 3.4: made to fail on HTTP/1 servers"},
		{name: "HTTP/9.9", send: line("GET /case HTTP/9.9"), want: "505, closed", why: "RFC 9110, 15.6.6"},
		{name: "no version", send: "GET /case \r\n" + host + "\r\n", want: refused, why: versionRule},
		{name: "no minor version", send: line("GET /case HTTP/1"), want: refused, why: versionRule},
		{name: "minor version of two digits", send: line("GET /case HTTP/1.10"), want: refused, why: versionRule},
		{name: "major version of two digits", send: line("GET /case HTTP/01.1"), want: refused, why: versionRule},
		{name: "version with a comma", send: line("GET /case HTTP/1,1"), want: refused, why: versionRule},
		{name: "version in lower case", send: line("GET /case http/1.1"), want: refused, why: "RFC 9112, 2.3: HTTP-name is case-sensitive"},
		{name: "another protocol", send: line("GET /case SIP/2.0"), want: refused, why: versionRule},
		{name: "negative version", send: line("GET /case HTTP/-1.1"), want: refused, why: versionRule},
		{name: "space behind the version", send: line("GET /case HTTP/1.1 "), want: refused, why: "RFC 9112, 3: request-line"},
		{name: "word behind the version", send: line("GET /case HTTP/1.1 x"), want: refused, why: "RFC 9112, 3: request-line"},
		{name: "TLS on a plain listener", send: "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", alone: true, want: refused, why: "RFC 9112, 3: no request line"},
		{name: "a response", send: "HTTP/1.1 200 OK\r\n\r\n", want: refused, why: "RFC 9112, 3: no request line"},
	},
}
