package http1

import (
	"bytes"

	"weir/proxy/message"
)

// Limits bound a head. 0 means no bound.
type Limits struct {
	Header int // bytes of the whole head
	Fields int // field lines
	Target int // bytes of the request target
}

// ParseRequest reads the head of a request at the start of buf into h, whose slices then point into
// buf. It returns the size of the head, or 0 if more bytes are needed: it is worth calling again
// once another LF has come.
//
// One empty line before the request line is skipped (RFC 9112, section 2.2); it counts to the size.
func ParseRequest(buf []byte, h *message.Head, l Limits) (int, error) {
	h.Reset()
	skip := 0
	if len(buf) >= 2 && buf[0] == '\r' && buf[1] == '\n' {
		skip = 2
	}
	head := buf[skip:]
	h.Buf = head
	size, err := parseRequest(h, head, l)
	if err != nil {
		return 0, err
	}
	if size == 0 {
		if l.Header > 0 && len(head) >= l.Header {
			return 0, ErrHeaderTooLarge
		}
		return 0, nil
	}
	if l.Header > 0 && size > l.Header {
		return 0, ErrHeaderTooLarge
	}
	h.Size = size
	h.Buf = head[:size]
	return skip + size, nil
}

func parseRequest(h *message.Head, buf []byte, l Limits) (int, error) {
	pos, err := parseRequestLine(h, buf, l)
	if pos == 0 || err != nil {
		return 0, err
	}
	size, err := parseFields(h, buf, pos, l.Fields)
	if size == 0 || err != nil {
		return 0, err
	}
	h.Interpret()
	if err := checkFraming(h); err != nil {
		return 0, err
	}
	if err := checkHost(h); err != nil {
		return 0, err
	}
	if h.Has(message.Expect) && !h.ExpectContinue {
		return 0, ErrExpectation
	}
	return size, nil
}

const versionLine = len("HTTP/1.1\r\n")

// parseRequestLine returns the position after the line, 0 if it is incomplete.
func parseRequestLine(h *message.Head, buf []byte, l Limits) (int, error) {
	m := 0
	for m < len(buf) && class[buf[m]]&isToken != 0 {
		m++
	}
	if m == len(buf) {
		if m > 64 {
			return 0, ErrMethod
		}
		return 0, nil
	}
	if m == 0 || buf[m] != ' ' {
		return 0, ErrMethod
	}
	t := m + 1
	end := t
	for end < len(buf) && class[buf[end]]&isTarget != 0 {
		end++
	}
	if l.Target > 0 && end-t > l.Target {
		return 0, ErrTargetTooLong
	}
	if end == len(buf) {
		return 0, nil
	}
	if end == t || buf[end] != ' ' {
		return 0, ErrTarget
	}
	v := buf[end+1:]
	if len(v) < versionLine {
		if bytes.IndexByte(v, '\n') >= 0 {
			return 0, ErrRequestLine
		}
		return 0, nil
	}
	if err := parseVersion(h, v); err != nil {
		return 0, err
	}
	h.Method = buf[:m]
	h.Target = buf[t:end]
	return end + 1 + versionLine, checkTarget(h)
}

// parseVersion reads "HTTP/1.x" and its CRLF. A minor version above 1 is a 1.1 (RFC 9110, section
// 2.5).
func parseVersion(h *message.Head, v []byte) error {
	if string(v[:5]) != "HTTP/" || !digit(v[5]) || v[6] != '.' || !digit(v[7]) {
		return ErrRequestLine
	}
	if v[8] != '\r' || v[9] != '\n' {
		if v[8] == '\n' {
			return ErrBareLF
		}
		return ErrRequestLine
	}
	if v[5] != '1' {
		return ErrVersion
	}
	if v[7] != '0' {
		h.Minor = 1
	}
	return nil
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// checkTarget brings the target into the form in which it is forwarded (RFC 9112, section 3.2).
func checkTarget(h *message.Head) error {
	t := h.Target
	if string(h.Method) == "CONNECT" {
		return ErrConnect
	}
	if t[0] == '/' {
		return nil
	}
	if len(t) == 1 && t[0] == '*' {
		if string(h.Method) != "OPTIONS" {
			return ErrTarget
		}
		return nil
	}
	return splitAbsolute(h, t)
}

var slash, asterisk = []byte("/"), []byte("*")

// splitAbsolute takes the authority out of an absolute target; it replaces Host (RFC 9112, section
// 3.2.2).
func splitAbsolute(h *message.Head, t []byte) error {
	var rest []byte
	switch {
	case len(t) > 7 && message.Equal(t[:7], "http://"):
		rest = t[7:]
	case len(t) > 8 && message.Equal(t[:8], "https://"):
		rest = t[8:]
	default:
		return ErrTarget
	}
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	h.Authority, h.Absolute = rest[:end], true
	if !validHost(h.Authority) {
		return ErrTarget
	}
	h.Target = rest[end:]
	switch {
	case len(h.Target) == 0 && string(h.Method) == "OPTIONS":
		h.Target = asterisk
	case len(h.Target) == 0:
		h.Target = slash
	case h.Target[0] == '?':
		return ErrTarget // an empty path with a query cannot be forwarded as it came
	}
	return nil
}

// checkHost applies RFC 9112, section 3.2.
func checkHost(h *message.Head) error {
	if !h.Has(message.Host) {
		if h.Minor >= 1 {
			return ErrHostMissing
		}
		return nil
	}
	host := h.Get(message.Host)
	if !validHost(host) {
		return ErrHostMalformed
	}
	if !h.Absolute {
		h.Authority = host
	}
	return nil
}

// validHost accepts uri-host [ ":" port ] (RFC 9110, section 7.2), and not the empty one.
func validHost(b []byte) bool {
	if len(b) == 0 || len(b) > 255+6 || !all(b, isHost) {
		return false
	}
	host, port := b, []byte(nil)
	if b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 2 || !validIPv6(b[1:end]) {
			return false
		}
		host, port = nil, b[end+1:]
	} else if i := bytes.IndexByte(b, ':'); i >= 0 {
		host, port = b[:i], b[i:]
		if i == 0 {
			return false
		}
	}
	if bytes.ContainsAny(host, "[]") {
		return false
	}
	return validPort(port)
}

// validPort accepts nothing, ":" and ":" with up to five digits.
func validPort(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if b[0] != ':' || len(b) > 6 {
		return false
	}
	for _, c := range b[1:] {
		if !digit(c) {
			return false
		}
	}
	return true
}

func validIPv6(b []byte) bool {
	for _, c := range b {
		lower := c | 0x20
		if !digit(c) && (lower < 'a' || lower > 'f') && c != ':' && c != '.' {
			return false
		}
	}
	return bytes.IndexByte(b, ':') >= 0
}
