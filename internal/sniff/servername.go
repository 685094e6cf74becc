package sniff

const (
	maxName      = 253 // a DNS name in text without the dot at its end (RFC 1035, section 2.3.4)
	maxLabel     = 63
	typeHostName = 0
)

// serverName reads the server_name extension (RFC 6066, section 3): a list, in which the RFC allows
// one name of each type. Names of other types, of which there are none so far, are passed over.
func serverName(data []byte) (name []byte, err error) {
	c := cursor{rest: data}
	list := c.vector16()
	if c.short || len(c.rest) > 0 || len(list) == 0 {
		return nil, ErrExtension
	}
	for names := (cursor{rest: list}); len(names.rest) > 0; {
		kind, value := names.uint8(), names.vector16()
		if names.short {
			return nil, ErrExtension
		}
		if kind != typeHostName {
			continue
		}
		if name != nil || !ValidName(value) {
			return nil, ErrServerName
		}
		name = value
	}
	return name, nil
}

// ValidName reports whether b can be a name in the DNS: labels of letters, digits, "-" and "_",
// without a dot at the end. An IPv4 address passes; RFC 6066 does not permit it, but there are
// clients that send it, and servers that serve it.
func ValidName(b []byte) bool {
	if len(b) == 0 || len(b) > maxName {
		return false
	}
	label := 0
	for _, c := range b {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
			label++
		case c == '.' && label > 0:
			label = 0
		default:
			return false
		}
		if label > maxLabel {
			return false
		}
	}
	return label > 0
}

// NameIs reports whether the client asks for name, which is in lower case. ASCII letters alone
// fold.
func (h *Hello) NameIs(name string) bool {
	if len(name) != len(h.ServerName) {
		return false
	}
	for i, c := range h.ServerName {
		if lower(c) != name[i] {
			return false
		}
	}
	return true
}

// AppendName appends the server name to dst in lower case, for look-ups.
func (h *Hello) AppendName(dst []byte) []byte {
	for _, c := range h.ServerName {
		dst = append(dst, lower(c))
	}
	return dst
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
