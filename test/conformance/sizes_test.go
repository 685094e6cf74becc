package conformance

import "strings"

// headOf is a GET whose head has n bytes.
func headOf(n int) string {
	frame := get("X: \r\n")
	return get("X: " + strings.Repeat("y", n-len(frame)) + "\r\n")
}

// fieldsOf is a GET with n fields.
func fieldsOf(n int) string { return get(strings.Repeat("X: y\r\n", n-1)) }

// targetOf is a GET whose target has n bytes.
func targetOf(n int) string { return line("GET /" + strings.Repeat("a", n-1) + " HTTP/1.1") }

var sizes = topic{
	name: "Sizes and counts of a request",
	about: "Of weir the defaults: heads to 64 KiB, 128 fields, targets to 16 KiB, 64 connection options. The peers run with defaults of their own: " +
		"a buffer of 16 KiB and 101 fields in haproxy; four buffers of 8 KiB and no limit of fields in nginx. Bodies are limited to 8 bytes here, in weir and nginx.",
	messages: []message{
		{name: "head of 8,000 bytes", send: headOf(8000), want: forwarded, why: "max_header"},
		{name: "head of 64 KiB", send: headOf(64 << 10), want: forwarded, why: "max_header"},
		{name: "head of 64 KiB and a byte", send: headOf(64<<10 + 1), want: "431, closed", why: "max_header; RFC 6585, 5"},
		{name: "head of 100 KiB", send: headOf(100 << 10), want: "431, closed", why: "max_header; RFC 6585, 5"},
		{name: "head that does not end", send: "GET /case HTTP/1.1\r\n" + host + strings.Repeat("X: y\r\n", 100) + "X: " + strings.Repeat("y", 80<<10), alone: true, want: "431, closed", why: "max_header; RFC 6585, 5"},
		{name: "100 fields", send: fieldsOf(100), want: forwarded, why: "max_header_count"},
		{name: "128 fields", send: fieldsOf(128), want: forwarded, why: "max_header_count"},
		{name: "129 fields", send: fieldsOf(129), want: "431, closed", why: "max_header_count; RFC 6585, 5"},
		{name: "target of 8,000 bytes", send: targetOf(8000), want: forwarded, why: "RFC 9112, 3: 8,000 bytes at least"},
		{name: "target of 16 KiB", send: targetOf(16 << 10), want: forwarded, why: "max_target"},
		{name: "target of 16 KiB and a byte", send: targetOf(16<<10 + 1), want: "414, closed", why: "max_target; RFC 9110, 15.5.15"},
		{name: "target that does not end", send: "GET /" + strings.Repeat("a", 20<<10), alone: true, want: "414, closed", why: "max_target; RFC 9110, 15.5.15"},
		{name: "method that does not end", send: strings.Repeat("M", 20<<10), alone: true, want: refused, why: "RFC 9112, 3: a server may limit the method"},
		{name: "64 connection options", send: get("Connection: " + strings.Repeat("x,", 64) + "\r\n"), want: forwarded, saw: []string{getCase}, why: "RFC 9110, 5.4: a server may limit fields"},
		{name: "65 connection options", send: get("Connection: " + strings.Repeat("x,", 65) + "\r\n"), want: refused, why: "RFC 9110, 5.4: a server may limit fields"},
		{name: "body as long as allowed", send: post("Content-Length: 8\r\n", "12345678"), maxBody: 8, want: forwarded, why: "max_body"},
		{name: "declared body too long", send: post("Content-Length: 9\r\n", "123456789"), maxBody: 8, want: "413, closed", why: "max_body; RFC 9110, 15.5.14"},
		{name: "declared body too long that never comes", send: post("Content-Length: 999999999999999999\r\n", ""), alone: true, maxBody: 8, want: "413, closed", why: "max_body; RFC 9110, 15.5.14"},
		{name: "chunked body too long", send: chunks("5\r\n12345\r\n5\r\n12345\r\n0\r\n\r\n"), maxBody: 8, want: "413, closed", why: "max_body, while streaming; RFC 9110, 15.5.14"},
		{name: "chunk of a size that is too long", send: chunks("fffffff\r\n123456789"), alone: true, maxBody: 8, want: "413, closed", why: "max_body, while streaming; RFC 9110, 15.5.14"},
	},
}
