package conformance

const targetRule = "RFC 9112, 3.2: an invalid target is refused with 400"

// asked is the request for a target as the origin sees it.
func asked(target, host string) []string {
	return []string{"GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n"}
}

var targets = topic{
	name: "Targets",
	about: "Origin form is forwarded byte for byte, with whatever escapes but of NUL; absolute form becomes origin form, and its authority replaces Host. " +
		"White space, control bytes, bytes above ASCII and fragments have no place in a target.",
	messages: []message{
		{name: "query", send: line("GET /case?a=b;c&&d=%zz? HTTP/1.1"), want: forwarded, why: "RFC 9112, 3.2: forwarded as it came"},
		{name: "escapes", send: line("GET /case/%2e%2e/%2F%c3%a9 HTTP/1.1"), want: forwarded, why: "RFC 9112, 3.2: forwarded as it came"},
		{name: "NUL in an escape", send: line("GET /case%00x HTTP/1.1"), want: "400, kept", why: "RFC 9110, 17.3: it ends a path for some readers; refused, with whatever routes"},
		{name: "NUL in an escape of the query", send: line("GET /case?a=%00 HTTP/1.1"), want: forwarded, why: "RFC 9112, 3.2: forwarded as it came"},
		{name: "dot segments", send: line("GET /a/../case/./ HTTP/1.1"), want: forwarded, why: "RFC 9112, 3.2: forwarded as it came"},
		{name: "repeated slashes", send: line("GET //case///x HTTP/1.1"), want: forwarded, why: "RFC 9112, 3.2: forwarded as it came"},
		{name: "bytes that URIs do not have", send: line("GET /case\"<>[]\\^`{|} HTTP/1.1"), want: forwarded, why: "RFC 9112, 3.2: forwarded as it came; clients send them"},
		{name: "absolute form", send: line("GET http://a.example/case?x HTTP/1.1"), want: forwarded, saw: asked("/case?x", "a.example"), why: "RFC 9112, 3.2.2"},
		{name: "absolute form, another Host", send: line("GET http://b.example:8080/case HTTP/1.1"), want: forwarded, saw: asked("/case", "b.example:8080"), why: "RFC 9112, 3.2.2: the authority of the target replaces Host"},
		{name: "absolute form, scheme in another case", send: line("GET HTTP://b.example/case HTTP/1.1"), want: forwarded, saw: asked("/case", "b.example"), why: "RFC 9110, 4.2.3: schemes are case-insensitive"},
		{name: "absolute form of https", send: line("GET https://b.example/case HTTP/1.1"), want: forwarded, saw: asked("/case", "b.example"), why: "RFC 9112, 3.2.2"},
		{name: "absolute form without a path", send: line("GET http://b.example HTTP/1.1"), want: forwarded, saw: asked("/", "b.example"), why: "RFC 9112, 3.2.1: an empty path becomes /"},
		{name: "absolute form without a path, with a query", send: line("GET http://b.example?x=y HTTP/1.1"), want: forwarded, saw: asked("/?x=y", "b.example"), why: "RFC 9112, 3.2.1 and 3.2.2: an empty path becomes /"},
		{name: "absolute form of OPTIONS without a path", send: line("OPTIONS http://b.example HTTP/1.1"), want: forwarded, saw: []string{"OPTIONS * HTTP/1.1\r\nHost: b.example\r\n\r\n"}, why: "RFC 9112, 3.2.4: becomes asterisk form"},
		{name: "absolute form without Host", send: "GET http://b.example/case HTTP/1.1\r\n\r\n", want: refused, why: "RFC 9112, 3.2: Host is required"},
		{name: "absolute form in HTTP/1.0 without Host", send: "GET http://b.example/case HTTP/1.0\r\n\r\n", want: lastOne, saw: asked("/case", "b.example"), why: "RFC 9112, 3.2.2"},
		{name: "absolute form with an ill-formed Host", send: "GET http://b.example/case HTTP/1.1\r\nHost: a b\r\n\r\n", want: refused, why: "RFC 9112, 3.2: 400 for an invalid Host"},
		{name: "absolute form without an authority", send: line("GET http:///case HTTP/1.1"), want: refused, why: "RFC 9110, 4.2.1: an empty host is invalid"},
		{name: "absolute form with a user", send: line("GET http://u:p@b.example/case HTTP/1.1"), want: refused, why: "RFC 9110, 4.2.4: userinfo is likely to obscure the authority"},
		{name: "absolute form with a backslash", send: line("GET http://b.example\\@a.example/case HTTP/1.1"), want: refused, why: targetRule},
		{name: "absolute form of another scheme", send: line("GET ftp://b.example/case HTTP/1.1"), want: refused, why: targetRule},
		{name: "asterisk form", send: line("OPTIONS * HTTP/1.1"), want: forwarded, why: "RFC 9112, 3.2.4"},
		{name: "asterisk form of GET", send: line("GET * HTTP/1.1"), want: refused, why: "RFC 9112, 3.2.4: for OPTIONS only"},
		{name: "authority form of GET", send: line("GET a.example:80 HTTP/1.1"), want: refused, why: "RFC 9112, 3.2.3: for CONNECT only"},
		{name: "no slash", send: line("GET case HTTP/1.1"), want: refused, why: targetRule},
		{name: "query alone", send: line("GET ?case HTTP/1.1"), want: refused, why: targetRule},
		{name: "fragment", send: line("GET /case#x HTTP/1.1"), want: refused, why: "RFC 9112, 3.2.1: origin form has no fragment"},
		{name: "space in the target", send: line("GET /case x HTTP/1.1"), want: refused, why: "RFC 9112, 3.2: no white space in a target"},
		{name: "tab behind the target", send: line("GET /case\tHTTP/1.1"), want: refused, why: "RFC 9112, 3.2: no white space in a target"},
		{name: "two spaces behind the target", send: line("GET /case  HTTP/1.1"), want: refused, why: "RFC 9112, 3: request-line = method SP request-target SP"},
		{name: "NUL in the target", send: line("GET /case\x00x HTTP/1.1"), want: refused, why: targetRule},
		{name: "control byte in the target", send: line("GET /case\x01 HTTP/1.1"), want: refused, why: targetRule},
		{name: "DEL in the target", send: line("GET /case\x7f HTTP/1.1"), want: refused, why: targetRule},
		{name: "bytes above ASCII in the target", send: line("GET /case\xc3\xa9 HTTP/1.1"), want: refused, why: targetRule},
		{name: "bare CR in the target", send: line("GET /case\rx HTTP/1.1"), want: refused, why: crRule},
		{name: "a request line in the target", send: line("GET /case HTTP/1.1 GET /poison HTTP/1.1"), want: refused, why: "RFC 9112, 3.2: no white space in a target"},
	},
}
