package proxy

import (
	"slices"
	"strconv"
	"strings"
)

// A second reading of RFC 9112, for tests: it shares nothing with the codec that it judges, works
// on whole strings, and takes no care of speed. Where the RFC leaves a choice between refusing and
// repairing, it refuses; limits it has none.

// reading is how far a message got.
type reading uint8

const (
	whole     reading = iota
	partial           // more bytes could complete it
	malformed         // nothing that follows could make it right
)

// modelMessage is a message as the model reads it.
type modelMessage struct {
	head     bool     // the head is whole, and says nothing that is wrong
	start    string   // start line
	lines    []string // field lines as they came, without their CRLF
	size     int      // bytes of the head
	content  string   // of the body, as far as it has come
	chunked  bool
	length   int64 // what Content-Length says; -1: nothing
	extended bool  // chunks have extensions
	trailer  []string
}

// cutLine takes a line off s. Only CRLF ends one, and neither of the two may stand elsewhere.
func cutLine(s string) (line, rest string, r reading) {
	line, rest, ok := strings.Cut(s, "\n")
	switch {
	case !ok:
		return "", s, partial
	case !strings.HasSuffix(line, "\r") || strings.Count(line, "\r") != 1:
		return "", s, malformed
	}
	return line[:len(line)-1], rest, whole
}

// readLines takes field lines off s, up to and with the empty line.
func readLines(s string) (lines []string, rest string, r reading) {
	for {
		var line string
		if line, s, r = cutLine(s); r != whole || line == "" {
			return lines, s, r
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isTokenText(name) || !isValueText(value) {
			return lines, s, malformed
		}
		lines = append(lines, line)
	}
}

// readHead takes a start line and fields off s, and reads what frames the body.
func readHead(s string) (m modelMessage, rest string, r reading) {
	rest = s
	if m.start, rest, r = cutLine(rest); r != whole {
		return m, s, r
	}
	if m.lines, rest, r = readLines(rest); r != whole {
		return m, s, r
	}
	m.size, m.length = len(s)-len(rest), -1
	lengths, codings := m.values("content-length"), m.values("transfer-encoding")
	switch {
	case len(lengths)+len(codings) > 1:
		return m, s, malformed // RFC 9112, section 6.3: any of the readings could be meant
	case len(lengths) == 1:
		n, err := strconv.ParseUint(lengths[0], 10, 63)
		if err != nil {
			return m, s, malformed
		}
		m.length = int64(n)
	case len(codings) == 1:
		if !strings.EqualFold(codings[0], "chunked") || strings.Contains(m.start, "HTTP/1.0") {
			return m, s, malformed
		}
		m.chunked = true
	}
	m.head = true
	return m, rest, whole
}

// readLength takes the body that Content-Length announces off s.
func (m *modelMessage) readLength(s string) (rest string, r reading) {
	if int64(len(s)) < m.length {
		m.content = s
		return "", partial
	}
	m.content = s[:m.length]
	return s[m.length:], whole
}

// readChunks takes a body in chunked coding off s (RFC 9112, section 7.1).
func (m *modelMessage) readChunks(s string) (rest string, r reading) {
	for {
		line, rest, r := cutLine(s)
		if r != whole {
			return s, r
		}
		digits, extension, extended := strings.Cut(line, ";")
		if extended {
			digits, m.extended = strings.TrimRight(digits, " \t"), true
		}
		if !isHexText(digits) || !isValueText(extension) {
			return s, malformed
		}
		size, err := strconv.ParseInt(digits, 16, 64)
		if err != nil || int64(len(rest)) < size {
			m.content += rest
			return "", partial
		}
		m.content += rest[:size]
		if s = rest[size:]; size == 0 {
			m.trailer, s, r = readLines(s)
			return s, r
		}
		switch {
		case strings.HasPrefix(s, "\r\n"):
			s = s[2:]
		case s == "" || s == "\r":
			return s, partial
		default:
			return s, malformed
		}
	}
}

// values are the values of the fields of a name, given in lower case, without surrounding white space.
func (m *modelMessage) values(lower string) (values []string) {
	for _, line := range m.lines {
		if name, value, _ := strings.Cut(line, ":"); strings.ToLower(name) == lower {
			values = append(values, strings.Trim(value, " \t"))
		}
	}
	return values
}

// elements are the values of list fields of a name, one by one and in lower case.
func (m *modelMessage) elements(lower string) (elements []string) {
	for _, value := range m.values(lower) {
		for e := range strings.SplitSeq(value, ",") {
			if e = strings.Trim(e, " \t"); e != "" {
				elements = append(elements, strings.ToLower(e))
			}
		}
	}
	return elements
}

func (m *modelMessage) lists(name, element string) bool {
	return slices.Contains(m.elements(name), element)
}

// only reports whether s is not empty and each of its bytes is one of set.
func only(s string, set string) bool {
	return s != "" && strings.Trim(s, set) == "" && strings.IndexFunc(s, func(c rune) bool { return !strings.ContainsRune(set, c) }) < 0
}

// compareLines compares the field lines that arrived with those that were sent, byte for byte and in
// order. Those that may be dropped may be there or not; it says what else is missing or was added.
func compareLines(sent, got []string, mayDrop, mayAdd func(line string) bool) string {
	i := 0
	for _, line := range got {
		next := i
		for next < len(sent) && sent[next] != line && mayDrop(sent[next]) {
			next++
		}
		if next < len(sent) && sent[next] == line {
			i = next + 1
		} else if !mayAdd(line) {
			return "nobody sent the line " + line
		}
	}
	for ; i < len(sent); i++ {
		if !mayDrop(sent[i]) {
			return "the line is missing: " + sent[i]
		}
	}
	return ""
}

const (
	digitChars = "0123456789"
	hexChars   = digitChars + "abcdefABCDEF"
	alnumChars = digitChars + "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	tokenChars = alnumChars + "!#$%&'*+-.^_`|~" // RFC 9110, section 5.6.2
	nameChars  = alnumChars + "-._~!$&'()*+,;=" // of a registered name, RFC 3986, section 3.2.2
)

func isHexText(s string) bool   { return only(s, hexChars) }
func isTokenText(s string) bool { return only(s, tokenChars) }

// isValueText: RFC 9110, section 5.5.
func isValueText(s string) bool {
	for _, c := range []byte(s) {
		if c != '\t' && (c < ' ' || c == 0x7f) {
			return false
		}
	}
	return true
}

// isHostText accepts uri-host [ ":" port ] (RFC 9110, section 7.2). What is between brackets is
// looked at no further than its alphabet.
func isHostText(s string) bool {
	host, port, ok := s, "", false
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 || !only(s[1:end], hexChars+":.") {
			return false
		}
		host, port = "v6", s[end+1:]
		if port != "" && port[0] != ':' {
			return false
		}
		port = strings.TrimPrefix(port, ":")
	} else if host, port, ok = strings.Cut(s, ":"); !ok {
		port = ""
	}
	return only(host, nameChars) && (port == "" || only(port, digitChars))
}
