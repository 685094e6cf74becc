package http1

import "weir/proxy/message"

// parseFields reads field lines from buf[pos:] up to and with the empty line. It returns the
// position after that, or 0 if the section is not complete.
func parseFields(h *message.Head, buf []byte, pos, maxFields int) (int, error) {
	for {
		if pos >= len(buf) {
			return 0, nil
		}
		switch buf[pos] {
		case '\r':
			if pos+1 >= len(buf) {
				return 0, nil
			}
			if buf[pos+1] != '\n' {
				return 0, ErrControlByte
			}
			return pos + 2, nil
		case ' ', '\t':
			return 0, ErrFolded
		}
		next, err := parseField(h, buf, pos)
		if next == 0 || err != nil {
			return 0, err
		}
		if maxFields > 0 && len(h.Fields) > maxFields {
			return 0, ErrTooManyFields
		}
		pos = next
	}
}

// parseField reads one field line at pos and returns the position after it, 0 if it is incomplete.
func parseField(h *message.Head, buf []byte, pos int) (int, error) {
	colon := pos
	for colon < len(buf) && class[buf[colon]]&isToken != 0 {
		colon++
	}
	if colon == len(buf) {
		return 0, nil
	}
	if buf[colon] != ':' || colon == pos {
		if buf[colon] == '\n' {
			return 0, ErrBareLF
		}
		return 0, ErrFieldName
	}
	end := valueEnd(buf, colon+1)
	if end+1 >= len(buf) {
		return 0, nil
	}
	if buf[end] != '\r' || buf[end+1] != '\n' {
		if buf[end] == '\n' {
			return 0, ErrBareLF
		}
		return 0, ErrControlByte
	}
	from, to := trimmed(buf, colon+1, end)
	name := message.NameOf(buf[pos:colon])
	if name != message.Other {
		if err := checkField(h, name, buf[from:to]); err != nil {
			return 0, err
		}
	}
	f := h.Add(name)
	f.Start, f.NameLen = uint32(pos), uint32(colon-pos)
	f.Value, f.ValueEnd = uint32(from), uint32(to)
	f.End = uint32(end + 2)
	return end + 2, nil
}

// checkField interprets the fields that frame the message, of which there may be only one.
func checkField(h *message.Head, name message.Name, value []byte) error {
	switch name {
	case message.ContentLength:
		n, ok := parseLength(value)
		if !ok || h.Has(message.ContentLength) {
			return ErrLength
		}
		h.ContentLength = n
	case message.TransferEncoding:
		if h.Has(message.TransferEncoding) || !message.Equal(value, "chunked") {
			return ErrCoding
		}
		h.Chunked = true
	case message.Host:
		if h.Has(message.Host) {
			return ErrHostRepeated
		}
	case message.Expect:
		if h.Has(message.Expect) {
			return ErrExpectRepeated
		}
	}
	return nil
}

// parseLength reads a Content-Length: digits only, at most 18 of them, so that it fits and sums of
// it fit too.
func parseLength(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// maxOptions bounds the connection options of a message. Each is compared with every field name when
// fields are stripped, so that a 64 KiB head of options would cost milliseconds.
const maxOptions = 64

// checkFraming refuses combinations that two readers could resolve in two ways (RFC 9112, section
// 6.3), and connection options in excess.
func checkFraming(h *message.Head) error {
	if h.Options > maxOptions {
		return ErrOptions
	}
	if !h.Chunked {
		return nil
	}
	if h.ContentLength >= 0 {
		return ErrLengthCoding
	}
	if h.Minor == 0 {
		return ErrCodingVersion
	}
	return nil
}
