package conformance

// stale is what the report says of peers and a connection that ends as a request is sent on it.
var stale = map[string]string{
	"haproxy": "passed, kept, or closed: not always the same",
	"nginx":   "passed, kept, or 502: not always the same",
}

var leftovers = topic{
	name:  "Bytes behind a response",
	about: "Whatever a backend sends behind its response closes that connection: the next request, of whomever, gets its own answer on another one.",
	messages: []message{
		{name: "bytes behind a length", reply: measured("5") + "garbage", fresh: true, want: passed, got: measured("5"), why: "RFC 9112, 6.3: what comes behind belongs to nobody"},
		{name: "response behind a length", reply: measured("5") + split, fresh: true, want: passed, got: measured("5"), why: "RFC 9112, 6.3: what comes behind belongs to nobody"},
		{name: "response behind a length of 0", reply: ok("Content-Length: 0\r\n", "") + split, fresh: true, want: passed, got: ok("Content-Length: 0\r\n", ""), why: "RFC 9112, 6.3: what comes behind belongs to nobody"},
		{name: "response behind the last chunk", reply: inChunks("5\r\nhello\r\n0\r\n\r\n") + split, fresh: true, want: passed, got: inChunks("5\r\nhello\r\n0\r\n\r\n"), why: "RFC 9112, 6.3: what comes behind belongs to nobody"},
		{name: "CRLF behind a response", reply: measured("5") + "\r\n", fresh: true, want: passed, got: measured("5"), why: "RFC 9112, 2.2: an empty line is ignored before requests only"},
		{name: "response that comes late", send: get(closing), saw: []string{getCase}, reply: measured("5"), late: split, fresh: true, want: passedLast, got: ok("Content-Length: 5\r\n"+closing, "hello"), why: "RFC 9112, 9.3: an idle connection with bytes on it is not used again"},
		{name: "408 that comes late", send: get(closing), saw: []string{getCase}, reply: measured("5"), late: "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n", finish: closed, fresh: true, want: passedLast, got: ok("Content-Length: 5\r\n"+closing, "hello"), why: "RFC 9110, 15.5.9: servers say so on idle connections"},
		{name: "end of the connection that meets the next request", reply: measured("5"), finish: closed, hasty: true, varies: stale, want: passed, why: "RFC 9112, 9.3.1: a request that is idempotent is repeated on another connection"},
		{name: "end of the connection behind a response that keeps it", reply: measured("5"), finish: closed, want: passed, why: "RFC 9112, 9.3: closed connections are noticed before use"},
	},
}
