package http1

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// scanned is what comes of a body that arrives in parts.
type scanned struct {
	out  string // forwarded, with the tail
	used int    // bytes that belonged to the body
	done bool
	data int64
	err  error
}

// scan feeds parts to c, one call per run as the exchange does.
func scan(c *Chunked, parts [][]byte, content bool) (r scanned) {
	for _, b := range parts {
		for len(b) > 0 && !c.Done() {
			run, n, err := c.Scan(b, content)
			if n > len(b) || (n == 0 && err == nil && len(run) == 0) {
				panic(fmt.Sprintf("no progress at %q", b))
			}
			if err != nil {
				r.err = err
				return r
			}
			r.out += string(run)
			r.used += n
			b = b[n:]
		}
	}
	r.done, r.data = c.Done(), c.Data()
	if r.done && !content {
		r.out += string(c.Tail())
	}
	return r
}

var (
	longExtension = strings.Repeat("e", maxChunkExtension-1)
	longTrailer   = "X: " + strings.Repeat("y", maxTrailer-len("X: \r\n\r\n"))
)

var chunkedTests = []struct {
	name    string
	in      string
	want    string // forwarded; "" with err
	content string
	err     *Error
}{
	{"empty", "0\r\n\r\n", "0\r\n\r\n", "", nil},
	{"one chunk", "3\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", "abc", nil},
	{"chunks", "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "abc", nil},
	{"hexadecimal", "0A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "0A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", nil},
	{"content like framing", "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "\r\n0\r\n\r\n", nil},
	{"last chunk of zeros", "000\r\n\r\n", "000\r\n\r\n", "", nil},
	{"extension", "3;a=b;c=\"d e\"\r\nabc\r\n0;x\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", "abc", nil},
	{"empty extension", "3;\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", "abc", nil},
	{"longest extension", "3;" + longExtension + "\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", "abc", nil},
	{"extension too long", "3;" + longExtension + "e\r\nabc\r\n0\r\n\r\n", "", "", ErrChunkExtension},
	{"extensions too long", strings.Repeat("1;"+longExtension+"\r\na\r\n", 65) + "0\r\n\r\n", "", "", ErrChunkExtension},
	{"extension with LF", "3;a\nabc\r\n0\r\n\r\n", "", "", ErrChunkExtension},
	{"extension with NUL", "3;a\x00\r\nabc\r\n0\r\n\r\n", "", "", ErrChunkExtension},
	{"extension with CR", "3;a\rb\r\nabc\r\n0\r\n\r\n", "", "", ErrChunkSize},
	{"no size", "\r\nabc\r\n", "", "", ErrChunkSize},
	{"extension without a size", ";a\r\nabc\r\n", "", "", ErrChunkSize},
	{"signed size", "+3\r\nabc\r\n0\r\n\r\n", "", "", ErrChunkSize},
	{"negative size", "-3\r\nabc\r\n0\r\n\r\n", "", "", ErrChunkSize},
	{"prefixed size", "0x3\r\nabc\r\n0\r\n\r\n", "", "", ErrChunkSize},
	{"size with an underscore", "1_0\r\nabc\r\n", "", "", ErrChunkSize},
	{"size that is not hexadecimal", "g\r\n", "", "", ErrChunkSize},
	{"space before the size", " 3\r\nabc\r\n0\r\n\r\n", "", "", ErrChunkSize},
	{"space behind the size", "3 \r\nabc\r\n0\r\n\r\n", "", "", ErrChunkSize},
	{"tabs behind the size", "3\t\t\r\nabc\r\n0\r\n\r\n", "", "", ErrChunkSize},
	{"space and a bare LF behind the size", "3 \nabc\r\n0\r\n\r\n", "", "", ErrChunkSize},
	{"space and a digit behind the size", "3 0\r\nabc\r\n0\r\n\r\n", "", "", ErrChunkSize},
	{"space before the extension", "3 \t;a\r\nabc\r\n0 ; b = c\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", "abc", nil},
	{"spaces and the longest extension", "3" + strings.Repeat(" ", maxChunkExtension-2) + ";a\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", "abc", nil},
	{"spaces and an extension too long", "3" + strings.Repeat(" ", maxChunkExtension-1) + ";a\r\nabc\r\n0\r\n\r\n", "", "", ErrChunkExtension},
	{"spaces that do not end", "3" + strings.Repeat(" ", maxChunkExtension+1), "", "", ErrChunkExtension},
	{"spaces too many", strings.Repeat("1"+strings.Repeat(" ", maxChunkExtension-1)+";\r\na\r\n", 65) + "0\r\n\r\n", "", "", ErrChunkExtension},
	{"NUL in the size", "3\x00\r\nabc\r\n0\r\n\r\n", "", "", ErrChunkSize},
	{"bare LF behind the size", "3\nabc\r\n0\r\n\r\n", "", "", ErrChunkSize},
	{"bare CR behind the size", "3\rabc\r\n0\r\n\r\n", "", "", ErrChunkSize},
	{"two CR behind the size", "3\r\r\nabc\r\n0\r\n\r\n", "", "", ErrChunkSize},
	{"size that overflows", "10000000000000003\r\nabc\r\n0\r\n\r\n", "", "", ErrChunkSize},
	{"size of 16 zeros", "0000000000000000\r\n\r\n", "", "", ErrChunkSize},
	{"data too long", "3\r\nabcd\r\n0\r\n\r\n", "", "", ErrChunkEnd},
	{"data too short", "3\r\nab\r\n0\r\n\r\n", "", "", ErrChunkEnd},
	{"bare LF behind the data", "3\r\nabc\n0\r\n\r\n", "", "", ErrChunkEnd},
	{"bare CR behind the data", "3\r\nabc\r0\r\n\r\n", "", "", ErrChunkEnd},
	{"bare LF at the end", "0\r\n\n", "", "", ErrTrailer},
	{"bare CR at the end", "0\r\n\rX", "", "", ErrChunkEnd},
	{"trailer", "0\r\nX-Sum: 1\r\ngrpc-status: 0\r\n\r\n", "0\r\nX-Sum: 1\r\ngrpc-status: 0\r\n\r\n", "", nil},
	{"forbidden trailers", "0\r\nX: 1\r\ncontent-Length: 5\r\nTRANSFER-ENCODING: chunked\r\nHost: b\r\nCookie: c\r\nSet-Cookie: c\r\n" +
		"Authorization: x\r\nCache-Control: x\r\nContent-Type: x\r\nConnection: x\r\nTrailer: x\r\nTE: x\r\nX-Forwarded-For: x\r\n" +
		"Expect: x\r\nUpgrade: x\r\nY: 2\r\n\r\n", "0\r\nX: 1\r\nY: 2\r\n\r\n", "", nil},
	{"forbidden trailers only", "0\r\nHost: b\r\n\r\n", "0\r\n\r\n", "", nil},
	{"malformed length in the trailer", "0\r\nContent-Length: x\r\n\r\n", "", "", ErrTrailer},
	{"folded trailer", "0\r\nX: 1\r\n 2\r\n\r\n", "", "", ErrTrailer},
	{"trailer folded at once", "0\r\n X: 1\r\n\r\n", "", "", ErrTrailer},
	{"trailer without a colon", "0\r\nX\r\n\r\n", "", "", ErrTrailer},
	{"trailer with a bare LF", "0\r\nX: 1\nY: 2\r\n\r\n", "", "", ErrTrailer},
	{"trailer with NUL", "0\r\nX: \x00\r\n\r\n", "", "", ErrTrailer},
	{"longest trailer", "0\r\n" + longTrailer + "\r\n\r\n", "0\r\n" + longTrailer + "\r\n\r\n", "", nil},
	{"trailer too long", "0\r\n" + longTrailer + "yy\r\n\r\n", "", "", ErrTrailer},
	{"trailer that does not end", "0\r\nX: " + strings.Repeat("y", maxTrailer), "", "", ErrTrailer},
	{"64 trailers", "0\r\n" + strings.Repeat("X: y\r\n", 64) + "\r\n", "0\r\n" + strings.Repeat("X: y\r\n", 64) + "\r\n", "", nil},
	{"65 trailers", "0\r\n" + strings.Repeat("X: y\r\n", 65) + "\r\n", "", "", ErrTrailer},
}

func TestChunked(t *testing.T) {
	const next = "GET / HTTP/1.1\r\n"
	for _, tt := range chunkedTests {
		t.Run(tt.name, func(t *testing.T) {
			for _, content := range []bool{false, true} {
				var c Chunked
				got := scan(&c, [][]byte{[]byte(tt.in + next)}, content)
				checkScanned(t, got, tt.in, want(tt.want, tt.content, content), int64(len(tt.content)), tt.err)
			}
		})
	}
}

func want(whole, data string, content bool) string {
	if content {
		return data
	}
	return whole
}

func checkScanned(t *testing.T, got scanned, in, want string, data int64, wantErr *Error) {
	t.Helper()
	if wantErr != nil {
		if got.err != error(wantErr) {
			t.Fatalf("error %v, want %v (%+v)", got.err, wantErr, got)
		}
		return
	}
	if got.err != nil || !got.done || got.used != len(in) || got.out != want || got.data != data {
		t.Fatalf("got %+v, want %q, %d bytes of which %d are content", got, want, len(in), data)
	}
}

// TestChunkedInParts cuts every body at every position, and into single bytes.
func TestChunkedInParts(t *testing.T) {
	for _, tt := range chunkedTests {
		t.Run(tt.name, func(t *testing.T) {
			in := []byte(tt.in)
			step := 1 + len(in)/200
			for _, content := range []bool{false, true} {
				for i := 0; i <= len(in); i += step {
					var c Chunked
					got := scan(&c, [][]byte{in[:i], in[i:]}, content)
					checkScanned(t, got, tt.in, want(tt.want, tt.content, content), int64(len(tt.content)), tt.err)
				}
				var c Chunked
				got := scan(&c, bytes.SplitAfter(in, nil), content)
				checkScanned(t, got, tt.in, want(tt.want, tt.content, content), int64(len(tt.content)), tt.err)
			}
		})
	}
}

// TestChunkedIncomplete: no proper beginning of a body is taken for the whole.
func TestChunkedIncomplete(t *testing.T) {
	in := []byte("3;x\r\nabc\r\n0\r\nX: y\r\n\r\n")
	for i := range in {
		var c Chunked
		if got := scan(&c, [][]byte{in[:i]}, false); got.done || got.err != nil {
			t.Errorf("%q: %+v", in[:i], got)
		}
	}
}

func TestChunkedReset(t *testing.T) {
	var c Chunked
	for _, in := range []string{"0\r\nX: y\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", "0\r\nZ: 1\r\n\r\n"} {
		c.Reset()
		if got := scan(&c, [][]byte{[]byte(in)}, false); !got.done || got.out != in {
			t.Errorf("%q: %+v", in, got)
		}
	}
	c.Reset()
	scan(&c, [][]byte{[]byte("5\r\nab")}, false)
	c.Reset()
	if got := scan(&c, [][]byte{[]byte("0\r\n\r\n")}, false); !got.done || got.data != 0 {
		t.Errorf("after a body that was given up: %+v", got)
	}
}

func TestChunkedAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	body := []byte("3;x\r\nabc\r\n4\r\nabcd\r\n0\r\nX: y\r\nHost: z\r\n\r\n")
	var c Chunked
	allocs := testing.AllocsPerRun(100, func() {
		c.Reset()
		for b := body; len(b) > 0; {
			_, n, err := c.Scan(b, false)
			if err != nil {
				panic(err)
			}
			b = b[n:]
		}
	})
	if allocs != 0 || !c.Done() {
		t.Errorf("%v allocations, want 0; done %v", allocs, c.Done())
	}
}

func TestChunkedWithholds(t *testing.T) {
	const in = "0\r\nX-Request-ID: 1\r\nA: 1\r\nx_request_id: 2\r\nX-Admin: 1\r\nX-Admins: 1\r\n\r\n"
	tests := []struct {
		name         string
		own, claimed []string
		want         string
	}{
		{"nothing", nil, nil, in[len("0\r\n"):]},
		{"own", []string{"x-request-id"}, nil, "A: 1\r\nX-Admin: 1\r\nX-Admins: 1\r\n\r\n"},
		{"claimed", nil, []string{"b", "x-admin"}, "X-Request-ID: 1\r\nA: 1\r\nx_request_id: 2\r\nX-Admins: 1\r\n\r\n"},
		{"claimed in another form", nil, []string{"x.request_id"}, "X-Request-ID: 1\r\nA: 1\r\nX-Admin: 1\r\nX-Admins: 1\r\n\r\n"},
		{"both", []string{"x-request-id", "a"}, []string{"x-admins", "x-admin"}, "\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c Chunked
			c.Withhold(tt.own, tt.claimed)
			for i := range len(in) {
				if _, _, err := c.Scan([]byte{in[i]}, false); err != nil {
					t.Fatal(err)
				}
			}
			if got := string(c.Tail()); !c.Done() || got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
