package http1

import (
	"strings"
	"testing"

	"weir/proxy/message"
)

func TestAppendRequest(t *testing.T) {
	tests := []struct {
		name string
		in   string
		drop func(h *message.Head)
		want string
	}{
		{
			"as it came", "POST /%7Ea?b=c;d HTTP/1.1\r\nhOsT:a\r\nX-B:\t 1 \r\nCONTENT-length: 3\r\nx-a: 2\r\n\r\n", nil,
			"POST /%7Ea?b=c;d HTTP/1.1\r\nhOsT:a\r\nX-B:\t 1 \r\nCONTENT-length: 3\r\nx-a: 2\r\n",
		},
		{"1.0 becomes 1.1", "GET / HTTP/1.0\r\nX: y\r\n\r\n", nil, "GET / HTTP/1.1\r\nX: y\r\n"},
		{"no fields", "GET / HTTP/1.0\r\n\r\n", nil, "GET / HTTP/1.1\r\n"},
		{
			"hop-by-hop fields between others",
			"GET / HTTP/1.1\r\nConnection: x-a, close\r\nHost: a\r\nX-A: 1\r\nX-B: 2\r\nKeep-Alive: 5\r\nUpgrade: h2c\r\nX-C: 3\r\nProxy-Connection: y\r\n\r\n",
			(*message.Head).StripHopByHop, "GET / HTTP/1.1\r\nHost: a\r\nX-B: 2\r\nX-C: 3\r\n",
		},
		{
			"the first and the last field dropped", "GET / HTTP/1.1\r\nTE: x\r\nHost: a\r\nConnection: close\r\n\r\n",
			(*message.Head).StripHopByHop, "GET / HTTP/1.1\r\nHost: a\r\n",
		},
		{
			"every field dropped", "GET / HTTP/1.0\r\nConnection: close\r\nKeep-Alive: 1\r\n\r\n",
			(*message.Head).StripHopByHop, "GET / HTTP/1.1\r\n",
		},
		{
			"chunked is written afresh", "POST / HTTP/1.1\r\nTransfer-ENCODING: CHUNKED\r\nHost: a\r\n\r\n",
			(*message.Head).StripHopByHop, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n",
		},
		{
			"trailers are asked for", "GET / HTTP/1.1\r\nTE: gzip, trailers\r\nConnection: te\r\nHost: a\r\n\r\n",
			(*message.Head).StripHopByHop, "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n",
		},
		{
			"absolute", "GET http://b:81/c HTTP/1.1\r\nX: y\r\nHost: a\r\nZ: z\r\n\r\n", nil,
			"GET /c HTTP/1.1\r\nHost: b:81\r\nX: y\r\nZ: z\r\n",
		},
		{"absolute in 1.0", "GET http://b HTTP/1.0\r\nX: y\r\n\r\n", nil, "GET / HTTP/1.1\r\nHost: b\r\nX: y\r\n"},
		{"empty line first", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", nil, "GET / HTTP/1.1\r\nHost: a\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var h message.Head
			if size, err := ParseRequest([]byte(tt.in), &h, Limits{}); size != len(tt.in) || err != nil {
				t.Fatalf("size %d, error %v", size, err)
			}
			if tt.drop != nil {
				tt.drop(&h)
			}
			if got := string(AppendRequest([]byte("before "), &h)); got != "before "+tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAppendResponse(t *testing.T) {
	tests := []struct {
		name    string
		in      string
		chunked bool
		want    string
	}{
		{
			"as it came", "HTTP/1.1 404 Not  here \r\nset-COOKIE:a\r\nX: y\r\nset-COOKIE: b\r\n\r\n", false,
			"HTTP/1.1 404 Not  here \r\nset-COOKIE:a\r\nX: y\r\nset-COOKIE: b\r\n",
		},
		{"no reason", "HTTP/1.1 200\r\nX: y\r\n\r\n", false, "HTTP/1.1 200 \r\nX: y\r\n"},
		{"1.0 becomes 1.1", "HTTP/1.0 503 X\r\n\r\n", false, "HTTP/1.1 503 X\r\n"},
		{
			"hop-by-hop fields", "HTTP/1.1 200 OK\r\nConnection: x, Y\r\nA: 1\r\nKeep-Alive: 5\r\ny: 2\r\nConnection: z\r\nZ: 3\r\nX: 4\r\nB: 5\r\nProxy-Authenticate: p\r\n\r\n",
			false, "HTTP/1.1 200 OK\r\nA: 1\r\nB: 5\r\n",
		},
		{
			"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: 1\r\n\r\n", true,
			"HTTP/1.1 200 OK\r\nA: 1\r\nTransfer-Encoding: chunked\r\n",
		},
		{"no longer chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: 1\r\n\r\n", false, "HTTP/1.1 200 OK\r\nA: 1\r\n"},
		{"length stays", "HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 5\r\n\r\n", false, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var h message.Head
			if size, err := ParseResponse([]byte(tt.in), &h, Limits{}); size != len(tt.in) || err != nil {
				t.Fatalf("size %d, error %v", size, err)
			}
			h.StripHopByHop()
			if got := string(AppendResponse(nil, &h, tt.chunked)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAppendField(t *testing.T) {
	if got := string(AppendField([]byte("x"), "Name", []byte("value"))); got != "xName: value\r\n" {
		t.Errorf("got %q", got)
	}
}

// realRequest is what a browser sends, about 400 bytes.
var realRequest = []byte("GET /products/42/reviews?page=2&sort=newest HTTP/1.1\r\n" +
	"Host: shop.example.com\r\n" +
	"Connection: keep-alive\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n" +
	"Accept-Language: en-US,en;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate\r\n" +
	"Cookie: session=5f0c7e1b9a8d4c63\r\n" +
	"Cache-Control: max-age=0\r\n\r\n")

// realResponse is what an application sends, about 400 bytes.
var realResponse = []byte("HTTP/1.1 200 OK\r\n" +
	"Server: nginx\r\n" +
	"Date: Fri, 20 Nov 2026 10:00:00 GMT\r\n" +
	"Content-Type: application/json; charset=utf-8\r\n" +
	"Content-Length: 1234\r\n" +
	"Connection: keep-alive\r\n" +
	"Cache-Control: private, max-age=0, must-revalidate\r\n" +
	"ETag: \"4d2-Nc0aYcHYcT8mAq7zxF0ouw\"\r\n" +
	"Vary: Accept-Encoding\r\n" +
	"X-Content-Type-Options: nosniff\r\n" +
	"X-Request-Id: 8f14e45f-ceea-467f-a8f5-9f2d1c3b7a60\r\n" +
	"Strict-Transport-Security: max-age=31536000\r\n\r\n")

func TestHeadAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	limits := Limits{Header: 64 << 10, Fields: 128, Target: 16 << 10}
	refused := []byte(requestWith("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"))
	ipv6 := []byte(requestFor("[2001:db8::1]:8080"))
	var h message.Head
	out := make([]byte, 0, 4<<10)
	allocs := testing.AllocsPerRun(100, func() {
		for _, in := range [][]byte{realRequest, ipv6, realRequest[:100]} {
			if _, err := ParseRequest(in, &h, limits); err != nil {
				panic(err)
			}
		}
		if _, err := ParseRequest(refused, &h, limits); err == nil {
			panic("accepted")
		}
		if _, err := ParseRequest(realRequest, &h, limits); err != nil {
			panic(err)
		}
		h.StripHopByHop()
		h.DropForwarded()
		out = AppendRequest(out[:0], &h)
		if _, err := ParseResponse(realResponse, &h, limits); err != nil {
			panic(err)
		}
		h.StripHopByHop()
		out = AppendResponse(out[:0], &h, false)
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
	if strings.Contains(string(out), "Connection") || !strings.Contains(string(out), "Vary") {
		t.Errorf("wrote %q", out)
	}
}

func BenchmarkParseRequest(b *testing.B) {
	var h message.Head
	limits := Limits{Header: 64 << 10, Fields: 128, Target: 16 << 10}
	b.SetBytes(int64(len(realRequest)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseRequest(realRequest, &h, limits); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseResponse(b *testing.B) {
	var h message.Head
	limits := Limits{Header: 64 << 10}
	b.SetBytes(int64(len(realResponse)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseResponse(realResponse, &h, limits); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendRequest(b *testing.B) {
	var h message.Head
	if _, err := ParseRequest(realRequest, &h, Limits{}); err != nil {
		b.Fatal(err)
	}
	out := make([]byte, 0, 4<<10)
	b.ReportAllocs()
	for b.Loop() {
		h.StripHopByHop()
		out = AppendRequest(out[:0], &h)
	}
}

func BenchmarkChunked(b *testing.B) {
	body := []byte(strings.Repeat("400\r\n"+strings.Repeat("x", 1024)+"\r\n", 15) + "0\r\n\r\n")
	var c Chunked
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		c.Reset()
		if _, n, err := c.Scan(body, false); n != len(body) || err != nil || !c.Done() {
			b.Fatal(n, err)
		}
	}
}
