package sniff

import (
	"bytes"
	"net/netip"
	"unsafe"
)

// parseLine reads a header of version 1: a line of text (PROXY protocol, section 2.1). b begins as
// one does.
func parseLine(b []byte) (h Header, n int, state State, err error) {
	line, state, err := untilCRLF(b[:min(len(b), MaxProxyV1)])
	if state != Done {
		return h, 0, state, err
	}
	n = len(line) + len("\r\n")
	h.Version = 1
	// Its beginning is "PROXY ": a line end cannot be within it.
	kind, rest, more := bytes.Cut(line[len(signatureV1):], []byte{' '})
	switch string(kind) {
	case "UNKNOWN": // anything may follow
		return h, n, Done, nil
	case "TCP4":
		h.Network = TCP4
	case "TCP6":
		h.Network = TCP6
	}
	if !more || h.Network == Unspec || !h.parseAddresses(rest) {
		return h, 0, Malformed, ErrProxyLine
	}
	return h, n, Done, nil
}

// untilCRLF returns the line at the beginning of b without its end, which no other CR or LF may
// precede.
func untilCRLF(b []byte) (line []byte, state State, err error) {
	end := bytes.IndexAny(b, "\r\n")
	last := end == len(b)-1 // its partner may still come
	switch {
	case end < 0 || last && b[end] == '\r':
		if len(b) == MaxProxyV1 {
			return nil, Malformed, ErrProxyTooLong
		}
		return nil, More, nil
	case b[end] == '\n' || b[end+1] != '\n':
		return nil, Malformed, ErrProxyLine
	}
	return b[:end], Done, nil
}

// parseAddresses reads the two addresses and the two ports, each after exactly one space.
func (h *Header) parseAddresses(b []byte) bool {
	var fields [4][]byte
	for i := range fields {
		field, rest, more := bytes.Cut(b, []byte{' '})
		if more == (i == len(fields)-1) {
			return false
		}
		fields[i], b = field, rest
	}
	src, ok1 := parseAddress(fields[0], h.Network)
	dst, ok2 := parseAddress(fields[1], h.Network)
	srcPort, ok3 := parsePort(fields[2])
	dstPort, ok4 := parsePort(fields[3])
	h.Src, h.Dst = netip.AddrPortFrom(src, srcPort), netip.AddrPortFrom(dst, dstPort)
	return ok1 && ok2 && ok3 && ok4
}

// parseAddress reads an address of the family of network. For IPv6 the protocol describes groups of
// hexadecimal digits only; nginx sends mapped IPv4 addresses with decimal ones, which are accepted.
func parseAddress(b []byte, network Network) (netip.Addr, bool) {
	if bytes.IndexByte(b, '%') >= 0 { // zones have no meaning elsewhere
		return netip.Addr{}, false
	}
	// ParseAddr keeps its argument in errors and zones alone: here in none that lives on.
	addr, err := netip.ParseAddr(unsafe.String(unsafe.SliceData(b), len(b)))
	if err != nil || addr.Is4() != (network == TCP4) {
		return netip.Addr{}, false
	}
	return addr.Unmap(), true
}

// parsePort reads a decimal number up to 65535, without a sign or zeroes in front.
func parsePort(b []byte) (uint16, bool) {
	if len(b) == 0 || len(b) > 5 || b[0] == '0' && len(b) > 1 {
		return 0, false
	}
	port := 0
	for _, c := range b {
		if c < '0' || '9' < c {
			return 0, false
		}
		port = port*10 + int(c-'0')
	}
	return uint16(port), port <= 0xffff
}
