package conformance

const hopRule = "RFC 9110, 7.6.1: what Connection names ends here"

var options = topic{
	name:  "Connection options and fields of one hop",
	about: "What Connection names, in all its lines and in any case, and the fields that are for one hop are not forwarded. A client cannot name away what frames or routes.",
	messages: []message{
		{name: "an option names a field", send: get("X-Secret: a\r\nConnection: x-SECRET\r\nX-Other: b\r\n"), want: forwarded, saw: []string{get("X-Other: b\r\n")}, why: hopRule},
		{name: "options in several lines", send: get("Connection: X-A , ,\tx-b\r\nX-A: 1\r\nX-B: 2\r\nX-A: 3\r\nconnection: X-C\r\nX-C: 4\r\nX-D: 5\r\n"), want: forwarded, saw: []string{get("X-D: 5\r\n")}, why: hopRule},
		{name: "an option behind close", send: get("Connection: close, X-A\r\nX-A: 1\r\n"), want: lastOne, saw: []string{getCase}, why: hopRule},
		{name: "an option that is part of a name", send: get("Connection: X-A\r\nX-AB: 1\r\nAX-A: 2\r\n"), want: forwarded, saw: []string{get("X-AB: 1\r\nAX-A: 2\r\n")}, why: hopRule},
		{name: "an option names the cookie", send: get("Connection: Cookie\r\nCookie: a=b\r\n"), want: forwarded, saw: []string{getCase}, why: hopRule},
		{name: "an option names Content-Length", send: post("Connection: Content-Length\r\nContent-Length: 5\r\n", "hello"), want: forwarded, saw: []string{post("Content-Length: 5\r\n", "hello")}, why: "RFC 9110, 7.6.1: a field for all recipients is no connection option"},
		{name: "an option names the forwarding fields", send: get("Connection: X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto\r\n"), want: forwarded, saw: []string{getCase}, why: "SPEC 7: fields of our own are added after the strip"},
		{name: "an option names Connection", send: get("Connection: Connection\r\n"), want: forwarded, saw: []string{getCase}, why: hopRule},
		{name: "empty options", send: get("Connection:\r\nConnection: ,, \t,\r\n"), want: forwarded, saw: []string{getCase}, why: "RFC 9110, 5.6.1.2: empty elements are ignored"},
		{name: "Keep-Alive", send: get("Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n"), want: forwarded, saw: []string{getCase}, why: "RFC 9110, 7.6.1: removed although not named"},
		{name: "Proxy-Authorization", send: get("Proxy-Authorization: Basic eA==\r\n"), want: forwarded, saw: []string{getCase}, why: "RFC 9110, 11.7.2: consumed by the first proxy"},
		{name: "TE with trailers", send: get("Connection: TE\r\nTE: gzip, trailers;q=0.5, Trailers\r\n"), want: forwarded, saw: []string{get("TE: trailers\r\nConnection: TE\r\n")}, why: "RFC 9110, 10.1.4: weir forwards trailers, so it says that for itself"},
		{name: "TE without trailers", send: get("Connection: TE\r\nTE: gzip\r\n"), want: forwarded, saw: []string{getCase}, why: "RFC 9110, 10.1.4"},
		{name: "Upgrade that Connection does not name", send: get("Upgrade: websocket\r\n"), want: forwarded, saw: []string{getCase}, why: "RFC 9110, 7.8: an Upgrade must be named"},
		{name: "upgrade to h2c", send: get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"), want: forwarded, saw: []string{getCase}, why: "SPEC 7: h2c is not forwarded (RFC 9113, 3.1 has given it up)"},
		{name: "upgrade with a body", send: post("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n", "hello"), want: forwarded, saw: []string{post("Content-Length: 5\r\n", "hello")}, why: "SPEC 7: not with a body, which has no place then"},
		{name: "upgrade in HTTP/1.0", send: "GET /case HTTP/1.0\r\n" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", want: lastOne, saw: []string{getCase}, why: "RFC 9110, 7.8: ignored in HTTP/1.0"},
	},
}

const expect = "Content-Length: 5\r\nExpect: 100-continue\r\n"

var expectations = topic{
	name:  "Expectations and early answers",
	about: "100-continue goes through to the backend, whose answer decides. An answer that comes before the end of the request ends it, and the connection.",
	messages: []message{
		{name: "100-continue", send: post(expect, ""), then: "hello", until: responseBegun, interim: "HTTP/1.1 100 Continue\r\n\r\n", want: "100, forwarded, kept", why: "RFC 9110, 10.1.1; SPEC 7: end to end"},
		{name: "100-continue and a body that does not wait", send: post(expect, "hello"), want: forwarded, saw: []string{post("Content-Length: 5\r\n", "hello")}, why: "RFC 9110, 10.1.1: not needed when the body is there"},
		{name: "100-continue refused with 417", send: post(expect, ""), alone: true, early: true, reply: "HTTP/1.1 417 Expectation Failed\r\nX-Origin: script\r\nContent-Length: 0\r\n\r\n", want: passedLast, saw: []string{post(expect, "") + unfinished}, got: "HTTP/1.1 417 Expectation Failed\r\nX-Origin: script\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", why: "RFC 9110, 10.1.1; SPEC 7: end to end"},
		{name: "100-continue refused, and a body all the same", send: post(expect, ""), then: "hello" + poison, until: responseBegun, early: true, reply: "HTTP/1.1 401 Unauthorized\r\nX-Origin: script\r\nContent-Length: 0\r\n\r\n", want: passedLast, saw: []string{post(expect, "") + unfinished}, got: "HTTP/1.1 401 Unauthorized\r\nX-Origin: script\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", why: "RFC 9110, 10.1.1: the connection is closed, so the body is nobody's request"},
		{name: "100-continue in HTTP/1.0", send: "POST /case HTTP/1.0\r\n" + host + expect + "\r\n", then: "hello", until: headArrived, want: lastOne, saw: []string{post("Content-Length: 5\r\n", "hello")}, why: "RFC 9110, 10.1.1: ignored in HTTP/1.0"},
		{name: "100-continue of a GET without a body", send: get("Expect: 100-continue\r\n"), want: forwarded, saw: []string{getCase}, why: "RFC 9110, 10.1.1: not without content"},
		{name: "unknown expectation", send: get("Expect: 200-ok\r\n"), want: "417, closed", why: "SPEC 7; RFC 9110, 10.1.1"},
		{name: "empty expectation", send: get("Expect:\r\n"), want: "417, closed", why: "SPEC 7; RFC 9110, 10.1.1"},
		{name: "Expect twice", send: post("Content-Length: 5\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n", "hello"), want: refused, why: "RFC 9110, 5.3: no list, so only once"},
		{name: "early answer to a length", send: post("Content-Length: 100000\r\n", "hello"), then: poison, until: responseBegun, early: true, reply: "HTTP/1.1 413 Content Too Large\r\nX-Origin: script\r\nContent-Length: 2\r\n\r\nno", want: passedLast, saw: []string{post("Content-Length: 100000\r\n", "hello") + unfinished}, got: "HTTP/1.1 413 Content Too Large\r\nX-Origin: script\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno", why: "RFC 9112, 9.5; SPEC 7: an early response ends the upload"},
		{name: "early answer to chunks", send: chunks("5\r\nhello\r\n"), then: "30\r\n" + poison, until: responseBegun, early: true, reply: "HTTP/1.1 413 Content Too Large\r\nX-Origin: script\r\nContent-Length: 2\r\n\r\nno", want: passedLast, saw: []string{chunks("5\r\nhello\r\n") + unfinished}, got: "HTTP/1.1 413 Content Too Large\r\nX-Origin: script\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno", why: "RFC 9112, 9.5; SPEC 7: an early response ends the upload"},
	},
}
