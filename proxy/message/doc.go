// Package message holds the head of an HTTP message and the rules by which a proxy changes it. It
// is the one type between all codecs: they fill a [Head], the exchange decides on it, and a codec
// writes it out again.
//
// A head is a buffer and a list of [Field], each a set of offsets into that buffer, so that field
// lines which need not change are forwarded as they came: order, letter case, white space. Names
// that a proxy acts on are recognised once, while parsing, and numbered ([Name]).
//
// [Head.StripHopByHop] marks what must not travel further: the fixed set of RFC 9110, section
// 7.6.1, and whatever Connection names, in all its lines. [Head.DropForwarded] marks the forwarding
// fields of a peer that is not trusted, and their look-alikes ([FoldsTo]). Fields of our own are
// written by the codec after that, so that no peer can have them removed by naming them.
//
// What a trusted peer says of the client is read by [NextHop] (Forwarded, RFC 7239) and [ParseClient]
// (X-Forwarded-For); [AppendHop] writes an element of Forwarded.
//
// A head is reused from message to message without allocating, and belongs to one goroutine.
package message
