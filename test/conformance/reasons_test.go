package conformance

// introduction is the head of the report: the number of messages and the versions of the peers.
const introduction = `# HTTP/1.1 conformance

This page is written by ` + "`go test ./test/conformance -update`" + `; the same test, without the flag, fails when it is out of date.

It shows what weir makes of %d hostile and odd messages, sent as raw bytes in both directions, and what the same bytes come to in
haproxy %s and nginx %s of Debian. An outcome says, for the client,

- *forwarded*: the request reached the origin and the client got the answer to it; *passed*: the reply that the origin was told to give
  reached the client; a number: the proxy answered by itself; a number before that: an interim response;
- *kept*: a request that came behind on the same connection was served; *closed*: it was not, and the connection ended;
- *cut off*: the client can see that its response is not whole: short of the length, without the last chunk, or ended by a reset;
- *as …*: how the request that the origin saw, or the content that the client got, differs from what was sent. Not shown are the
  order and case of names, framing, Connection and X-Forwarded-*;
- *the origin saw …*: what the proxy handed on is ill-formed, or can be read in two ways.

For weir the test asserts more than the page shows: requests and responses byte for byte, that the origin never sees a request which the
client did not send, that nothing behind a refused message is served, that every answer belongs to its request, on this
connection and on the next one, and that refusals are delivered, not reset.

Both peers run with their defaults for parsing and sizes, keep-alive to both sides, without second tries. nginx is told to forward Host and Upgrade as
they came (` + "`$http_host`, `$http_upgrade`" + `), and not to limit bodies. No peer is at fault for being lenient: RFC 9112 permits most of what they accept. Weir is strict
because the reader behind it may understand the same bytes differently.

`

// reasons say, for each topic, why weir differs from the peers.
var reasons = map[string]map[difference]string{
	lengths.name: {
		takes:      "RFC 9112 lets a recipient merge equal lengths and unfold lines; weir forwards no message whose meaning rests on such a repair. More than 18 digits are refused for the sake of readers with 64 bits, zeros or not.",
		refuses:    "A tab beside a value is white space that RFC 9112 allows, so weir takes it.",
		otherwise:  "Weir and haproxy say what happened, weir that the client was late (408), haproxy that there was no answer in time (504); nginx closes without a word.",
		forwardsIt: "Weir forwards names with underscores like all others; nginx drops them, for the sake of CGI, where they look like another name.",
	},
	codings.name: {
		takes:      "RFC 9112 lets a server prefer the coding to the length, if it closes afterwards as haproxy does; a message with two framings is the classic way to make two servers disagree, so weir answers 400. The same goes for a coding that only unfolding, a bare LF or an empty list element brings to light.",
		refuses:    "Names of codings are case-insensitive (RFC 9112, 7).",
		otherwise:  "All refuse. Weir says 400, since what it objects to is the ambiguity, not a coding that it has yet to learn (501).",
		forwardsIt: "Names with underscores: weir forwards them, nginx drops them.",
	},
	chunkedBodies.name: {
		takes:      "Bare LF, control bytes, white space that is not before an extension, extensions without bound and ill-formed trailers are where parsers have been found to differ; weir takes CRLF and the grammar, at most 256 bytes of extensions in a chunk and 16 KiB in a body, and trailers of 8 KiB. nginx does not look at trailers at all.",
		otherwise:  "Weir tells the client that it was late (408); haproxy speaks of the server (504), nginx closes without a word.",
		forwardsIt: "Weir forwards trailers as they came, without those that frame, route or authenticate; haproxy forwards all of them, nginx none.",
	},
	lines.name: {
		takes:     "RFC 9112 permits bare LF, several empty lines in front, and unfolding. Weir ends a line at CRLF only and forwards no control byte: a reader behind it that sees a line end where weir saw none would see other fields.",
		otherwise: "Where a head does not come, weir says so (408) unless the client has gone; nginx closes without a word.",
	},
	names.name: {
		takes:      "RFC 9110 does not allow names that are no tokens, and readers look them up in different ways. nginx drops such lines, which serves as well if nothing else has read them, and makes a field of a line without a colon.",
		forwardsIt: "Forwarding fields of a client that is not trusted are dropped by weir without being told to. nginx drops names that it does not like, weir forwards every token.",
	},
	methods.name: {
		takes:      "White space must be one space (RFC 9112, 3), CONNECT has no meaning for a reverse proxy, and a method of more than 64 bytes is none. Whoever sends Max-Forwards in TRACE or OPTIONS asks each hop to lessen it, and the last one to answer (RFC 9110, 7.6.2); weir does so, the others hand the field on.",
		refuses:    "Methods are for the origin to judge: weir forwards any token, in any case, and TRACE with hops left; a route can refuse them.",
		otherwise:  "All refuse CONNECT; weir says that it is not implemented (501). TRACE is a method that weir knows, so the connection goes on.",
		forwardsIt: "Weir lessens Max-Forwards; the others hand it on as it came.",
	},
	targets.name: {
		takes:      "A target without a form of RFC 9112, 3.2, or with bytes that a URI cannot have, is refused; clients send some printable ones all the same, which pass. An absolute target needs Host beside it, and an authority that is one.",
		refuses:    "A server must accept absolute form, and the target's authority comes before Host (RFC 9112, 3.2.2); haproxy wants both to be the same and keeps the form. `OPTIONS *` is as valid. Escapes are forwarded as they came, but for `%00` in a path: where routes ask for paths, those that lead elsewhere when an escape is decoded are refused (docs/config.md).",
		otherwise:  "Where a request ends is clear although its path has `%00`, so weir goes on with the connection.",
		forwardsIt: "Weir writes origin form, with Host from the target and `*` for OPTIONS without a path. haproxy forwards absolute form; nginx writes origin form, but with `$http_host` it forwards the Host that the target replaces.",
	},
	hosts.name: {
		takes: "RFC 9112 asks for 400 when Host is missing, repeated or invalid. Virtual hosts, caches and access rules hang on this field, so weir wants exactly one, which names a host.",
	},
	versions.name: {
		takes:     "Another major version is another protocol (505); a version has one digit on each side, and nothing behind it.",
		otherwise: "Weir answers 400 to what has no version, 505 to another one. On a plain listener haproxy takes the preface of HTTP/2 for what it is, and nginx takes a line without a version for HTTP/0.9.",
	},
	sizes.name: {
		takes:     "Weir counts connection options, fields and bytes of a body by default or as told; haproxy 2.6 has no limit of bodies, and nginx none of fields.",
		refuses:   "Other limits: weir takes heads up to 64 KiB, targets up to 16 KiB and 128 fields unless told otherwise.",
		otherwise: "Weir tells what is too much, 413, 414 or 431; haproxy says 400, and nginx 400 or 414.",
	},
	pipelines.name: {
		takes:     "Weir tells a client that has begun another request that it is late (408); nginx closes.",
		otherwise: "Weir tells what is too much (414).",
	},
	options.name: {
		forwardsIt: "RFC 9110, 7.6.1 asks intermediaries to remove the fields that Connection names, and those of one hop; weir does, the peers forward them unless they are told not to. Weir announces trailers, which it forwards, does not forward the obsolete upgrade to h2c, and forwards no upgrade that it would have to refuse later.",
	},
	expectations.name: {
		takes:      "An expectation that is not known gets 417 (RFC 9110, 10.1.1). Weir reads Expect strictly since a client waits for what it means.",
		refuses:    "Weir asks the backend, whose answer decides, and forwards it before the body is there. nginx says 100 by itself, and collects the body before it asks.",
		otherwise:  "Weir says that the backend has closed (502); the peers close without a word.",
		forwardsIt: "Weir leaves out an expectation that nobody waits for, and only that; nginx leaves it out always. After an early answer it closes, so that what follows is nobody's request.",
	},
	responseLengths.name: {
		takes:     "Equal lengths may be merged, as haproxy does; nginx takes the first of several. Weir takes no response whose end could be elsewhere for another reader.",
		otherwise: "Weir and haproxy answer 502; nginx passes the head of some of these on and then closes.",
	},
	responseCodings.name: {
		takes:      "As with requests: RFC 9112, 6.3 would let the coding win, or hold a body in an unknown coding for one that the end of the connection delimits; weir answers 502 to both, and to bare LF and ill-formed trailers. nginx ignores a coding that it does not know.",
		otherwise:  "A fault in the first chunk is a 502 of weir and haproxy, since nothing has gone to the client; nginx closes without an answer, or short of one.",
		forwardsIt: "To HTTP/1.0 weir sends the content, and the end of the connection as its end; haproxy 2.6 keeps the chunks, and the connection.",
	},
	responseHeads.name: {
		takes:      "A head with control bytes, bare LF, folding, a status outside 100 to 599 or another version is a 502: what a backend lets others write into its fields must not become lines of its own. Weir has a limit of fields for responses too.",
		refuses:    "Other limits: weir takes heads of responses up to 64 KiB and 128 fields.",
		otherwise:  "Weir answers 502; nginx takes what does not begin like a response for one of HTTP/0.9, which has no head, and closes.",
		forwardsIt: "Weir puts the space back that RFC 9112, 4 wants behind the status.",
	},
	interims.name: {
		takes:      "After 32 interim responses weir ends the exchange (502). A change of protocol that the client did not ask for, or that weir did not forward, is a 502.",
		refuses:    "Interim responses are forwarded (RFC 9110, 15.2); nginx 1.22 takes them for the response, and the next answer on the connection gets to the wrong request.",
		otherwise:  "An exchange with interim responses alone ends in a 502; HTTP/1.0 clients get none of them.",
		forwardsIt: "Not to HTTP/1.0 (RFC 9110, 15.2).",
	},
	emptyBodies.name: {
		takes: "Lengths that contradict each other, and a length beside a coding, are as wrong where no body comes: a cache would store one of them.",
	},
	leftovers.name: {
		forwardsIt: "An idle connection may end at any moment. Weir looks at it before use, and repeats what is idempotent when the end comes together with the request; the peers are told not to repeat anything here, which makes it a matter of chance.",
	},
	switches.name: {
		takes: "A 101 names the protocol, and Connection names that field (RFC 9110, 7.8); without both weir does not give the connection away.",
	},
	endings.name: {
		takes:      "Where only the end of a connection delimits a body, weir resets the client's connection if the backend's was reset or its chunks were not complete: an orderly end would make half a response look whole.",
		forwardsIt: "nginx puts what ends with the connection into chunks and keeps the client's connection; weir passes it on as it is, and closes.",
	},
}
