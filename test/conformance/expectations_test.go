package conformance

import "strings"

const expect = "Content-Length: 5\r\nExpect: 100-continue\r\n"

var expectations = topic{
	name:  "Expectations and early answers",
	about: "100-continue goes through to the backend, whose answer decides. An answer that comes before the end of the request ends it, and the connection.",
	messages: []message{
		{name: "100-continue", send: post(expect, ""), then: "hello", until: responseBegun, interim: "HTTP/1.1 100 Continue\r\n\r\n", want: "100, forwarded, kept", why: "RFC 9110, 10.1.1; end to end"},
		{name: "100-continue of chunks", send: post("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", ""), then: "5\r\nhello\r\n0\r\n\r\n", until: responseBegun, interim: "HTTP/1.1 100 Continue\r\n\r\n", want: "100, forwarded, kept", why: "RFC 9110, 10.1.1"},
		{name: "100-continue and a body that does not wait", send: post(expect, "hello"), want: forwarded, saw: []string{post("Content-Length: 5\r\n", "hello")}, why: "RFC 9110, 10.1.1: not needed when the body is there"},
		{name: "100-continue refused with 417", send: post(expect, ""), alone: true, early: true, reply: "HTTP/1.1 417 Expectation Failed\r\nX-Origin: script\r\nContent-Length: 0\r\n\r\n", want: passedLast, saw: []string{post(expect, "") + unfinished}, got: "HTTP/1.1 417 Expectation Failed\r\nX-Origin: script\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", why: "RFC 9110, 10.1.1; end to end"},
		{name: "100-continue refused, and a body all the same", send: post(expect, ""), then: "hello" + next("/b"), until: responseBegun, early: true, reply: "HTTP/1.1 401 Unauthorized\r\nX-Origin: script\r\nContent-Length: 0\r\n\r\n", want: passedLast, saw: []string{post(expect, "") + unfinished}, got: "HTTP/1.1 401 Unauthorized\r\nX-Origin: script\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", why: "RFC 9110, 10.1.1: the connection is closed, so the body is nobody's request"},
		{name: "100-continue in HTTP/1.0", send: "POST /case HTTP/1.0\r\n" + host + expect + "\r\n", then: "hello", until: headArrived, want: lastOne, saw: []string{post("Content-Length: 5\r\n", "hello")}, why: "RFC 9110, 10.1.1: ignored in HTTP/1.0"},
		{name: "100-continue of a GET without a body", send: get("Expect: 100-continue\r\n"), want: forwarded, saw: []string{getCase}, why: "RFC 9110, 10.1.1: not without content"},
		{name: "unknown expectation", send: get("Expect: 200-ok\r\n"), want: "417, closed", why: "RFC 9110, 10.1.1"},
		{name: "empty expectation", send: get("Expect:\r\n"), want: "417, closed", why: "RFC 9110, 10.1.1"},
		{name: "Expect twice", send: post("Content-Length: 5\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n", "hello"), want: refused, why: "RFC 9110, 5.3: no list, so only once"},
		{name: "early answer to a length", send: post("Content-Length: 100000\r\n", "hello"), then: poison, until: responseBegun, early: true, reply: "HTTP/1.1 413 Content Too Large\r\nX-Origin: script\r\nContent-Length: 2\r\n\r\nno", want: passedLast, saw: []string{post("Content-Length: 100000\r\n", "hello") + unfinished}, got: "HTTP/1.1 413 Content Too Large\r\nX-Origin: script\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno", why: "RFC 9112, 9.5; an early response ends the upload"},
		{name: "early answer and the end of the connection", send: post("Content-Length: 1000000\r\n", "hello"), then: strings.Repeat("x", 900_000), until: headArrived, early: true, finish: closed, alone: true, reply: "HTTP/1.1 413 Content Too Large\r\nX-Origin: script\r\nContent-Length: 2\r\n\r\nno", want: passedLast, saw: []string{unfinished}, got: "HTTP/1.1 413 Content Too Large\r\nX-Origin: script\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno", why: "RFC 9112, 9.5; the response is there although the backend has gone"},
		{name: "end of the connection within an upload", send: post("Content-Length: 1000000\r\n", "hello"), then: strings.Repeat("x", 900_000), until: headArrived, early: true, finish: reset, alone: true, want: "502, closed", saw: []string{unfinished}, why: "RFC 9110, 15.6.3"},
		{name: "early answer to chunks", send: chunks("5\r\nhello\r\n"), then: "30\r\n" + poison, until: responseBegun, early: true, reply: "HTTP/1.1 413 Content Too Large\r\nX-Origin: script\r\nContent-Length: 2\r\n\r\nno", want: passedLast, saw: []string{chunks("5\r\nhello\r\n") + unfinished}, got: "HTTP/1.1 413 Content Too Large\r\nX-Origin: script\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno", why: "RFC 9112, 9.5; an early response ends the upload"},
	},
}
