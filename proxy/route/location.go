package route

import (
	"bytes"

	"weir/proxy/message"
)

// Location appends the URL that a redirection leads to. It appends nothing if that has the host of
// the request in it, but the request has none, or one that is no plain name or address; the request
// is at fault then. The route must have a redirection.
//
// What comes from the request cannot make the URL lead to a host that the template does not say:
// the host is a name or an address and nothing else, the path begins with exactly one slash, which
// ends the authority, and not with two, which would begin one (a backslash there passes for a slash,
// as browsers have it), and its dot segments are resolved, so that it does not climb out of what stands
// before it. Otherwise the path and the query are as they came, but for bytes that cannot stand in a
// URL, which are percent-encoded. The path of the target "*" is "/".
func (a *Action) Location(dst []byte, h *message.Head) []byte {
	start := len(dst)
	path := pathOf(h.Target)
	query := h.Target[len(path):]
	for _, p := range a.location {
		dst = append(dst, p.text...)
		switch p.variable {
		case hostVariable:
			host := hostOnly(h.Authority)
			if !plainHost(host) {
				return dst[:start]
			}
			dst = append(dst, host...)
		case pathVariable:
			dst = appendResolvedEncoded(dst, path)
		case queryVariable:
			dst = appendEncoded(dst, query)
		}
	}
	return dst
}

// appendResolvedEncoded appends a path without its dot segments, with one slash at its beginning.
func appendResolvedEncoded(dst, path []byte) []byte {
	dst = append(dst, '/')
	switch {
	case len(path) == 0 || path[0] != '/':
		return dst
	case normal(path):
		return appendEncoded(dst, bytes.TrimLeft(path, `/\`))
	}
	var scratch [scratchSize]byte
	return appendEncoded(dst, bytes.TrimLeft(resolve(scratch[:0], path), `/\`))
}

// plainHost reports whether b is a name of letters, digits, "-", "_" and "." or an IPv6 address in
// brackets. Other characters of a host (RFC 3986, section 3.2.2) could mean something to a client.
func plainHost(b []byte) bool {
	if len(b) > 2 && b[0] == '[' && b[len(b)-1] == ']' {
		for _, c := range b[1 : len(b)-1] {
			if unhex(c) < 0 && c != ':' && c != '.' {
				return false
			}
		}
		return true
	}
	for _, c := range b {
		lower := c | 0x20
		if (lower < 'a' || lower > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return len(b) > 0
}

// appendEncoded appends part of a target; control bytes, white space, what is not ASCII and "#" are
// percent-encoded.
func appendEncoded(dst, part []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range part {
		if c <= ' ' || c >= 0x7f || c == '#' {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}
