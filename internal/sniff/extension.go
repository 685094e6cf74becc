package sniff

// Extensions of TLS that are read.
const (
	extensionServerName        = 0      // RFC 6066, section 3
	extensionALPN              = 16     // RFC 7301
	extensionSupportedVersions = 43     // RFC 8446, section 4.2.1
	extensionEncryptedHello    = 0xfe0d // RFC 9849
)

// parseExtensions reads the extensions of a ClientHello.
func (h *Hello) parseExtensions(b []byte) error {
	seen := uint64(0) // those below 64, which are all that were ever common
	for c := (cursor{rest: b}); len(c.rest) > 0; {
		kind, data := c.uint16(), c.vector16()
		if c.short {
			return ErrExtension
		}
		if kind < 64 {
			// There must not be two of a type (RFC 8446, section 4.2): a backend could choose by the other.
			if seen&(1<<kind) != 0 {
				return ErrExtension
			}
			seen |= 1 << kind
		}
		if err := h.extension(kind, data); err != nil {
			return err
		}
	}
	return nil
}

// extension reads one extension.
func (h *Hello) extension(kind uint16, data []byte) (err error) {
	switch kind {
	case extensionServerName:
		h.ServerName, err = serverName(data)
	case extensionALPN:
		h.ALPN, err = protocols(data)
	case extensionSupportedVersions:
		h.Versions, err = versions(data)
	case extensionEncryptedHello:
		h.Encrypted = true
	}
	return err
}

// protocols checks a list of application protocols: at least one, none of them empty.
func protocols(data []byte) (Protocols, error) {
	c := cursor{rest: data}
	list := c.vector16()
	if c.short || len(c.rest) > 0 || len(list) == 0 {
		return nil, ErrExtension
	}
	for names := (cursor{rest: list}); len(names.rest) > 0; {
		if len(names.vector8()) == 0 { // empty, or more than there is
			return nil, ErrExtension
		}
	}
	return list, nil
}

// versions checks a list of versions: at least one.
func versions(data []byte) (Versions, error) {
	c := cursor{rest: data}
	list := c.vector8()
	if c.short || len(c.rest) > 0 || len(list) == 0 || len(list)%2 != 0 {
		return nil, ErrExtension
	}
	return list, nil
}
