package conformance

import "strings"

const (
	methodRule   = "RFC 9110, 9.1: method = token"
	forwardsRule = "RFC 9110, 7.6.2: it is lessened at each hop"
)

var methods = topic{
	name:  "Methods",
	about: "Any token of at most 64 bytes is a method and is forwarded; CONNECT is not.",
	messages: []message{
		{name: "method in lower case", send: line("get /case HTTP/1.1"), want: forwarded, why: "RFC 9110, 9.1: methods are case-sensitive, unknown ones are the origin's"},
		{name: "unknown method", send: line("BREW /case HTTP/1.1"), want: forwarded, why: "RFC 9110, 9.1: unknown methods are the origin's"},
		{name: "every byte of a token as a method", send: line("M-SEARCH!#$%&'*+.^_`|~ /case HTTP/1.1"), want: forwarded, why: methodRule},
		{name: "TRACE", send: line("TRACE /case HTTP/1.1"), want: forwarded, why: "RFC 9110, 9.3.8: the origin's to refuse"},
		{name: "TRACE with no hop left", send: "TRACE /case HTTP/1.1\r\n" + host + "Max-Forwards: 0\r\n\r\n", want: "405, kept", why: "RFC 9110, 7.6.2: it must not be forwarded; 9.3.8: repeating it is optional"},
		{name: "TRACE with a hop left", send: "TRACE /case HTTP/1.1\r\n" + host + "Max-Forwards: 1\r\n\r\n", saw: []string{"TRACE /case HTTP/1.1\r\n" + host + "Max-Forwards: 0\r\n\r\n"}, want: forwarded, why: forwardsRule},
		{name: "OPTIONS with no hop left", send: "OPTIONS /case HTTP/1.1\r\n" + host + "Max-Forwards: 0\r\n\r\n", want: "200, kept", why: "RFC 9110, 7.6.2: it is answered here"},
		{name: "OPTIONS with hops left", send: "OPTIONS /case HTTP/1.1\r\n" + host + "max-forwards: 010\r\n\r\n", saw: []string{"OPTIONS /case HTTP/1.1\r\n" + host + "Max-Forwards: 9\r\n\r\n"}, want: forwarded, why: forwardsRule},
		{name: "GET with no hop left", send: "GET /case HTTP/1.1\r\n" + host + "Max-Forwards: 0\r\n\r\n", want: forwarded, why: "RFC 9110, 7.6.2: it counts in TRACE and OPTIONS alone"},
		{name: "TRACE with less than no hop left", send: "TRACE /case HTTP/1.1\r\n" + host + "Max-Forwards: -1\r\n\r\n", want: "400, kept", why: "RFC 9110, 7.6.2: Max-Forwards = 1*DIGIT"},
		{name: "OPTIONS with two counts of hops", send: "OPTIONS /case HTTP/1.1\r\n" + host + "Max-Forwards: 1\r\nMax-Forwards: 0\r\n\r\n", want: "400, kept", why: "RFC 9110, 5.3: no list, so one line"},
		{name: "OPTIONS of a path", send: line("OPTIONS /case HTTP/1.1"), want: forwarded, why: "RFC 9110, 9.3.7"},
		{name: "DELETE with a body", send: "DELETE /case HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello", want: forwarded, why: "RFC 9110, 9.3.5: content has no meaning, but is there"},
		{name: "POST without a length", send: post("", ""), want: forwarded, why: "RFC 9112, 6.3 (7): no length, no body"},
		{name: "POST without a length, but with bytes", send: post("", "hello\r\n\r\n"), want: "forwarded; 400, closed", saw: []string{post("", "")}, why: "RFC 9112, 6.3 (7): no length, no body; the bytes are the next request"},
		{name: "HEAD", send: line("HEAD /case HTTP/1.1"), want: forwarded, why: "RFC 9110, 9.3.2"},
		{name: "CONNECT", send: "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n", want: "501, closed", why: "RFC 9110, 9.3.6: only proxies that tunnel take it"},
		{name: "CONNECT of a path", send: line("CONNECT /case HTTP/1.1"), want: "501, closed", why: "RFC 9110, 9.3.6: only proxies that tunnel take it"},
		{name: "CONNECT with a length", send: "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n" + lengthOfHidden + "\r\n" + hidden, want: "501, closed", why: "RFC 9110, 9.3.6: its content has no meaning"},
		{name: "no method", send: line(" /case HTTP/1.1"), want: refused, why: methodRule},
		{name: "space before the method", send: line(" GET /case HTTP/1.1"), want: refused, why: methodRule},
		{name: "method with a parenthesis", send: line("GE(T /case HTTP/1.1"), want: refused, why: methodRule},
		{name: "method with a colon", send: line("GET: /case HTTP/1.1"), want: refused, why: methodRule},
		{name: "method with NUL", send: line("GE\x00T /case HTTP/1.1"), want: refused, why: methodRule},
		{name: "method with a control byte", send: line("\x01GET /case HTTP/1.1"), want: refused, why: methodRule},
		{name: "method above ASCII", send: line("G\xc3\x89T /case HTTP/1.1"), want: refused, why: methodRule},
		{name: "method of 65 bytes", send: line(strings.Repeat("M", 65) + " /case HTTP/1.1"), want: refused, why: "RFC 9112, 3: a server may limit the method"},
		{name: "tab behind the method", send: line("GET\t/case HTTP/1.1"), want: refused, why: "RFC 9112, 3: request-line = method SP"},
		{name: "two spaces behind the method", send: line("GET  /case HTTP/1.1"), want: refused, why: "RFC 9112, 3: request-line = method SP"},
		{name: "method alone", send: "GET\r\n" + host + "\r\n", want: refused, why: "RFC 9112, 3"},
	},
}
