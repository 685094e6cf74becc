// Package http1 reads and writes HTTP/1.1 and HTTP/1.0 messages (RFC 9112). It does no input or
// output: everything works on byte slices.
//
// [ParseRequest] and [ParseResponse] fill a message.Head from the start of a buffer, or say that it
// is incomplete; only another line end, or a limit, changes that. Parsing is strict: whatever two
// implementations could read in two ways is refused with an [Error], and the connection must then
// be closed. In particular there is no folding, no bare CR or LF, no white space before the colon,
// no repeated or listed Content-Length, no Transfer-Encoding but exactly "chunked", never both, and
// no Transfer-Encoding in HTTP/1.0. (RFC 9112, sections 2.2, 5.1, 6.1 and 6.3 permit leniency in
// several of these; each has been the root of request smuggling.)
//
// [Chunked] checks a chunked body while it passes through: it yields slices of the input, told
// apart as framing and as data, so that a body is forwarded without being copied or rewritten.
// Chunk extensions are checked and left out; trailer fields that would change framing or routing
// are left out too.
//
// [AppendRequest] and [AppendResponse] write a head with the fields that are left, in their order
// and case, and with fields of our own after them.
//
// Everything here is for one goroutine at a time and allocates nothing once buffers have grown, but
// for an absolute target with a query and no path, to which a path is given.
package http1
