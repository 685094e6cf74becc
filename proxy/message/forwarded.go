package message

import (
	"bytes"
	"errors"
	"net/netip"
	"strconv"
)

// ErrForwarded says that a Forwarded field breaks the grammar of RFC 7239. Two readers could
// understand it in two ways, so nothing of it is to be believed.
var ErrForwarded = errors.New("malformed Forwarded field")

// Node is one side of a hop (RFC 7239, section 6).
type Node struct {
	Addr netip.Addr // without zone, IPv4 never in the form of IPv6; not valid: it is not known
	Port uint16     // 0: it is not known
	ID   []byte     // identifier in place of an address, with its "_"; nil: there is none
}

// Hop is what one proxy says of a request: an element of a Forwarded field. Slices point into the
// value that it was read from.
type Hop struct {
	For, By     Node
	Host, Proto []byte // nil: not given
}

// NextHop reads the first element of v, the value of a Forwarded field, into h and returns what is
// behind it. found is false at the end of the list. The grammar is that of RFC 7239, section 4, to
// the letter: no white space around ";" and "=", each parameter once, nodes as section 6 has them.
// Beyond it, the values that are understood may hold no quoted pairs: none needs one, and not every
// reader resolves them. Parameters that are not known are checked and ignored. The elements of
// several fields are those of one list, in their order (RFC 9110, section 5.3).
func NextHop(v []byte, h *Hop) (rest []byte, found bool, err error) {
	for len(v) > 0 && (v[0] == ',' || v[0] == ' ' || v[0] == '\t') {
		v = v[1:] // empty elements, which a recipient accepts
	}
	if len(v) == 0 {
		return nil, false, nil
	}
	*h = Hop{}
	var seen parameters
	for {
		if v, err = h.parameter(v, &seen); err != nil {
			return nil, false, err
		}
		if len(v) > 0 && v[0] == ';' {
			v = v[1:]
			continue
		}
		for len(v) > 0 && (v[0] == ' ' || v[0] == '\t') {
			v = v[1:]
		}
		if len(v) > 0 && v[0] != ',' {
			return nil, false, ErrForwarded
		}
		return v, true, nil
	}
}

// parameters are those of an element that have been met.
type parameters struct{ node, by, host, proto bool }

// once notes that a parameter was met, and fails if it was before.
func once(met *bool) bool {
	first := !*met
	*met = true
	return first
}

// parameter reads a parameter at the beginning of v, if there is one: between two ";" may be nothing.
func (h *Hop) parameter(v []byte, seen *parameters) (rest []byte, err error) {
	n := tokenLen(v)
	if n == 0 {
		return v, nil
	}
	if n == len(v) || v[n] != '=' {
		return nil, ErrForwarded
	}
	name := v[:n]
	value, rest, quoted := cutValue(v[n+1:])
	if value == nil {
		return nil, ErrForwarded
	}
	ok := true
	switch {
	case Equal(name, "for"):
		h.For, ok = ParseNode(value)
		ok = ok && once(&seen.node)
	case Equal(name, "by"):
		h.By, ok = ParseNode(value)
		ok = ok && once(&seen.by)
	case Equal(name, "host"):
		h.Host, ok = value, ValidHost(value) && once(&seen.host)
	case Equal(name, "proto"):
		h.Proto, ok = value, ValidScheme(value) && once(&seen.proto)
	default:
		ok = !quoted || validQuoted(value)
	}
	if !ok {
		return nil, ErrForwarded
	}
	return rest, nil
}

// cutValue reads a token or a quoted string, which it returns without its quotes. value is nil if
// there is neither.
func cutValue(v []byte) (value, rest []byte, quoted bool) {
	if len(v) == 0 || v[0] != '"' {
		n := tokenLen(v)
		if n == 0 {
			return nil, nil, false
		}
		return v[:n], v[n:], false
	}
	for i := 1; i < len(v); i++ {
		switch v[i] {
		case '"':
			return v[1:i:i], v[i+1:], true
		case '\\':
			i++
		}
	}
	return nil, nil, false
}

// validQuoted reports whether b may stand between quotes (RFC 9110, section 5.6.4). cutValue has seen
// to the quotes inside.
func validQuoted(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// tokenLen is the length of the token (RFC 9110, section 5.6.2) that b begins with.
func tokenLen(b []byte) int {
	for i, c := range b {
		if !alnum(c) && bytes.IndexByte(tokenSigns, c) < 0 {
			return i
		}
	}
	return len(b)
}

var (
	tokenSigns = []byte("!#$%&'*+-.^_`|~")
	hostSigns  = []byte("-._~!$&'()*+,;=:[]") // RFC 3986, section 3.2.2, but "%"
)

// ValidHost reports whether b consists of the bytes of a host, with or without port. None of them
// needs a quoted pair in a quoted string.
func ValidHost(b []byte) bool {
	for _, c := range b {
		if !alnum(c) && bytes.IndexByte(hostSigns, c) < 0 {
			return false
		}
	}
	return true
}

// ValidScheme reports whether b is the scheme of a URI (RFC 3986, section 3.1).
func ValidScheme(b []byte) bool {
	for i, c := range b {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || !alnum(c) && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return len(b) > 0
}

// ParseNode reads a node without quotes: an IPv4 address, an IPv6 address in brackets, "unknown" or
// an identifier, each with or without a port, which may be an identifier too.
func ParseNode(b []byte) (n Node, ok bool) {
	name, port := b, []byte(nil)
	from := 0
	if len(b) > 0 && b[0] == '[' {
		from = max(bytes.IndexByte(b, ']'), 0)
	}
	if i := bytes.IndexByte(b[from:], ':'); i >= 0 {
		name, port = b[:from+i], b[from+i+1:]
		if n.Port, ok = parsePort(port); !ok && !validIdentifier(port) {
			return Node{}, false
		}
	}
	switch {
	case validIdentifier(name):
		n.ID = name
	case Equal(name, "unknown"):
	case len(name) > 2 && name[0] == '[' && name[len(name)-1] == ']':
		if n.Addr, ok = parseIPv6(name[1 : len(name)-1]); !ok {
			return Node{}, false
		}
		n.Addr = n.Addr.Unmap()
	default:
		a, ok := parseIPv4(name)
		if !ok {
			return Node{}, false
		}
		n.Addr = netip.AddrFrom4(a)
	}
	return n, true
}

// validIdentifier reports whether b is an obfuscated identifier (RFC 7239, section 6.3).
func validIdentifier(b []byte) bool {
	if len(b) < 2 || b[0] != '_' {
		return false
	}
	for _, c := range b[1:] {
		if !alnum(c) && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// AppendHop writes an element of a Forwarded field: For always, the rest as far as it is given. Host
// and Proto must be valid: see ValidHost and ValidScheme.
func AppendHop(dst []byte, h *Hop) []byte {
	dst = append(dst, "for="...)
	dst = appendNode(dst, &h.For)
	if h.By.Addr.IsValid() || h.By.ID != nil {
		dst = append(dst, ";by="...)
		dst = appendNode(dst, &h.By)
	}
	if h.Host != nil {
		dst = append(dst, ";host="...)
		if tokenLen(h.Host) == len(h.Host) && len(h.Host) > 0 {
			dst = append(dst, h.Host...)
		} else {
			dst = append(append(append(dst, '"'), h.Host...), '"')
		}
	}
	if h.Proto != nil {
		dst = append(append(dst, ";proto="...), h.Proto...)
	}
	return dst
}

// appendNode writes a node, in quotes where its signs need them.
func appendNode(dst []byte, n *Node) []byte {
	v6 := n.Addr.Is6()
	quoted := v6 || n.Port != 0
	if quoted {
		dst = append(dst, '"')
	}
	switch {
	case v6:
		dst = append(n.Addr.WithZone("").AppendTo(append(dst, '[')), ']')
	case n.Addr.IsValid():
		dst = n.Addr.AppendTo(dst)
	case n.ID != nil:
		dst = append(dst, n.ID...)
	default:
		dst = append(dst, "unknown"...)
	}
	if n.Port != 0 {
		dst = strconv.AppendUint(append(dst, ':'), uint64(n.Port), 10)
	}
	if quoted {
		dst = append(dst, '"')
	}
	return dst
}
