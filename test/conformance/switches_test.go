package conformance

// asking and agreeing are the fields of a WebSocket handshake (RFC 6455, section 1.3). Weir writes
// those that change the protocol behind the others.
const (
	upgrade  = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
	asking   = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + upgrade
	agreeing = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" + upgrade
)

var switches = topic{
	name:  "Protocol switches",
	about: "After a backend's 101 bytes go both ways, those that came with the heads first.",
	messages: []message{
		{name: "websocket", send: get(asking), alone: true, then: "from the client", until: responseBegun, fin: true, saw: []string{get(asking)}, reply: "HTTP/1.1 101 Switching Protocols\r\nX-Origin: script\r\n" + agreeing + "\r\n", want: passedLast, why: "RFC 9110, 7.8"},
		{name: "websocket with bytes behind both heads", send: get(asking) + "from the client", alone: true, until: responseBegun, fin: true, saw: []string{get(asking)}, reply: "HTTP/1.1 101 Switching Protocols\r\nX-Origin: script\r\n" + agreeing + "\r\nfrom the backend", want: passedLast, why: "RFC 9110, 7.8"},
		{name: "websocket with requests behind the head", send: get(asking) + poison, alone: true, until: responseBegun, fin: true, saw: []string{get(asking)}, reply: "HTTP/1.1 101 Switching Protocols\r\nX-Origin: script\r\n" + agreeing + "\r\n", want: passedLast, why: "RFC 9110, 7.8: what follows is that protocol"},
		{name: "101 without Connection", send: get(asking), reply: "HTTP/1.1 101 Switching Protocols\r\nX-Origin: script\r\nUpgrade: websocket\r\n\r\n", want: badGateway, why: "RFC 9110, 7.8: an Upgrade must be named"},
		{name: "101 without Upgrade", send: get(asking), reply: "HTTP/1.1 101 Switching Protocols\r\nX-Origin: script\r\nConnection: upgrade\r\n\r\n", want: badGateway, why: "RFC 9110, 7.8: a 101 names the protocol"},
		{name: "upgrade that the backend refuses", send: get(asking), reply: "HTTP/1.1 426 Upgrade Required\r\nX-Origin: script\r\nContent-Length: 0\r\n\r\n", want: passed, why: "RFC 9110, 7.8: the connection goes on as HTTP/1.1"},
	},
}
