package sniff

import (
	"bytes"
	"encoding/binary"
	"net/netip"
)

// The head of version 2: signature, version and command, network, length of what follows.
const (
	headV2    = 16
	versionV2 = 0x20
	localV2   = versionV2
	proxyV2   = versionV2 | 1
	unixPath  = 108
)

// parseBlock reads a header of version 2: binary (PROXY protocol, section 2.2). b begins as one does.
func parseBlock(b []byte) (h Header, n int, state State, err error) {
	if err := checkHead(b); err != nil {
		return h, 0, Malformed, err
	}
	if len(b) < headV2 {
		return h, 0, More, nil
	}
	n = headV2 + int(binary.BigEndian.Uint16(b[14:]))
	if len(b) < n {
		return h, 0, More, nil
	}
	h.Version = 2
	if h.Local = b[12] == localV2; h.Local {
		return h, n, Done, nil // all of it is to be discarded, the network with it
	}
	h.Network = Network(b[13])
	tlvs := h.readAddresses(b[headV2:n:n])
	switch err := tlvs.check(b[:n]); {
	case err == nil:
		h.TLVs = tlvs
	case h.Network != Unspec || err != error(ErrProxyTLV):
		return h, 0, Malformed, err
	}
	return h, n, Done, nil
}

// checkHead checks the head of version 2, as far as it is there.
func checkHead(b []byte) error {
	if len(b) > 12 {
		switch {
		case b[12]&0xf0 != versionV2:
			return ErrProxyVersion
		case b[12] != localV2 && b[12] != proxyV2:
			return ErrProxyCommand
		}
	}
	least, known := 0, true
	if len(b) > 13 && b[12] == proxyV2 {
		if least, known = Network(b[13]).addresses(); !known {
			return ErrProxyFamily
		}
	}
	if len(b) >= headV2 {
		switch length := int(binary.BigEndian.Uint16(b[14:])); {
		case length > maxBlockV2:
			return ErrProxyTooLong
		case length < least:
			return ErrProxyAddress
		}
	}
	return nil
}

// addresses is how many bytes the addresses and ports of a network take.
func (n Network) addresses() (length int, known bool) {
	switch n {
	case Unspec:
		return 0, true
	case TCP4, UDP4:
		return 2*4 + 2*2, true
	case TCP6, UDP6:
		return 2*16 + 2*2, true
	case UnixStream, UnixDatagram:
		return 2 * unixPath, true
	}
	return 0, false
}

// readAddresses takes the addresses of h.Network from b, which has room for them, and returns what
// follows them.
func (h *Header) readAddresses(b []byte) TLVs {
	length, _ := h.Network.addresses()
	switch h.Network {
	case TCP4, UDP4:
		h.Src = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), binary.BigEndian.Uint16(b[8:]))
		h.Dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:])), binary.BigEndian.Uint16(b[10:]))
	case TCP6, UDP6:
		h.Src = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)).Unmap(), binary.BigEndian.Uint16(b[32:]))
		h.Dst = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[16:])).Unmap(), binary.BigEndian.Uint16(b[34:]))
	case UnixStream, UnixDatagram:
		h.SrcPath, h.DstPath = path(b[:unixPath:unixPath]), path(b[unixPath:2*unixPath:2*unixPath])
	}
	return TLVs(b[length:])
}

// path takes the padding off a Unix address.
func path(b []byte) []byte {
	if b[0] == 0 { // abstract or empty; the name can have NULs within
		if b = bytes.TrimRight(b, "\x00"); len(b) == 0 {
			return nil
		}
		return b
	}
	if end := bytes.IndexByte(b, 0); end >= 0 {
		return b[:end]
	}
	return b
}
