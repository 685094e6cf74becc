package http1

import (
	"bytes"

	"weir/proxy/message"
)

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
	lf := bytes.IndexByte(buf[colon:], '\n')
	if lf < 0 {
		return 0, nil
	}
	lf += colon
	if buf[lf-1] != '\r' {
		return 0, ErrBareLF
	}
	if !validValue(buf[colon+1 : lf-1]) {
		return 0, ErrControlByte
	}
	from, to := trimmed(buf, colon+1, lf-1)
	f := message.Field{
		Start: uint32(pos), NameLen: uint32(colon - pos),
		Value: uint32(from), ValueEnd: uint32(to), End: uint32(lf + 1),
		Name: message.NameOf(buf[pos:colon]),
	}
	if err := checkField(h, buf, &f); err != nil {
		return 0, err
	}
	h.Add(f)
	return lf + 1, nil
}

// checkField interprets the fields that frame the message, of which there may be only one.
func checkField(h *message.Head, buf []byte, f *message.Field) error {
	value := buf[f.Value:f.ValueEnd]
	switch f.Name {
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
