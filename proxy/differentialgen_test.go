package proxy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// trial is an exchange as it was thought up: a request and the response that the origin gives to it.
type trial struct {
	method, target, version string
	asked, answered         payload
	interims                []string // heads, without their empty line
	status                  string   // with the reason
	old                     bool     // the origin answers with HTTP/1.0
	ends                    bool     // the client's connection ends with the response
}

// payload is what both directions have.
type payload struct {
	lines   []string
	coding  coding
	content string
	chunks  []int // sizes; what is left of the content is the last one
	odd     bool  // extensions and leading zeros
	trailer []string
}

type coding uint8

const (
	none     coding = iota // no body
	length                 // Content-Length
	chunks                 // Transfer-Encoding: chunked
	toTheEnd               // of the connection
	promised               // Content-Length without a body, as in a response to HEAD
)

// text writes a message that begins with start.
func (p *payload) text(start string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\r\n", start)
	for _, l := range p.lines {
		fmt.Fprintf(&b, "%s\r\n", l)
	}
	switch p.coding {
	case length, promised:
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", len(p.content))
	case chunks:
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		p.writeChunks(&b)
		return b.String()
	default:
		b.WriteString("\r\n")
	}
	if p.coding != promised {
		b.WriteString(p.content)
	}
	return b.String()
}

func (p *payload) writeChunks(b *strings.Builder) {
	rest, zeros, extension := p.content, "", ""
	if p.odd {
		zeros, extension = "00", `;a;b=c;d="e;f"`
	}
	for _, n := range append(slices.Clip(p.chunks), len(rest)) {
		if n = min(n, len(rest)); n > 0 {
			fmt.Fprintf(b, "%s%X%s\r\n%s\r\n", zeros, n, extension, rest[:n])
			rest = rest[n:]
		}
	}
	fmt.Fprintf(b, "%s0%s\r\n", zeros, extension)
	for _, l := range p.trailer {
		fmt.Fprintf(b, "%s\r\n", l)
	}
	b.WriteString("\r\n")
}

// thinker thinks trials up.
type thinker struct{ *rand.Rand }

func (r thinker) of(choices ...string) string { return choices[r.IntN(len(choices))] }

// in is true in one of n cases.
func (r thinker) in(n int) bool { return r.IntN(n) == 0 }

// session is what happens on one connection.
type session struct {
	trials    []trial
	pipelined bool
}

func (r thinker) session(number int) session {
	s := session{trials: make([]trial, 1+r.IntN(7)), pipelined: r.in(3)}
	for i := range s.trials {
		s.trials[i] = r.trial(fmt.Sprintf("%d.%d", number, i), i == len(s.trials)-1)
	}
	return s
}

// trial thinks up an exchange. Only the last one of a session may end the connection.
func (r thinker) trial(name string, last bool) trial {
	t := trial{
		method:  r.of("GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW", "M-SEARCH", "get"),
		version: "HTTP/1.1", target: r.target(),
	}
	t.asked.lines = []string{"X-Trial: " + name}
	t.requestLines(r, last)
	if t.method != "GET" && t.method != "get" && t.method != "HEAD" || r.in(6) {
		r.body(&t.asked, len(t.asked.text(t.method+" "+t.target+" HTTP/1.1")))
	}
	if t.version == "HTTP/1.0" && t.asked.coding == chunks {
		t.asked.coding = length
	}
	if t.asked.coding == none && r.in(8) {
		t.asked.coding = length
	}
	t.response(r, name, last)
	return t
}

func (r thinker) target() string {
	path := ""
	for range 1 + r.IntN(4) {
		path += r.of("/", "/a", "/a%20b", "/%7Euser", "/%7euser", "/a%2Fb", "/a%2fb", "/p;v=1", "/x,y", "/!$&'()*+,;=:@", "/.", "/..", "/...", "/%01",
			"/%0d%0a", "/-._~", "/%C3%A9", "/[a]", "/"+strings.Repeat("long", r.IntN(100)))
	}
	query := r.of("", "", "", "?", "?q", "?q=1&q=1&q=", "?a;b", "?/?:@", "?%25%26", "?a=%3Cb%3E", "?"+strings.Repeat("k=v&", r.IntN(200)))
	return path + query
}

// requestLines are the fields of a request, in any order.
func (t *trial) requestLines(r thinker, last bool) {
	host := r.of("h", "shop.example", "SHOP.example:8080", "[::1]:80", "a-b.c_d")
	lines := append(t.asked.lines, r.of("Host: ", "host:", "HOST:\t")+host)
	switch {
	case r.in(12):
		t.target = r.of("http://", "HTTP://") + r.of("other.example", "other:81") + t.target
	case t.method == "OPTIONS" && r.in(2):
		t.target = "*"
	case r.in(10):
		t.version = "HTTP/1.0"
		if t.ends = last; !last {
			lines = append(lines, "Connection: "+r.of("keep-alive", "Keep-Alive"))
		} else if r.in(2) {
			lines = append(lines[:1], lines[2:]...) // no Host
		}
	}
	if last && r.in(4) {
		lines, t.ends = append(lines, "Connection: "+r.of("close", "Close, X-Hop", "x , close")), true
	}
	for range r.IntN(6) {
		lines = append(lines, r.of("Accept: */*", "accept:text/html", "Cookie: a=b; c=d", "COOKIE:e=f", "X-Empty:", "X-Empty: \t", "X-Same: 1", "x-same: 2",
			"X-SAME:\t3 ", "User-Agent: u/1", "If-None-Match: \"a\", W/\"b\"", "Authorization: Basic eDp5", "X-Odd!#$%&'*+-.^_`|~: y", "X-High: \xe9\xff",
			"X-Spaces:  a  b \t c  ", "X-Long: "+strings.Repeat("x", r.IntN(3000)), "Accept-Encoding: gzip", "Range: bytes=0-1", "Content-Type: text/plain", "X-Hop2: there"))
	}
	if t.version == "HTTP/1.1" && r.in(4) { // net/http looks for keep-alive in the first line only
		lines = append(lines, r.of("Connection: X-Hop", "connection:x-hop ,X-HOP2", "CONNECTION: ,,keep-alive,\tX-Hop"), "X-Hop: 1", "Keep-Alive: timeout=5")
	}
	if t.version == "HTTP/1.1" && r.in(12) {
		lines = append(lines, r.of("Expect: 100-continue", "expect:100-Continue"))
	}
	if r.in(6) {
		lines = append(lines, r.of("TE: trailers", "Proxy-Connection: x", "Upgrade: h2c", "Proxy-Authorization: Basic eDp5", "Te: deflate",
			"X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: evil", "Forwarded: for=1.2.3.4", "x-real-ip: 1.2.3.4", "X-Forwarded-Proto: gopher"))
	}
	r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	t.asked.lines = onceOnly(lines)
}

// onceOnly removes repetitions of fields that have one value only (RFC 9110, section 5.3).
func onceOnly(lines []string) (kept []string) {
	seen := map[string]bool{}
	for _, l := range lines {
		name, _, _ := strings.Cut(strings.ToLower(l), ":")
		switch name {
		case "user-agent", "content-type", "authorization", "if-none-match", "range":
			if seen[name] {
				continue
			}
			seen[name] = true
		}
		kept = append(kept, l)
	}
	return kept
}

// body thinks up content that ends near the bounds of buffers, behind a head of that size.
func (r thinker) body(p *payload, head int) {
	size := r.IntN(300)
	if r.in(2) {
		size = []int{0, 4 << 10, 16 << 10, 16<<10 - head, 16<<10 - head, 32 << 10, 64 << 10, 80 << 10}[r.IntN(8)] - 3 + r.IntN(7)
	}
	content := make([]byte, max(size, 0))
	for i := range content {
		content[i] = "\r\n0aGET / HTTP/1.1: ;=,"[r.IntN(22)]
	}
	p.content, p.coding = string(content), length
	if r.in(2) {
		return
	}
	p.coding, p.odd = chunks, r.in(3)
	for range r.IntN(5) {
		p.chunks = append(p.chunks, []int{1, 2, 15, 16, 100, 4 << 10, 16<<10 - head - 8, 16 << 10}[r.IntN(8)])
	}
	if r.in(3) {
		p.trailer = []string{"X-Sum: 1", r.of("x-sum2:2", "X-Sum: 3")}
	}
}

// response thinks up the origin's side.
func (t *trial) response(r thinker, name string, last bool) {
	t.status = r.of("200 OK", "200 OK", "200 OK", "200 ", "200 Fine With Me", "201 Created", "204 No Content", "206 Partial Content", "301 Moved",
		"304 Not Modified", "404 Not Found", "418 teapot", "500 Oh", "503 Busy", "599 X")
	p := &t.answered
	p.lines = []string{"X-Trial: " + name, r.of("Date: ", "date:") + "Sun, 06 Nov 1994 08:49:37 GMT", r.of("Content-Type: ", "CONTENT-TYPE:") + "text/plain"}
	for range r.IntN(6) {
		p.lines = append(p.lines, r.of("Server: s", "ETag: \"x\"", "Set-Cookie: a=b; Path=/", "set-cookie:c=d", "SET-COOKIE: e=f", "X-Empty:", "Vary: a", "vary:B",
			"X-High: \xe9\xff", "X-Long: "+strings.Repeat("y", r.IntN(5000)), "Cache-Control: no-cache", "Location: /a b", "WWW-Authenticate: Basic realm=\"x\""))
	}
	if r.in(5) {
		p.lines = append(p.lines, r.of("Connection: X-Hop", "connection:keep-alive,\tx-hop"), "X-Hop: 1", "Keep-Alive: timeout=5", "Proxy-Authenticate: Basic")
	}
	empty := strings.HasPrefix(t.status, "204") || strings.HasPrefix(t.status, "304")
	if empty {
		p.lines = slices.Delete(p.lines, 2, 3) // net/http takes the type of nothing away
	}
	r.Shuffle(len(p.lines), func(i, j int) { p.lines[i], p.lines[j] = p.lines[j], p.lines[i] })
	for t.version == "HTTP/1.1" && r.in(6) {
		t.interims = append(t.interims, r.of("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nlink:</b.css>\r\n", "HTTP/1.1 102 Processing\r\n", "HTTP/1.1 100 Continue\r\n"))
	}
	if t.method == "HEAD" || empty {
		if !strings.HasPrefix(t.status, "204") && r.in(2) {
			p.coding, p.content = promised, "seventy-seven"
		}
		return
	}
	r.body(p, len(p.text("HTTP/1.1 "+t.status)))
	switch {
	case last && r.in(5):
		p.coding, t.ends, t.old = toTheEnd, true, r.in(2)
	case p.coding == length && r.in(8):
		t.old = true
	case p.coding == chunks && t.version == "HTTP/1.0":
		if !last {
			p.coding = length // only the end of the connection could end it
		}
	}
	if p.coding != chunks {
		p.trailer = nil
	}
}

// requestText and responseText are the bytes on the wire.
func (t *trial) requestText() string {
	return t.asked.text(t.method + " " + t.target + " " + t.version)
}

func (t *trial) responseText() string {
	text := ""
	for _, i := range t.interims {
		text += i + "\r\n"
	}
	version := "HTTP/1.1 "
	if t.old {
		version = "HTTP/1.0 "
	}
	return text + t.answered.text(version+t.status)
}
