package conformance

import (
	"fmt"
	"strings"
)

const lengthRule = "RFC 9112, 6.3 (5): an invalid Content-Length is an unrecoverable error"

// hidden is a body that is empty to a reader of chunks, with a request behind it; to a reader of
// lengthOfHidden it is all content.
const hidden = "0\r\n\r\n" + poison

var lengthOfHidden = fmt.Sprintf("Content-Length: %d\r\n", len(hidden))

// length is a POST of five bytes with this for its length.
func length(value string) string { return post("Content-Length: "+value+"\r\n", "hello") }

var lengths = topic{
	name: "Content-Length of a request",
	about: "One field, digits only, no more than 18 of them: whatever two readers could take for two lengths is refused. " +
		"Behind some of these messages a request for `/poison` hides in what one of the readings takes for content.",
	messages: []message{
		{name: "length of the body", send: length("5"), want: forwarded, why: "RFC 9112, 6.2"},
		{name: "length 0", send: post("Content-Length: 0\r\n", ""), want: forwarded, why: "RFC 9112, 6.2"},
		{name: "length of a GET", send: get("Content-Length: 5\r\n") + "hello", want: forwarded, why: "RFC 9110, 9.3.1: content of a GET has no meaning, but is there"},
		{name: "length with white space around it", send: length(" \t5\t "), want: forwarded, why: "RFC 9112, 5: OWS is no part of the value"},
		{name: "length with leading zeros", send: length("0005"), want: forwarded, why: "RFC 9110, 8.6: Content-Length = 1*DIGIT"},
		{name: "length of 19 digits, most of them zeros", send: length("0000000000000000005"), want: refused, why: "RFC 9110, 8.6: guard against overflow; 18 digits are enough"},
		{name: "the same length twice", send: post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), want: refused, why: "RFC 9112, 6.3 (5): may be refused"},
		{name: "two lengths, the first short", send: post("Content-Length: 0\r\n"+lengthOfHidden, hidden), want: refused, why: lengthRule},
		{name: "two lengths, the second short", send: post(lengthOfHidden+"Content-Length: 0\r\n", hidden), want: refused, why: lengthRule},
		{name: "two lengths, names in another case", send: post("CONTENT-LENGTH: 0\r\n"+strings.ToLower(lengthOfHidden), hidden), want: refused, why: lengthRule},
		{name: "list of the same length", send: length("5, 5"), want: refused, why: "RFC 9112, 6.3 (5): may be refused"},
		{name: "list of two lengths", send: length("5, 50"), want: refused, why: lengthRule},
		{name: "list with an empty element", send: length("5,"), want: refused, why: lengthRule},
		{name: "positive sign", send: length("+5"), want: refused, why: lengthRule},
		{name: "negative length", send: length("-5"), want: refused, why: lengthRule},
		{name: "negative zero", send: post("Content-Length: -0\r\n", ""), want: refused, why: lengthRule},
		{name: "empty length", send: length(""), want: refused, why: lengthRule},
		{name: "hexadecimal length", send: length("0x5"), want: refused, why: lengthRule},
		{name: "length with a fraction", send: length("5.0"), want: refused, why: lengthRule},
		{name: "length with an exponent", send: length("5e0"), want: refused, why: lengthRule},
		{name: "length with a space inside", send: length("5 0"), want: refused, why: lengthRule},
		{name: "length with an underscore", send: length("0_5"), want: refused, why: lengthRule},
		{name: "length with a parameter", send: length("5;q=1"), want: refused, why: lengthRule},
		{name: "quoted length", send: length(`"5"`), want: refused, why: lengthRule},
		{name: "length in Arabic digits", send: length("\xd9\xa5"), want: refused, why: lengthRule},
		{name: "length behind a non-breaking space", send: length("\xa05"), want: refused, why: lengthRule},
		{name: "length above 63 bits", send: length("9223372036854775808"), want: refused, why: lengthRule},
		{name: "length that wraps to 5 in 64 bits", send: length("18446744073709551621"), want: refused, why: lengthRule},
		{name: "length that wraps to 5 in 32 bits", send: post("Content-Length: 4294967301\r\n", "hello"), alone: true, slow: true, want: "408, closed", saw: []string{post("Content-Length: 4294967301\r\n", "hello") + unfinished}, why: "RFC 9112, 8: an incomplete request is not whole"},
		{name: "space before the colon of Content-Length", send: post("Content-Length : 5\r\n", "hello"), want: refused, why: "RFC 9112, 5.1: 400 for white space before the colon"},
		{name: "folded length", send: post("Content-Length:\r\n 5\r\n", "hello"), want: refused, why: "RFC 9112, 5.2: obs-fold"},
		{name: "Content_Length", send: get("Content_Length: 5\r\n"), want: forwarded, why: "RFC 9110, 5.1: a field of another name"},
		{name: "body longer than its length", send: post("Content-Length: 3\r\n", "abc") + "GET /next HTTP/1.1\r\n" + host + "\r\n", want: "forwarded; forwarded, kept", saw: []string{post("Content-Length: 3\r\n", "abc"), "GET /next HTTP/1.1\r\n" + host + "\r\n"}, why: "RFC 9112, 9.3.2: what comes behind is the next request"},
		{name: "body longer than its length by garbage", send: post("Content-Length: 3\r\n", "abc\x00\x01\x02"), want: "forwarded; 400, closed", saw: []string{post("Content-Length: 3\r\n", "abc")}, why: "RFC 9112, 2.2: an invalid request line"},
		{name: "body short of its length, then silence", send: post("Content-Length: 5\r\n", "hel"), alone: true, slow: true, want: "408, closed", saw: []string{post("Content-Length: 5\r\n", "hel") + unfinished}, why: "RFC 9112, 8: an incomplete request is not whole; client_body_idle"},
		{name: "body short of its length, then the end", send: post("Content-Length: 5\r\n", "hel"), alone: true, fin: true, want: noAnswer, saw: []string{post("Content-Length: 5\r\n", "hel") + unfinished}, why: "RFC 9112, 8: an incomplete request is not whole"},
	},
}
