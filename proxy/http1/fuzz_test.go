package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"

	"weir/proxy/message"
)

// FuzzParseRequest: sizes stay within the buffer, parts are incomplete or refused alike, what is
// written reads the same again, and net/http reads what is accepted in the same way.
func FuzzParseRequest(f *testing.F) {
	for _, tt := range requestTests {
		f.Add([]byte(tt.in))
	}
	f.Add(realRequest)
	f.Fuzz(func(t *testing.T, b []byte) {
		var h message.Head
		size, err := ParseRequest(b, &h, testLimits)
		checkPrefixes(t, b, size, err, func(b []byte) (int, error) {
			var h message.Head
			return ParseRequest(b, &h, testLimits)
		})
		if size == 0 {
			return
		}
		compareWithNetHTTP(t, h.Buf, &h)
		meaning := request(&h)
		h.StripHopByHop()
		out := append(AppendRequest(nil, &h), "\r\n"...)
		var again message.Head
		if n, err := ParseRequest(out, &again, Limits{}); n != len(out) || (err != nil && err != error(ErrHostMissing)) {
			if h.Minor == 1 || h.Has(message.Host) || h.Absolute {
				t.Fatalf("%q does not parse: %d, %v", out, n, err)
			}
			return // a 1.0 request without Host; whoever forwards it adds one
		}
		if got, want := strip(request(&again)), strip(meaning); got != want {
			t.Fatalf("%q was read as %q, and what is written as %q", b[:size], want, got)
		}
		if again.Close || again.Upgrade || again.KeepAlive {
			t.Fatalf("connection options survive in %q", out)
		}
	})
}

// strip takes out of a meaning what a hop may change.
func strip(s string) string {
	s = strings.Replace(s, " 1.0 ", " 1.1 ", 1)
	for _, option := range []string{" absolute", " close", " keep-alive", " upgrade", " expect"} {
		s = strings.Replace(s, option, "", 1)
	}
	return s
}

// checkPrefixes parses parts of b: all of them if it is short.
func checkPrefixes(t *testing.T, b []byte, size int, err error, parse func([]byte) (int, error)) {
	t.Helper()
	if size < 0 || size > len(b) || (err != nil && size != 0) {
		t.Fatalf("size %d of %d, error %v", size, len(b), err)
	}
	if err != nil && !errors.As(err, new(*Error)) {
		t.Fatalf("error of type %T", err)
	}
	step := 1 + len(b)/64
	for n := 0; n < len(b); n += step {
		s, e := parse(b[:n])
		switch {
		case e != nil && e != err:
			t.Fatalf("error %v after %d bytes, %v after %d", e, n, err, len(b))
		case s != 0 && s != size:
			t.Fatalf("size %d after %d bytes, %d after %d", s, n, size, len(b))
		case s == 0 && e == nil && size > 0 && n >= size:
			t.Fatalf("incomplete after %d bytes of %d", n, size)
		}
	}
}

// compareWithNetHTTP lets net/http read an accepted head. Differences that are meant:
//   - net/http reads versions above 1.1 as they are, we as 1.1;
//   - it refuses targets whose percent-encoding is malformed, and hosts of absolute targets that
//     it deems malformed, as it parses them into a url.URL, where we forward them as they came;
//   - it takes a Host field as it is, so that only accepted ones can be compared;
//   - it refuses an empty line first, which is not compared.
func compareWithNetHTTP(t *testing.T, head []byte, h *message.Head) {
	t.Helper()
	theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		refusedByURL := strings.Contains(err.Error(), "parse ") || strings.Contains(err.Error(), "invalid URI")
		if refusedByURL {
			return
		}
		t.Fatalf("net/http refuses %q: %v", head, err)
	}
	if theirs.Method != string(h.Method) {
		t.Fatalf("method %q, net/http %q", h.Method, theirs.Method)
	}
	if !h.Absolute && theirs.RequestURI != string(h.Target) {
		t.Fatalf("target %q, net/http %q", h.Target, theirs.RequestURI)
	}
	if theirs.Host != string(h.Authority) {
		t.Fatalf("host %q, net/http %q", h.Authority, theirs.Host)
	}
	wantLength := max(h.ContentLength, 0)
	if h.Chunked {
		wantLength = -1
	}
	if theirs.ContentLength != wantLength {
		t.Fatalf("length %d, net/http %d", wantLength, theirs.ContentLength)
	}
	if n := countValues(theirs.Header, theirs.Host != "" && h.Has(message.Host), h.Chunked); n != len(h.Fields) {
		t.Fatalf("%d fields, net/http %d in %q", len(h.Fields), n, head)
	}
}

// countValues counts field lines, with those that net/http takes out of the header.
func countValues(header http.Header, host, chunked bool) int {
	n := 0
	for _, values := range header {
		n += len(values)
	}
	if host {
		n++
	}
	if chunked {
		n++
	}
	return n
}

// FuzzParseResponse has the properties of FuzzParseRequest.
func FuzzParseResponse(f *testing.F) {
	for _, tt := range responseTests {
		f.Add([]byte(tt.in))
	}
	f.Add(realResponse)
	f.Fuzz(func(t *testing.T, b []byte) {
		var h message.Head
		size, err := ParseResponse(b, &h, testLimits)
		checkPrefixes(t, b, size, err, func(b []byte) (int, error) {
			var h message.Head
			return ParseResponse(b, &h, testLimits)
		})
		if size == 0 {
			return
		}
		theirs, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b[:size])), nil)
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", b[:size], err)
		}
		if theirs.StatusCode != h.Status {
			t.Fatalf("status %d, net/http %d", h.Status, theirs.StatusCode)
		}
		if !NoBody(h.Status, false) {
			length := h.ContentLength
			if theirs.ContentLength != length {
				t.Fatalf("length %d, net/http %d for %q", length, theirs.ContentLength, b[:size])
			}
		}
		meaning := response(&h)
		h.StripHopByHop()
		out := append(AppendResponse(nil, &h, h.Chunked), "\r\n"...)
		var again message.Head
		if n, err := ParseResponse(out, &again, Limits{}); n != len(out) || err != nil {
			t.Fatalf("%q does not parse: %d, %v", out, n, err)
		}
		if got, want := strip(response(&again)), strip(meaning); got != want {
			t.Fatalf("%q was read as %q, and what is written as %q", b[:size], want, got)
		}
	})
}

// FuzzChunked: how a body is cut makes no difference, what is forwarded reads the same again, and
// net/http's reader sees the same content in what was received and in what is forwarded. It refuses
// white space before an extension, which is left out of what is forwarded.
func FuzzChunked(f *testing.F) {
	for _, tt := range chunkedTests {
		if len(tt.in) < 1024 {
			f.Add([]byte(tt.in), uint8(len(tt.in)/2))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, cut uint8) {
		var whole, parts, bare Chunked
		got := scan(&whole, [][]byte{b}, false)
		at := min(int(cut), len(b))
		cutUp := append([][]byte{b[:at]}, bytes.SplitAfter(b[at:], nil)...)
		inParts := scan(&parts, cutUp, false)
		if got.err != nil || inParts.err != nil {
			if got.err != inParts.err {
				t.Fatalf("error %v, in parts %v", got.err, inParts.err)
			}
			return
		}
		if got != inParts {
			t.Fatalf("got %+v, in parts %+v", got, inParts)
		}
		content := scan(&bare, cutUp, true)
		if content.err != nil || content.done != got.done || content.used != got.used || int64(len(content.out)) != got.data {
			t.Fatalf("got %+v, content %+v", got, content)
		}
		if !got.done {
			return
		}
		for _, body := range []string{string(b[:got.used]), got.out} {
			data, err := io.ReadAll(httputil.NewChunkedReader(strings.NewReader(body)))
			if err != nil && body != got.out && bytes.ContainsAny(b[:got.used], " \t") {
				continue
			}
			if err != nil || string(data) != content.out {
				t.Fatalf("net/http reads %q as %q, %v; we as %q", body, data, err, content.out)
			}
		}
		var again Chunked
		if r := scan(&again, [][]byte{[]byte(got.out)}, false); r.out != got.out || !r.done || r.used != len(got.out) {
			t.Fatalf("what is forwarded, %q, reads as %+v", got.out, r)
		}
	})
}
