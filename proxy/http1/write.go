package http1

import (
	"weir/proxy/message"
)

// AppendRequest writes the head of a request without its last empty line: request line, then the
// fields that are not dropped, in runs of lines as they came, then the framing. Fields of the
// caller's own follow; End finishes the head.
func AppendRequest(dst []byte, h *message.Head) []byte {
	dst = append(dst, h.Method...)
	dst = append(dst, ' ')
	dst = append(dst, h.Target...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	if h.Absolute {
		dst = append(dst, "Host: "...)
		dst = append(dst, h.Authority...)
		dst = append(dst, "\r\n"...)
		h.DropAll(message.Host)
	}
	dst = appendFields(dst, h)
	if h.TETrailers {
		dst = append(dst, "TE: trailers\r\nConnection: TE\r\n"...)
	}
	if h.Chunked {
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	return dst
}

// AppendResponse writes the head of a response without its last empty line. chunked says whether
// the body that follows is in chunked coding.
func AppendResponse(dst []byte, h *message.Head, chunked bool) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = append(dst, byte('0'+h.Status/100), byte('0'+h.Status/10%10), byte('0'+h.Status%10), ' ')
	dst = append(dst, h.Reason...)
	dst = append(dst, "\r\n"...)
	dst = appendFields(dst, h)
	if chunked {
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	return dst
}

// appendFields copies runs of neighbouring lines that are kept.
func appendFields(dst []byte, h *message.Head) []byte {
	start, end := uint32(0), uint32(0)
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.Drop {
			continue
		}
		if f.Start != end {
			dst = append(dst, h.Buf[start:end]...)
			start = f.Start
		}
		end = f.End
	}
	return append(dst, h.Buf[start:end]...)
}

// AppendField writes one field line.
func AppendField(dst []byte, name string, value []byte) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}
