package message

import "net/netip"

// ParseAddr reads an IP address without allocating, which netip.ParseAddr does for a byte slice. It
// accepts what that accepts, but for zones.
func ParseAddr(b []byte) (netip.Addr, bool) {
	if a, ok := parseIPv4(b); ok {
		return netip.AddrFrom4(a), true
	}
	return parseIPv6(b)
}

// ParseClient reads an entry of X-Forwarded-For or a value of X-Real-IP: an address, or, as some
// proxies write it, one with a port or a zone, which are left out; white space may surround it. An
// IPv4 address in the form of an IPv6 one is the IPv4 address.
func ParseClient(b []byte) (netip.Addr, bool) {
	b = trim(b)
	if len(b) > 0 && b[0] == '[' {
		host, ok := cutPort(b[1:], ']')
		if !ok {
			return netip.Addr{}, false
		}
		a, ok := parseIPv6(withoutZone(host))
		return a.Unmap(), ok
	}
	if a, ok := ParseAddr(withoutZone(b)); ok {
		return a.Unmap(), ok
	}
	for i, c := range b {
		if c != ':' {
			continue
		}
		if _, ok := parsePort(b[i+1:]); !ok {
			return netip.Addr{}, false
		}
		if a, ok := parseIPv4(b[:i]); ok {
			return netip.AddrFrom4(a), true
		}
		break
	}
	return netip.Addr{}, false
}

// cutPort returns what stands before end; behind it may be a port and nothing else.
func cutPort(b []byte, end byte) ([]byte, bool) {
	for i, c := range b {
		if c != end {
			continue
		}
		rest := b[i+1:]
		if len(rest) == 0 {
			return b[:i], true
		}
		_, ok := parsePort(rest[1:])
		return b[:i], ok && rest[0] == ':'
	}
	return nil, false
}

// withoutZone takes the zone off an IPv6 address. A zone that is empty, or that of an IPv4 address,
// stays and makes it invalid.
func withoutZone(b []byte) []byte {
	colon := false
	for i, c := range b {
		colon = colon || c == ':'
		if c == '%' && colon && i+1 < len(b) {
			return b[:i]
		}
	}
	return b
}

// parsePort reads 1 to 5 digits up to 65535.
func parsePort(b []byte) (uint16, bool) {
	if len(b) == 0 || len(b) > 5 {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return uint16(n), n <= 65535
}

// parseIPv4 reads four decimal numbers without leading zeros, which some readers take for octal.
func parseIPv4(b []byte) (a [4]byte, ok bool) {
	if len(b) < len("0.0.0.0") || len(b) > len("255.255.255.255") {
		return a, false
	}
	part, digits, n := 0, 0, 0
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			if digits > 0 && n == 0 {
				return a, false
			}
			if n = n*10 + int(c-'0'); n > 255 {
				return a, false
			}
			digits++
		case c == '.' && digits > 0 && part < 3:
			a[part] = byte(n)
			part, digits, n = part+1, 0, 0
		default:
			return a, false
		}
	}
	a[3] = byte(n)
	return a, part == 3 && digits > 0
}

// parseIPv6 reads the text forms of RFC 4291, section 2.2.
func parseIPv6(b []byte) (netip.Addr, bool) {
	var a [16]byte
	n, gap := 0, -1 // bytes there are, and where "::" stands
	if len(b) >= 2 && b[0] == ':' && b[1] == ':' {
		gap, b = 0, b[2:]
	}
	for len(b) > 0 {
		if n == len(a) {
			return netip.Addr{}, false
		}
		group, digits := hexGroup(b)
		if digits == 0 {
			return netip.Addr{}, false
		}
		if digits < len(b) && b[digits] == '.' {
			v4, ok := parseIPv4(b)
			if !ok || n > 12 || (gap < 0 && n != 12) {
				return netip.Addr{}, false
			}
			n += copy(a[n:], v4[:])
			break
		}
		a[n], a[n+1] = byte(group>>8), byte(group)
		n, b = n+2, b[digits:]
		if len(b) == 0 {
			break
		}
		if b[0] != ':' || len(b) == 1 {
			return netip.Addr{}, false
		}
		if b = b[1:]; b[0] == ':' {
			if gap >= 0 {
				return netip.Addr{}, false
			}
			gap, b = n, b[1:]
		}
	}
	if (gap < 0) != (n == len(a)) {
		return netip.Addr{}, false // too few groups, or none left for "::" to stand for
	}
	if gap >= 0 {
		moved := copy(a[len(a)-(n-gap):], a[gap:n])
		clear(a[gap : len(a)-moved])
	}
	return netip.AddrFrom16(a), true
}

// hexGroup reads up to 4 hexadecimal digits; a fifth makes digits 0.
func hexGroup(b []byte) (group, digits int) {
	for digits < len(b) {
		c, v := b[digits], 0
		switch {
		case c >= '0' && c <= '9':
			v = int(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			v = int(c|0x20-'a') + 10
		default:
			return group, digits
		}
		if digits == 4 {
			return 0, 0
		}
		group, digits = group<<4|v, digits+1
	}
	return group, digits
}
