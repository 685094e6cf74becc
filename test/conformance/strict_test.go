package conformance

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// arrival is a request as it came to the origin.
type arrival struct {
	raw    string
	whole  bool   // it was read to its end
	fault  string // why the strict parser refuses it; empty: it does not
	method string
	target string
	fields [][2]string // names in lower case
	body   string      // content, without chunked coding
	tail   string      // trailer section
	conn   int64       // number of the connection on which it came
}

var (
	requestLine = regexp.MustCompile("^([!#$%&'*+\\-.^_`|~0-9A-Za-z]+) ([!-~]+) HTTP/1\\.[01]$")
	fieldName   = regexp.MustCompile("^[!#$%&'*+\\-.^_`|~0-9A-Za-z]+$")
	lengthValue = regexp.MustCompile(`^0*[0-9]{1,18}$`)
	chunkLine   = regexp.MustCompile(`^([0-9A-Fa-f]{1,15})([ \t]*;.*)?$`)
)

// readArrival reads the request at the start of b. It returns false if bytes are missing; head tells
// whether at least the head is there.
func readArrival(b string) (a arrival, head, done bool) {
	end := strings.Index(b, "\r\n\r\n")
	if end < 0 {
		return arrival{}, false, false
	}
	a.raw = b[:end+4]
	lines := strings.Split(b[:end], "\r\n")
	first := requestLine.FindStringSubmatch(lines[0])
	if first == nil {
		a.raw, a.fault = b, "request line"
		return a, true, true
	}
	a.method, a.target = first[1], first[2]
	if a.fields, a.fault = readFields(lines[1:]); a.fault == "" {
		a.fault = a.framingFault()
	}
	if a.fault != "" {
		a.raw = b
		return a, true, true
	}
	return a, true, a.readBody(b[end+4:])
}

func readFields(lines []string) (fields [][2]string, fault string) {
	for _, l := range lines {
		name, value, colon := strings.Cut(l, ":")
		if !colon || !fieldName.MatchString(name) || hasControls(value) {
			return nil, "field line " + quoted(l)
		}
		fields = append(fields, [2]string{strings.ToLower(name), strings.Trim(value, " \t")})
	}
	return fields, ""
}

// hasControls tells of control bytes other than the tab.
func hasControls(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return true
		}
	}
	return false
}

// values are those of a name.
func (a *arrival) values(name string) (list []string) {
	for _, f := range a.fields {
		if f[0] == name {
			list = append(list, f[1])
		}
	}
	return list
}

// framingFault is what two readers could understand in two ways.
func (a *arrival) framingFault() string {
	lengths, codings, hosts := a.values("content-length"), a.values("transfer-encoding"), a.values("host")
	switch {
	case len(hosts) != 1:
		return strconv.Itoa(len(hosts)) + " Host fields"
	case len(lengths) > 1 || len(lengths) == 1 && !lengthValue.MatchString(lengths[0]):
		return "Content-Length " + quoted(strings.Join(lengths, " and "))
	case len(codings) > 1 || len(codings) == 1 && !strings.EqualFold(codings[0], "chunked"):
		return "Transfer-Encoding " + quoted(strings.Join(codings, " and "))
	case len(lengths) > 0 && len(codings) > 0:
		return "both Content-Length and Transfer-Encoding"
	}
	return ""
}

// readBody reads the body at the start of b and returns false if bytes are missing.
func (a *arrival) readBody(b string) bool {
	if len(a.values("transfer-encoding")) > 0 {
		return a.readChunks(b)
	}
	size := 0
	if l := a.values("content-length"); len(l) > 0 {
		size, _ = strconv.Atoi(l[0]) // digits only, as framingFault has seen
	}
	if len(b) < size {
		return false
	}
	a.body, a.raw = b[:size], a.raw+b[:size]
	return true
}

func (a *arrival) readChunks(b string) bool {
	all := b
	for {
		l, rest, found := strings.Cut(b, "\r\n")
		if !found {
			return false
		}
		size := chunkLine.FindStringSubmatch(l)
		if size == nil || hasControls(l) {
			a.raw, a.fault = a.raw+all, "chunk line "+quoted(l)
			return true
		}
		n, err := strconv.ParseInt(size[1], 16, 64)
		if err != nil {
			panic(err) // 15 digits fit
		}
		if n == 0 {
			return a.readTrailer(all, rest)
		}
		if int64(len(rest)) < n+2 {
			return false
		}
		if rest[n:n+2] != "\r\n" {
			a.raw, a.fault = a.raw+all, "end of a chunk "+quoted(rest[n:n+2])
			return true
		}
		a.body, b = a.body+rest[:n], rest[n+2:]
	}
}

// readTrailer reads what follows the last chunk of a body, at the end of all.
func (a *arrival) readTrailer(all, b string) bool {
	if strings.HasPrefix(b, "\r\n") {
		a.raw += all[:len(all)-len(b)+2]
		return true
	}
	end := strings.Index(b, "\r\n\r\n")
	if end < 0 {
		return false
	}
	a.tail = b[:end]
	if _, fault := readFields(strings.Split(a.tail, "\r\n")); fault != "" {
		a.fault = "trailer: " + fault
	}
	a.raw += all[:len(all)-len(b)+end+4]
	return true
}

func TestReadArrival(t *testing.T) {
	tests := []struct {
		name, in    string
		done        bool
		raw, fault  string
		body, extra string
	}{
		{"get", getCase, true, getCase, "", "", ""},
		{"two", getCase + poison, true, getCase, "", "", ""},
		{"half a head", getCase[:20], false, "", "", "", ""},
		{"length", post("Content-Length: 3\r\n", "abcd"), true, post("Content-Length: 3\r\n", "abc"), "", "abc", ""},
		{"short of its length", post("Content-Length: 3\r\n", "ab"), false, "", "", "", ""},
		{"chunked", chunks("3;a\r\nabc\r\n0\r\n\r\nX"), true, chunks("3;a\r\nabc\r\n0\r\n\r\n"), "", "abc", ""},
		{"trailer", chunks("0\r\nA: b\r\n\r\nX"), true, chunks("0\r\nA: b\r\n\r\n"), "", "", "A: b"},
		{"no last chunk", chunks("3\r\nabc\r\n"), false, "", "", "", ""},
		{"half a trailer", chunks("0\r\nA: b\r\n"), false, "", "", "", ""},
		{"both", post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", ""), true, "", "both Content-Length and Transfer-Encoding", "", ""},
		{"two lengths", post("Content-Length: 3\r\nContent-Length: 3\r\n", ""), true, "", "Content-Length 3 and 3", "", ""},
		{"signed length", post("Content-Length: +3\r\n", ""), true, "", "Content-Length +3", "", ""},
		{"coding", post("Transfer-Encoding: gzip, chunked\r\n", ""), true, "", "Transfer-Encoding gzip, chunked", "", ""},
		{"bare LF", "GET / HTTP/1.1\nHost: a\r\n\r\n", true, "", "request line", "", ""},
		{"bare CR", get("X: a\rb\r\n"), true, "", `field line X: a\rb`, "", ""},
		{"folded", get("X: a\r\n b\r\n"), true, "", `field line  b`, "", ""},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", true, "", "0 Host fields", "", ""},
		{"size", chunks("+3\r\n"), true, "", "chunk line +3", "", ""},
		{"end of a chunk", chunks("1\r\nabc"), true, "", "end of a chunk bc", "a", ""},
		{"bare LF in a trailer", chunks("0\r\nA: b\nC: d\r\n\r\n"), true, "", `trailer: field line A: b\nC: d`, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, _, done := readArrival(tt.in)
			if done != tt.done || a.fault != tt.fault {
				t.Fatalf("done %v, fault %q; want %v, %q", done, a.fault, tt.done, tt.fault)
			}
			if done && a.fault == "" && (a.raw != tt.raw || a.body != tt.body || a.tail != tt.extra) {
				t.Errorf("raw %q, body %q, tail %q; want %q, %q, %q", a.raw, a.body, a.tail, tt.raw, tt.body, tt.extra)
			}
		})
	}
}
