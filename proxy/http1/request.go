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
//
// Of a head that is refused h has what was understood before: Method, Target as it came, Versioned with
// Minor, and the fields.
//
// How the bytes arrive makes no difference: a part of what is refused is either incomplete or
// refused with the same [Error].
func ParseRequest(buf []byte, h *message.Head, l Limits) (int, error) {
	h.Reset()
	skip := 0
	if len(buf) > 0 && buf[0] == '\r' {
		if len(buf) == 1 {
			return 0, nil
		}
		if buf[1] == '\n' {
			skip = 2
		}
	}
	head := bounded(buf[skip:], l.Header)
	h.Buf = head
	size, err := parseRequest(h, head, l)
	if err != nil {
		return 0, err
	}
	if size == 0 {
		return 0, incomplete(head, l.Header)
	}
	h.Size = size
	h.Buf = head[:size]
	return skip + size, nil
}

// bounded is the part of buf that a head may take. What lies behind it must not be looked at: it
// may not have come yet.
func bounded(buf []byte, limit int) []byte {
	if limit > 0 && len(buf) > limit {
		return buf[:limit]
	}
	return buf
}

// incomplete tells whether more bytes can complete a head.
func incomplete(head []byte, limit int) error {
	if limit > 0 && len(head) >= limit {
		return ErrHeaderTooLarge
	}
	return nil
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

const (
	versionLine = "HTTP/1.1\r\n"
	maxMethod   = 64 // bytes
)

// parseRequestLine returns the position after the line, 0 if it is incomplete.
func parseRequestLine(h *message.Head, buf []byte, l Limits) (int, error) {
	m := 0
	for m < len(buf) && class[buf[m]]&isToken != 0 {
		m++
	}
	if m > maxMethod {
		return 0, ErrMethod
	}
	if m == len(buf) {
		return 0, nil
	}
	if m == 0 || buf[m] != ' ' {
		return 0, ErrMethod
	}
	h.Method = buf[:m]
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
	h.Target = buf[t:end]
	ok, err := parseVersion(h, buf[end+1:])
	if !ok || err != nil {
		return 0, err
	}
	return end + 1 + len(versionLine), checkTarget(h)
}

// parseVersion reads "HTTP/1.x" and its CRLF; it returns false if they are incomplete. A minor
// version above 1 is a 1.1 (RFC 9110, section 2.5).
func parseVersion(h *message.Head, v []byte) (bool, error) {
	for i, want := range []byte(versionLine) {
		if i >= len(v) {
			return false, nil
		}
		switch c := v[i]; {
		case c == want:
		case (i == 5 || i == 7) && digit(c):
		case i == 8 && c == '\n':
			return false, ErrBareLF
		default:
			return false, ErrRequestLine
		}
	}
	if v[5] != '1' {
		return false, ErrVersion
	}
	h.Versioned = true
	if v[7] != '0' {
		h.Minor = 1
	}
	return true, nil
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
		// An empty path is "/". Clients hardly ever send that, so it may allocate.
		h.Target = append([]byte{'/'}, h.Target...)
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

// validPort accepts nothing, ":" and ":" with a port in at most five digits.
func validPort(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if b[0] != ':' || len(b) > 6 {
		return false
	}
	port := 0
	for _, c := range b[1:] {
		if !digit(c) {
			return false
		}
		port = port*10 + int(c-'0')
	}
	return port <= 65535
}

// validIPv6 reads an address as RFC 4291, section 2.2, writes it. netip.ParseAddr would allocate.
func validIPv6(b []byte) bool {
	groups, gap := 0, false
	if len(b) >= 2 && b[0] == ':' && b[1] == ':' {
		gap, b = true, b[2:]
	}
	for len(b) > 0 {
		n := 0
		for n < len(b) && unhex(b[n]) >= 0 {
			n++
		}
		if n < len(b) && b[n] == '.' {
			groups += 2
			return validIPv4(b) && complete(groups, gap)
		}
		if n == 0 || n > 4 {
			return false
		}
		groups++
		switch b = b[n:]; {
		case len(b) == 0:
		case b[0] != ':' || len(b) == 1:
			return false
		case b[1] != ':':
			b = b[1:]
		case gap:
			return false
		default:
			gap, b = true, b[2:]
		}
	}
	return complete(groups, gap)
}

// complete reports whether so many groups make an address; a gap stands for at least one.
func complete(groups int, gap bool) bool {
	if gap {
		return groups < 8
	}
	return groups == 8
}

// validIPv4 accepts four numbers up to 255 without leading zeros.
func validIPv4(b []byte) bool {
	for part := 0; part < 4; part++ {
		n, value := 0, 0
		for n < len(b) && n < 3 && digit(b[n]) {
			value = value*10 + int(b[n]-'0')
			n++
		}
		if n == 0 || value > 255 || (n > 1 && b[0] == '0') {
			return false
		}
		if b = b[n:]; part < 3 {
			if len(b) == 0 || b[0] != '.' {
				return false
			}
			b = b[1:]
		}
	}
	return len(b) == 0
}
