package conformance

import "strings"

const hostRule = "RFC 9112, 3.2: 400 for a Host that is missing, repeated or invalid"

var hosts = topic{
	name:  "Host",
	about: "One, not empty, a name or an address with or without a port.",
	messages: []message{
		{name: "Host with a port", send: hosted("a.example:8080"), want: forwarded, why: "RFC 9110, 7.2"},
		{name: "Host with an empty port", send: hosted("a.example:"), want: forwarded, why: "RFC 3986, 3.2.3: port = *DIGIT"},
		{name: "Host with a final dot", send: hosted("a.example."), want: forwarded, why: "RFC 3986, 3.2.2"},
		{name: "Host with an underscore", send: hosted("a_b.example"), want: forwarded, why: "RFC 3986, 3.2.2: reg-name"},
		{name: "Host in another case", send: "GET /case HTTP/1.1\r\nhOST:A.EXAMPLE\r\n\r\n", want: forwarded, why: "RFC 9110, 5.1; forwarded as it came"},
		{name: "IPv6 Host", send: hosted("[2001:db8::1]:80"), want: forwarded, why: "RFC 3986, 3.2.2: IP-literal"},
		{name: "Host as the last field", send: "GET /case HTTP/1.1\r\nX: y\r\n" + host + "\r\n", want: forwarded, why: "RFC 9110, 7.2: first is good practice only"},
		{name: "no Host", send: "GET /case HTTP/1.1\r\n\r\n", want: refused, why: hostRule},
		{name: "the same Host twice", send: "GET /case HTTP/1.1\r\n" + host + host + "\r\n", want: refused, why: hostRule},
		{name: "two Hosts", send: "GET /case HTTP/1.1\r\n" + host + "hOST: b.example\r\n\r\n", want: refused, why: hostRule},
		{name: "two Hosts in HTTP/1.0", send: "GET /case HTTP/1.0\r\n" + host + "Host: b.example\r\n\r\n", want: refused, why: "RFC 9112, 3.2: 400 for any request with more than one"},
		{name: "empty Host", send: hosted(""), want: refused, why: "RFC 9110, 4.2.1: an empty host is invalid"},
		{name: "list of Hosts", send: hosted("a.example, b.example"), want: refused, why: hostRule},
		{name: "Host with a space", send: hosted("a.example b"), want: refused, why: hostRule},
		{name: "Host with a path", send: hosted("a.example/x"), want: refused, why: hostRule},
		{name: "Host with a query", send: hosted("a.example?x"), want: refused, why: hostRule},
		{name: "Host with a user", send: hosted("u@a.example"), want: refused, why: hostRule},
		{name: "Host with a scheme", send: hosted("http://a.example"), want: refused, why: hostRule},
		{name: "Host with a quote", send: hosted("a\"b"), want: refused, why: hostRule},
		{name: "Host with a backslash", send: hosted("a\\b"), want: refused, why: hostRule},
		{name: "Host with an escape", send: hosted("a%2eexample"), want: refused, why: "RFC 9110, 7.2 and 4.2.3: readers differ about escapes in a name"},
		{name: "Host above ASCII", send: hosted("\xc3\xa9.example"), want: refused, why: hostRule},
		{name: "Host with NUL", send: hosted("a.example\x00b"), want: refused, why: hostRule},
		{name: "port that is no number", send: hosted("a.example:x"), want: refused, why: hostRule},
		{name: "port with a sign", send: hosted("a.example:+80"), want: refused, why: hostRule},
		{name: "port above 65535", send: hosted("a.example:65536"), want: refused, why: hostRule},
		{name: "two ports", send: hosted("a.example:80:80"), want: refused, why: hostRule},
		{name: "port alone", send: hosted(":80"), want: refused, why: hostRule},
		{name: "IPv6 without brackets", send: hosted("2001:db8::1"), want: refused, why: hostRule},
		{name: "IPv6 without its end", send: hosted("[2001:db8::1"), want: refused, why: hostRule},
		{name: "IPv6 and more", send: hosted("[::1]x"), want: refused, why: hostRule},
		{name: "brackets around a name", send: hosted("[a.example]"), want: refused, why: hostRule},
		{name: "Host of 300 bytes", send: hosted(strings.Repeat("a", 300)), want: refused, why: "RFC 1035, 2.3.4: a name has 255 bytes at most"},
		{name: "space before the colon of Host", send: "GET /case HTTP/1.1\r\nHost : a.example\r\n\r\n", want: refused, why: "RFC 9112, 5.1: 400 for white space before the colon"},
		{name: "Host and Host with a space before its colon", send: "GET /case HTTP/1.1\r\n" + host + "Host : b.example\r\n\r\n", want: refused, why: "RFC 9112, 5.1: 400 for white space before the colon"},
		{name: "Host named by Connection", send: get("Connection: Host\r\n"), want: forwarded, saw: []string{getCase}, why: "RFC 9110, 7.6.1: a field for all recipients is no connection option"},
	},
}
