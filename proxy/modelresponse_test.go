package proxy

import (
	"fmt"
	"strconv"
	"strings"
)

// modelResponse is a response as the model reads it.
type modelResponse struct {
	modelMessage
	version string
	status  int
	closed  bool // the end of the connection is the end of the body
	hasBody bool // it may have one
	read    reading
}

func (m *modelResponse) String() string {
	return fmt.Sprintf("%q %q %.200q", m.start, m.lines, m.content)
}

// responseOf reads the response to a request of that method at the start of s, behind which the
// connection ends. It returns nil if its head is not whole.
func responseOf(s, method string) (m *modelResponse, rest string, r reading) {
	m = &modelResponse{}
	if m.modelMessage, rest, r = readHead(s); r != whole {
		return nil, s, r
	}
	if !m.readStart() {
		return nil, s, malformed
	}
	m.hasBody = method != "HEAD" && m.status >= 200 && m.status != 204 && m.status != 304
	switch {
	case !m.hasBody:
	case m.chunked:
		rest, r = m.readChunks(rest)
	case m.length >= 0:
		rest, r = m.readLength(rest)
	default:
		m.content, m.closed, rest = rest, true, ""
	}
	m.read = r
	return m, rest, r
}

// readStart reads the status line (RFC 9112, section 4). The space before a missing reason may be
// missing too, as it often is.
func (m *modelResponse) readStart() bool {
	version, rest, _ := strings.Cut(m.start, " ")
	status, reason, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(status)
	m.version, m.status = version, n
	return err == nil && len(status) == 3 && n >= 100 && n <= 599 && isValueText(reason) &&
		len(version) == 8 && version[:7] == "HTTP/1." && only(version[7:], digitChars)
}

// ill says what is wrong with a response that a proxy has written.
func (m *modelResponse) ill() string {
	switch {
	case m.version != "HTTP/1.1" || strings.Count(m.start, " ") < 2:
		return "the status line is not what it should be"
	case m.extended:
		return "its chunks have extensions"
	case m.status < 200 && m.status != 101 && (m.chunked || m.length >= 0):
		return "an interim response has a body"
	case m.status == 204 && (m.chunked || m.length >= 0):
		return "a 204 has a body"
	}
	return ""
}
