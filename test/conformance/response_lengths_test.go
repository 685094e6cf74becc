package conformance

import "fmt"

// closing is the line that weir adds to the last response of a connection.
const closing = "Connection: close\r\n"

// split is a second response within the content of a first.
const split = "HTTP/1.1 200 OK\r\nX-Origin: split\r\nContent-Length: 4\r\n\r\nevil"

var (
	lengthOfSplit = fmt.Sprintf("Content-Length: %d\r\n", len("0\r\n\r\n"+split))
	hiddenSplit   = "0\r\n\r\n" + split
)

const (
	responseLengthRule = "RFC 9112, 6.3 (5): 502 for an invalid Content-Length of a response"
	responseCodingRule = "RFC 9112, 6.1 and 6.3 (4); the same faults from a backend are a 502"
)

// measured is a reply of five bytes with this for its length.
func measured(value string) string { return ok("Content-Length: "+value+"\r\n", "hello") }

var responseLengths = topic{
	name:  "Content-Length of a response",
	about: "As of a request; what is wrong with it is a 502, and the connection to the backend is closed. The client's connection goes on: it has sent nothing wrong.",
	messages: []message{
		{name: "response with a length", reply: measured("5"), want: passed, why: "RFC 9112, 6.2"},
		{name: "response of length 0", reply: ok("Content-Length: 0\r\n", ""), want: passed, why: "RFC 9112, 6.2"},
		{name: "response with the same length twice", reply: ok("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), want: badGateway, why: "RFC 9112, 6.3 (5): may be refused"},
		{name: "response with two lengths", reply: ok("Content-Length: 5\r\nContent-Length: 50\r\n", "hello"), want: badGateway, why: responseLengthRule},
		{name: "response with two lengths and another response", reply: ok("Content-Length: 5\r\n"+lengthOfSplit, "hello"+split), want: badGateway, why: responseLengthRule},
		{name: "response with a list of lengths", reply: measured("5, 5"), want: badGateway, why: "RFC 9112, 6.3 (5): may be refused"},
		{name: "response with a signed length", reply: measured("+5"), want: badGateway, why: responseLengthRule},
		{name: "response with a negative length", reply: measured("-5"), want: badGateway, why: responseLengthRule},
		{name: "response with an empty length", reply: measured(""), want: badGateway, why: responseLengthRule},
		{name: "response with a hexadecimal length", reply: measured("0x5"), want: badGateway, why: responseLengthRule},
		{name: "response with a length that wraps", reply: measured("18446744073709551621"), want: badGateway, why: responseLengthRule},
		{name: "response with a length of words", reply: measured("five"), want: badGateway, why: responseLengthRule},
		{name: "response with a space before the colon of its length", reply: ok("Content-Length : 5\r\n", "hello"), want: badGateway, why: "RFC 9112, 5.1; ambiguous, so it is not repaired"},
	},
}
