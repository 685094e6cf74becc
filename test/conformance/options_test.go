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
		{name: "an option names the forwarding fields", send: get("Connection: X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto\r\n"), want: forwarded, saw: []string{getCase}, why: "RFC 9110, 7.6.1: fields of the proxy's own are added after the strip"},
		{name: "an option names Connection", send: get("Connection: Connection\r\n"), want: forwarded, saw: []string{getCase}, why: hopRule},
		{name: "empty options", send: get("Connection:\r\nConnection: ,, \t,\r\n"), want: forwarded, saw: []string{getCase}, why: "RFC 9110, 5.6.1.2: empty elements are ignored"},
		{name: "Keep-Alive", send: get("Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n"), want: forwarded, saw: []string{getCase}, why: "RFC 9110, 7.6.1: removed although not named"},
		{name: "Proxy-Authorization", send: get("Proxy-Authorization: Basic eA==\r\n"), want: forwarded, saw: []string{getCase}, why: "RFC 9110, 11.7.2: consumed by the first proxy"},
		{name: "TE with trailers", send: get("Connection: TE\r\nTE: gzip, trailers;q=0.5, Trailers\r\n"), want: forwarded, saw: []string{get("TE: trailers\r\nConnection: TE\r\n")}, why: "RFC 9110, 10.1.4: weir forwards trailers, so it says that for itself"},
		{name: "TE without trailers", send: get("Connection: TE\r\nTE: gzip\r\n"), want: forwarded, saw: []string{getCase}, why: "RFC 9110, 10.1.4"},
		{name: "Upgrade that Connection does not name", send: get("Upgrade: websocket\r\n"), want: forwarded, saw: []string{getCase}, why: "RFC 9110, 7.8: an Upgrade must be named"},
		{name: "upgrade to h2c", send: get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"), want: forwarded, saw: []string{getCase}, why: "RFC 9113, 3.1: the upgrade to h2c is obsolete, and not forwarded"},
		{name: "upgrade to h2c in another case and behind another", send: get("Connection: Upgrade\r\nUpgrade: chat/1, H2C\r\n"), want: forwarded, saw: []string{getCase}, why: "RFC 9113, 3.1: the upgrade to h2c is obsolete, and not forwarded"},
		{name: "upgrade to h2c in a second line", send: get(asking + "Upgrade: h2c\r\n"), want: forwarded, saw: []string{get(asking)}, why: "RFC 9113, 3.1: the upgrade to h2c is obsolete, and not forwarded"},
		{name: "upgrade with a body", send: post("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n", "hello"), want: forwarded, saw: []string{post("Content-Length: 5\r\n", "hello")}, why: "RFC 9110, 7.8: may be ignored, and is when there is a body"},
		{name: "upgrade in HTTP/1.0", send: "GET /case HTTP/1.0\r\n" + host + "Connection: Upgrade\r\nUpgrade: chat/1\r\n\r\n", want: lastOne, saw: []string{getCase}, why: "RFC 9110, 7.8: ignored in HTTP/1.0"},
	},
}
