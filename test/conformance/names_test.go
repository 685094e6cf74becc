package conformance

const nameRule = "RFC 9110, 5.1: field-name = token"

var names = topic{
	name:  "Field names",
	about: "A name is a token, and the colon follows it at once. What is accepted is forwarded in its order and case.",
	messages: []message{
		{name: "every byte of a token", send: get("!#$%&'*+-.^_`|~09azAZ: y\r\n"), want: forwarded, why: "RFC 9110, 5.6.2"},
		{name: "order, case and repetition", send: get("b: 1\r\nA: 2\r\nB: 3\r\na:4\r\nX:\r\n"), want: forwarded, why: "RFC 9110, 5.3: the order of fields of a name matters"},
		{name: "underscore in a name", send: get("X_Y: z\r\n"), want: forwarded, why: "RFC 9110, 5.6.2"},
		{name: "space before the colon", send: get("X : y\r\n"), want: refused, why: "RFC 9112, 5.1: 400 for white space before the colon"},
		{name: "tab before the colon", send: get("X\t: y\r\n"), want: refused, why: "RFC 9112, 5.1: 400 for white space before the colon"},
		{name: "empty name", send: get(": y\r\n"), want: refused, why: nameRule},
		{name: "no colon", send: get("X\r\n"), want: refused, why: "RFC 9112, 5: field-line = field-name \":\""},
		{name: "space in a name", send: get("X Y: z\r\n"), want: refused, why: nameRule},
		{name: "NUL in a name", send: get("X\x00Y: z\r\n"), want: refused, why: nameRule},
		{name: "NUL before a name", send: get("\x00X: z\r\n"), want: refused, why: nameRule},
		{name: "parenthesis in a name", send: get("X(Y): z\r\n"), want: refused, why: nameRule},
		{name: "slash in a name", send: get("X/Y: z\r\n"), want: refused, why: nameRule},
		{name: "quote in a name", send: get("X\"Y: z\r\n"), want: refused, why: nameRule},
		{name: "bracket in a name", send: get("X[]: z\r\n"), want: refused, why: nameRule},
		{name: "byte above ASCII in a name", send: get("X\xc3\xa9: z\r\n"), want: refused, why: nameRule},
		{name: "soft hyphen in a name", send: get("Transfer\xadEncoding: chunked\r\n"), want: refused, why: nameRule},
		{name: "DEL in a name", send: get("X\x7f: z\r\n"), want: refused, why: nameRule},
		{name: "a second request line among the fields", send: get("GET /poison HTTP/1.1\r\n"), want: refused, why: nameRule},
		{name: "spoofed forwarding fields", send: get("X-Forwarded-For: 6.6.6.6\r\nx-forwarded-host: evil.example\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n"), want: forwarded, saw: []string{getCase}, why: "RFC 7239, 8.1: from a client that is not trusted they are dropped and written afresh"},
		{name: "look-alikes of forwarding fields", send: get("X_Forwarded_For: 6.6.6.6\r\nX-Real_IP: 6.6.6.6\r\n"), want: forwarded, saw: []string{getCase}, why: "RFC 3875, 4.1.18: CGI makes one name of both"},
	},
}
