// Package sniff reads the first bytes that a load balancer looks at without being a party to the
// conversation: the ClientHello of TLS, the header of the PROXY protocol, and the headers of QUIC
// packets. It does no input or output, and reads no clock.
//
// Streams come in pieces. [ParseClientHello] and [ParseProxy] are called with everything that was
// received, again after every receive, and answer with a [State]: [More], [Done], [Foreign] or
// [Malformed]. They hold nothing between calls. Every answer but More is final: more bytes would not
// change it. Both are bounded ([MaxHello], [MaxProxy]): with that many bytes the answer is not More.
//
// [ParseClientHello] finds the server name, the application protocols and the versions that a TLS
// client offers, across segments and records, and consumes nothing, so that the connection can be
// passed on as it came. [ParseProxy] says how many bytes the header takes; what follows them is the
// client's. It believes whoever sends: that the peer may send one is for the caller to know, from
// configuration alone (a header must never be guessed). [AppendProxyV1] and [AppendProxyV2] write
// headers towards backends.
//
// A QUIC datagram is whole. [ParseQUIC] reads its first packet as far as it is not protected, and
// [QUICPackets] walks through all of them.
//
// Every slice in a result is a part of the input, but for a ClientHello that its sender has cut into
// several records: that alone is copied, once it is whole. Nothing else allocates. Every error is
// one of the [Error] values of this package. All functions may be called concurrently, on input that
// nobody changes meanwhile.
package sniff
