// Package conformance holds weir against a table of hostile and odd HTTP/1 messages, as raw bytes,
// in both directions.
//
// A message (message_test.go) is what a client sends, or what a backend answers, with the outcome
// that the RFCs, or a rule of weir, ask for: refused with which status, forwarded as which bytes, or visibly cut
// off. The messages stand in one file per topic (lengths_test.go, codings_test.go and so on).
//
// Every message gets a listener, a pool and an origin of its own, so that nothing is shared but the
// process, and all of them run at once. Behind the message, on the same connection, the client asks
// for /behind; afterwards, on a new connection, for /follow. The origin (origin_test.go) records byte
// for byte what comes, reads it with a strict parser that shares nothing with the product, and
// answers by script, or with an echo that names the request. So it is known which request each
// response belongs to, and that none is seen which was not sent. The records are judged when the
// proxy has ended and all that it wrote has been read.
//
// The same messages go through Debian's haproxy and nginx, where they are installed (peers_test.go).
// docs/conformance.md says what each of the three does with each message; `go test ./test/conformance
// -update` writes it, and without the flag the test fails if it is out of date. The columns of the
// peers are compared only against the versions that the page names.
package conformance
