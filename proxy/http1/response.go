package http1

import (
	"bytes"

	"weir/proxy/message"
)

// ParseResponse reads the head of a response at the start of buf into h. It returns the size of the
// head, or 0 if more bytes are needed. Limits.Target has no meaning here.
func ParseResponse(buf []byte, h *message.Head, l Limits) (int, error) {
	h.Reset()
	head := bounded(buf, l.Header)
	h.Buf = head
	size, err := parseResponse(h, head, l)
	if err != nil {
		return 0, err
	}
	if size == 0 {
		return 0, incomplete(head, l.Header)
	}
	h.Size = size
	h.Buf = head[:size]
	return size, nil
}

func parseResponse(h *message.Head, buf []byte, l Limits) (int, error) {
	pos, err := parseStatusLine(h, buf)
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
	return size, nil
}

const statusPrefix = len("HTTP/1.1 200")

// parseStatusLine accepts a missing reason, with or without the space before it, which servers do
// send (RFC 9112, section 4, wants the space).
func parseStatusLine(h *message.Head, buf []byte) (int, error) {
	lf := bytes.IndexByte(buf, '\n')
	if lf < 0 {
		if len(buf) >= 5 && string(buf[:5]) != "HTTP/" {
			return 0, ErrStatusLine // garbage need not be awaited to its end
		}
		return 0, nil
	}
	if lf < statusPrefix+1 || buf[lf-1] != '\r' {
		return 0, ErrStatusLine
	}
	if string(buf[:7]) != "HTTP/1." || !digit(buf[7]) || buf[8] != ' ' {
		return 0, ErrStatusLine
	}
	if !digit(buf[9]) || !digit(buf[10]) || !digit(buf[11]) || buf[9] == '0' || buf[9] > '5' {
		return 0, ErrStatusLine
	}
	rest := buf[statusPrefix : lf-1]
	if len(rest) > 0 && (rest[0] != ' ' || !validValue(rest)) {
		return 0, ErrStatusLine
	}
	if len(rest) > 0 {
		h.Reason = rest[1:]
	}
	if buf[7] != '0' {
		h.Minor = 1
	}
	h.Status = int(buf[9]-'0')*100 + int(buf[10]-'0')*10 + int(buf[11]-'0')
	return lf + 1, nil
}

// NoBody reports whether a response has no body whatever its fields say (RFC 9112, section 6.3).
func NoBody(status int, head bool) bool {
	return head || status < 200 || status == 204 || status == 304
}
