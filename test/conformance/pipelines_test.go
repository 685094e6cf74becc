package conformance

import "fmt"

// next is another request of a pipeline.
func next(path string) string { return "GET " + path + " HTTP/1.1\r\n" + host + "\r\n" }

var pipelines = topic{
	name:  "Pipelines",
	about: "Several requests at once, in one segment. Each gets its own answer, in order; behind a refused one nothing is served.",
	messages: []message{
		{name: "three requests", send: getCase + next("/b") + next("/c"), want: "forwarded; forwarded; forwarded, kept", saw: []string{getCase, next("/b"), next("/c")}, why: "RFC 9112, 9.3.2"},
		{name: "bodies of both kinds, then a GET", send: post("Content-Length: 5\r\n", "hello") + chunks("5\r\nhello\r\n0\r\n\r\n") + next("/c"), want: "forwarded; forwarded; forwarded, kept", saw: []string{post("Content-Length: 5\r\n", "hello"), chunks("5\r\nhello\r\n0\r\n\r\n"), next("/c")}, why: "RFC 9112, 9.3.2"},
		{name: "HEAD, then GET", send: line("HEAD /case HTTP/1.1") + next("/b"), methods: "HEAD", want: "forwarded; forwarded, kept", saw: []string{line("HEAD /case HTTP/1.1"), next("/b")}, why: "RFC 9110, 9.3.2: no content, whatever the length says"},
		{name: "empty line between requests", send: post("Content-Length: 5\r\n", "hello") + "\r\n" + next("/b"), want: "forwarded; forwarded, kept", saw: []string{post("Content-Length: 5\r\n", "hello"), next("/b")}, why: "RFC 9112, 2.2: some clients send CRLF behind a body"},
		{name: "a request behind an ill-formed one", send: get("X : y\r\n") + poison, want: refused, why: "RFC 9112, 2.2: where the next request begins is not known"},
		{name: "an ill-formed one in the middle", send: getCase + get("X : y\r\n") + poison, want: "forwarded; 400, closed", saw: []string{getCase}, why: "RFC 9112, 2.2: where the next request begins is not known"},
		{name: "a request behind an ill-formed body", send: chunks("x\r\n") + poison, want: refused, why: "RFC 9112, 7.1: where the next request begins is not known"},
		{name: "a request behind one that is too long", send: targetOf(17<<10) + poison, want: "414, closed", why: "RFC 9112, 9.6: where the next request begins is not known"},
		{name: "a request behind close", send: get("Connection: close\r\n") + poison, want: lastOne, saw: []string{getCase}, why: "RFC 9112, 9.6: nothing behind close is processed"},
		{name: "a request behind HTTP/1.0", send: "GET /case HTTP/1.0\r\n" + host + "\r\n" + poison, want: lastOne, saw: []string{getCase}, why: "RFC 9112, 9.3: closed unless keep-alive is asked for"},
		{name: "a request within a body", send: post(lengthOfHidden, hidden), want: forwarded, why: "RFC 9112, 6.2: content is content"},
		{name: "a request within a chunk", send: chunks(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(poison), poison)), want: forwarded, why: "RFC 9112, 7.1: content is content"},
		{name: "a request behind an upgrade that is not taken", send: get(asking) + next("/b"), want: "forwarded; forwarded, kept", saw: []string{get(asking), next("/b")}, why: "RFC 9110, 7.8: the connection goes on as HTTP/1.1"},
		{name: "half a request behind a request, then silence", send: getCase + "GET /b HTTP/1.1\r\nHo", alone: true, slow: true, want: "forwarded; 408, closed", saw: []string{getCase}, why: "RFC 9112, 8: an incomplete request; client_body_idle"},
		{name: "a body that comes later", send: post("Content-Length: 10\r\n", "hello"), then: "12345", until: headArrived, want: forwarded, why: "RFC 9112, 6.2"},
		{name: "a request behind a body that comes later", send: post("Content-Length: 10\r\n", "hello"), then: "12345" + next("/b"), until: headArrived, want: "forwarded; forwarded, kept", saw: []string{post("Content-Length: 10\r\n", "hello12345"), next("/b")}, why: "RFC 9112, 9.3.2"},
		{name: "an ill-formed request after an answer", send: getCase, then: get("X : y\r\n") + poison, until: answered, want: "forwarded; 400, closed", saw: []string{getCase}, why: "RFC 9112, 5.1"},
	},
}
