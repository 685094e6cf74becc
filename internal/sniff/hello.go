package sniff

import "iter"

// MaxHello bounds a ClientHello: the bytes up to its end, record headers included. Real ones have
// 200 to 2,000.
const MaxHello = 16 << 10

// Hello is what a TLS client offers (RFC 8446, section 4.1.2; RFC 5246, section 7.4.1.2).
type Hello struct {
	// ServerName is the DNS name that the client asks for, as it wrote it: 1 to 253 bytes of letters,
	// digits, "-", "_" and dots. Nil if the client names none. With Encrypted it may be the public
	// name that stands for a hidden one.
	ServerName []byte
	// ALPN holds the application protocols, nil if the client names none.
	ALPN Protocols
	// Versions is the list of supported versions, nil if the client sends none: it then offers
	// LegacyVersion and perhaps lower ones.
	Versions      Versions
	LegacyVersion uint16 // 0x0303 for both TLS 1.2 and 1.3
	SessionID     []byte // 0 to 32 bytes, nil if empty
	Encrypted     bool   // has an encrypted ClientHello inside, or pretends to
	Size          int    // bytes of the input up to the end of the message
}

// ParseClientHello reads the ClientHello at the beginning of b, which is all that a client has sent
// so far. The error is nil if the state is [More] or [Done], and the hello is empty unless Done.
//
// Whatever a backend could read in another way is refused: lengths that do not add up, an extension
// given twice, more than one name. Unknown extensions are left alone, as are the reserved values of
// GREASE (RFC 8701). Bytes behind the message, even in its record, are not looked at.
//
// A message that its sender has cut into several records is copied when it is whole: at most
// MaxHello bytes. Nothing else allocates.
func ParseClientHello(b []byte) (Hello, State, error) {
	if state, err := opening(b); state != Done {
		return Hello{}, state, err
	}
	message, size, state, err := firstMessage(b)
	if state != Done {
		return Hello{}, state, err
	}
	h := Hello{Size: size}
	if err := h.parse(message); err != nil {
		return Hello{}, Malformed, err
	}
	return h, Done, nil
}

// parse reads the body of a ClientHello.
func (h *Hello) parse(body []byte) error {
	c := cursor{rest: body}
	h.LegacyVersion = c.uint16()
	c.take(32) // random
	if id := c.vector8(); len(id) > 0 {
		h.SessionID = id
	}
	suites := c.vector16()
	compressions := c.vector8()
	if c.short || len(h.SessionID) > 32 || len(suites) == 0 || len(suites)%2 != 0 || len(compressions) == 0 {
		return ErrHello
	}
	if len(c.rest) == 0 { // before TLS 1.3 there need not be extensions
		return nil
	}
	extensions := c.vector16()
	if c.short || len(c.rest) != 0 {
		return ErrHello
	}
	return h.parseExtensions(extensions)
}

// MaxVersion is the highest version of SSL 3.0 (0x0300) to TLS 1.3 (0x0304) and later ones that the
// client offers; 0 if there is none.
func (h *Hello) MaxVersion() uint16 {
	if h.Versions == nil {
		// TLS 1.3 and later are offered in the extension only (RFC 8446, section 4.2.1).
		return min(h.LegacyVersion, 0x0303)
	}
	highest := uint16(0)
	for v := range h.Versions.All() {
		if v>>8 == 3 {
			highest = max(highest, v)
		}
	}
	return highest
}

// Versions is a list of protocol versions as it was on the wire, two bytes each.
type Versions []byte

// All yields the versions in the order of the client's preference, without GREASE.
func (v Versions) All() iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		for c := (cursor{rest: v}); len(c.rest) >= 2; {
			if version := c.uint16(); !grease(version) && !yield(version) {
				return
			}
		}
	}
}

// Protocols is a list of application protocols as it was on the wire, each with its length in front
// (RFC 7301, section 3.1).
type Protocols []byte

// All yields the names in the order of the client's preference, without GREASE. They are parts of
// the list.
func (p Protocols) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for c := (cursor{rest: p}); len(c.rest) > 0; {
			name := c.vector8()
			if len(name) == 2 && grease(uint16(name[0])<<8|uint16(name[1])) {
				continue
			}
			if c.short || !yield(name) {
				return
			}
		}
	}
}

// Has reports whether name is in the list, byte for byte.
func (p Protocols) Has(name string) bool {
	for offered := range p.All() {
		if string(offered) == name {
			return true
		}
	}
	return false
}

// grease tells the values that clients send to keep servers tolerant (RFC 8701, section 2): 0x0a0a,
// 0x1a1a and so on.
func grease(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }
