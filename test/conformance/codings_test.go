package conformance

const (
	codingRule = "RFC 9112, 6.1 and 6.3 (4): no coding but exactly chunked"
	bothRule   = "RFC 9112, 6.3 (3): ought to be handled as an error"
)

// coded is a POST with this for its transfer coding, whose body is empty to a reader of chunks.
func coded(value string) string { return post("Transfer-Encoding: "+value+"\r\n", "0\r\n\r\n") }

// coding is a POST with this line, whose body is empty to a reader of chunks and hides a request
// from a reader of lengths.
func coding(line string) string { return post(lengthOfHidden+line+"\r\n", hidden) }

var codings = topic{
	name: "Transfer-Encoding of a request",
	about: "Only `chunked`, once, in HTTP/1.1, without Content-Length. " +
		"The disguises of a coding are those by which one parser is made to see it and the next one not.",
	messages: []message{
		{name: "chunked", send: coded("chunked"), want: forwarded, why: "RFC 9112, 7.1"},
		{name: "chunked in another case", send: post("tRANSFER-eNCODING:\tChunkeD \r\n", "0\r\n\r\n"), want: forwarded, saw: []string{coded("chunked")}, why: "RFC 9112, 7: names of codings are case-insensitive; written afresh"},
		{name: "chunked GET", send: get("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", want: forwarded, why: "RFC 9112, 6.3 (4)"},
		{name: "chunked named by Connection", send: post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), want: forwarded, saw: []string{coded("chunked")}, why: "RFC 9112, 6.1: the framing that is forwarded is the proxy's own"},
		{name: "length, then chunked", send: coding("Transfer-Encoding: chunked"), want: refused, why: bothRule},
		{name: "chunked, then length", send: post("Transfer-Encoding: chunked\r\n"+lengthOfHidden, hidden), want: refused, why: bothRule},
		{name: "chunked and length 0", send: post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", hidden), want: refused, why: bothRule},
		{name: "chunked and a length that Connection names", send: post("Connection: Content-Length\r\n"+lengthOfHidden+"Transfer-Encoding: chunked\r\n", hidden), want: refused, why: bothRule},
		{name: "chunked in HTTP/1.0", send: "POST /case HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n", want: refused, why: "RFC 9112, 6.1: a coding in HTTP/1.0 is faulty framing"},
		{name: "chunked and length in HTTP/1.0", send: "POST /case HTTP/1.0\r\n" + host + lengthOfHidden + "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n" + hidden, want: refused, why: "RFC 9112, 6.1: a coding in HTTP/1.0 is faulty framing"},
		{name: "chunked twice in a list", send: coded("chunked, chunked"), want: refused, why: "RFC 9112, 6.1: chunked must not be applied more than once"},
		{name: "chunked in two lines", send: post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), want: refused, why: "RFC 9112, 6.1: chunked must not be applied more than once"},
		{name: "chunked, then identity", send: coded("chunked, identity"), want: refused, why: codingRule},
		{name: "identity, then chunked", send: coded("identity, chunked"), want: refused, why: codingRule},
		{name: "gzip, then chunked", send: coded("gzip, chunked"), want: refused, why: codingRule},
		{name: "chunked, then gzip", send: coded("chunked, gzip"), want: refused, why: "RFC 9112, 6.3 (4): chunked is not the last coding"},
		{name: "identity", send: coded("identity"), want: refused, why: codingRule},
		{name: "identity and a length", send: coding("Transfer-Encoding: identity"), want: refused, why: bothRule},
		{name: "an unknown coding and a length", send: coding("Transfer-Encoding: cow"), want: refused, why: bothRule},
		{name: "chunked and an unknown coding in two lines", send: post("Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n", "0\r\n\r\n"), want: refused, why: codingRule},
		{name: "an unknown coding and chunked in two lines", send: post("Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), want: refused, why: codingRule},
		{name: "empty coding", send: coded(""), want: refused, why: codingRule},
		{name: "empty coding and a length", send: coding("Transfer-Encoding:"), want: refused, why: bothRule},
		{name: "comma before chunked", send: coded(", chunked"), want: refused, why: codingRule},
		{name: "comma behind chunked", send: coded("chunked,"), want: refused, why: codingRule},
		{name: "xchunked", send: coded("xchunked"), want: refused, why: codingRule},
		{name: "chunkedx", send: coded("chunkedx"), want: refused, why: codingRule},
		{name: "x-chunked and a length", send: coding("Transfer-Encoding: x-chunked"), want: refused, why: bothRule},
		{name: "chunked in quotes", send: coded(`"chunked"`), want: refused, why: codingRule},
		{name: "chunked in single quotes", send: coded("'chunked'"), want: refused, why: codingRule},
		{name: "chunked with a parameter", send: coded("chunked;q=1"), want: refused, why: codingRule},
		{name: "chunked in two words", send: coded("chunked chunked"), want: refused, why: codingRule},
		{name: "chunked with a space inside", send: coded("chu nked"), want: refused, why: codingRule},
		{name: "chunked behind a vertical tab", send: coded("\vchunked"), want: refused, why: "RFC 9110, 5.5: control byte in a value"},
		{name: "chunked before a form feed", send: coded("chunked\f"), want: refused, why: "RFC 9110, 5.5: control byte in a value"},
		{name: "chunked before NUL", send: coded("chunked\x00"), want: refused, why: "RFC 9110, 5.5: NUL in a value"},
		{name: "chunked behind a non-breaking space", send: coded("\xa0chunked"), want: refused, why: codingRule},
		{name: "chunked with a Kelvin sign", send: coded("chun\xe2\x84\xaaed"), want: refused, why: codingRule},
		{name: "chunked behind a bare CR", send: coded("\rchunked"), want: refused, why: "RFC 9112, 2.2: bare CR"},
		{name: "space before the colon of the coding", send: coding("Transfer-Encoding : chunked"), want: refused, why: "RFC 9112, 5.1: 400 for white space before the colon"},
		{name: "tab before the colon of the coding", send: coding("Transfer-Encoding\t: chunked"), want: refused, why: "RFC 9112, 5.1: 400 for white space before the colon"},
		{name: "NUL before the colon of the coding", send: coding("Transfer-Encoding\x00: chunked"), want: refused, why: "RFC 9110, 5.1: a name is a token"},
		{name: "space before the name of the coding", send: coding("X: y\r\n Transfer-Encoding: chunked"), want: refused, why: "RFC 9112, 5.2: obs-fold"},
		{name: "folded coding", send: coding("Transfer-Encoding:\r\n chunked"), want: refused, why: "RFC 9112, 5.2: obs-fold"},
		{name: "folded coding with a tab", send: coding("Transfer-Encoding:\r\n\tchunked"), want: refused, why: "RFC 9112, 5.2: obs-fold"},
		{name: "coding behind a bare LF", send: coding("X: y\nTransfer-Encoding: chunked"), want: refused, why: "RFC 9112, 2.2: a bare LF may be accepted, and is not"},
		{name: "coding behind a bare CR", send: coding("X: y\rTransfer-Encoding: chunked"), want: refused, why: "RFC 9112, 2.2: bare CR"},
		{name: "coding behind an empty line of CR", send: coding("X: y\r\n\rTransfer-Encoding: chunked"), want: refused, why: "RFC 9112, 2.2: bare CR"},
		{name: "coding with a line end before its colon", send: coding("Transfer-Encoding\n: chunked"), want: refused, why: "RFC 9112, 2.2: a bare LF may be accepted, and is not"},
		{name: "coding with an escape in its name", send: post("Transfer%2dEncoding: chunked\r\n", ""), want: forwarded, why: "RFC 9110, 5.1: a field of another name"},
		{name: "byte order mark before the name of the coding", send: coding("\xef\xbb\xbfTransfer-Encoding: chunked"), want: refused, why: "RFC 9110, 5.1: a name is a token"},
		{name: "colon before the name of the coding", send: coding(":Transfer-Encoding: chunked"), want: refused, why: "RFC 9110, 5.1: a name is a token"},
		{name: "two colons behind the name of the coding", send: coded(": chunked"), want: refused, why: codingRule},
		{name: "chunk", send: coded("chunk"), want: refused, why: codingRule},
		{name: "NUL before chunked", send: coded("\x00chunked"), want: refused, why: "RFC 9110, 5.5: NUL in a value"},
		{name: "non-breaking space behind chunked", send: coded("chunked\xa0"), want: refused, why: codingRule},
		{name: "next-line byte before chunked", send: coded("\x85chunked"), want: refused, why: codingRule},
		{name: "chunked folded behind itself", send: coding("Transfer-Encoding: chunked\r\n "), want: refused, why: "RFC 9112, 5.2: obs-fold"},
		{name: "chunked in an escaped form", send: coded("%63hunked"), want: refused, why: codingRule},
		{name: "Content-Encoding: chunked", send: get("Content-Encoding: chunked\r\n"), want: forwarded, why: "RFC 9110, 8.4: a coding of the content, not of the message"},
		{name: "coding without a colon", send: coding("Transfer-Encoding chunked"), want: refused, why: "RFC 9112, 5: field-line = field-name \":\""},
		{name: "Transfer_Encoding", send: get("Transfer_Encoding: chunked\r\n"), want: forwarded, why: "RFC 9110, 5.1: a field of another name"},
		{name: "Transfer-Encoding in TE", send: get("TE: chunked\r\n"), want: forwarded, saw: []string{getCase}, why: "RFC 9110, 10.1.4: TE is for this hop alone"},
	},
}
