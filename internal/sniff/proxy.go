package sniff

import "net/netip"

// Bounds of PROXY headers, in bytes with everything that belongs to them.
const (
	MaxProxyV1 = 107             // all that version 1 can have
	MaxProxy   = 16 + maxBlockV2 // of either version
	// maxBlockV2 is ours: the protocol permits 65,535. The largest thing that senders add is the
	// client's certificate, of 1 to 2 KiB.
	maxBlockV2 = 4096
)

// Network is the kind of connection that a PROXY header speaks of: the byte of version 2.
type Network uint8

// The kinds that there are.
const (
	Unspec       Network = 0x00 // unknown to the sender; UNKNOWN in version 1
	TCP4         Network = 0x11
	UDP4         Network = 0x12
	TCP6         Network = 0x21
	UDP6         Network = 0x22
	UnixStream   Network = 0x31
	UnixDatagram Network = 0x32
)

// String is the name of the kind, in lower case.
func (n Network) String() string {
	switch n {
	case Unspec:
		return "unspec"
	case TCP4:
		return "tcp4"
	case UDP4:
		return "udp4"
	case TCP6:
		return "tcp6"
	case UDP6:
		return "udp6"
	case UnixStream:
		return "unix"
	case UnixDatagram:
		return "unixgram"
	}
	return "unknown"
}

// Header is what a proxy in front says about its client (PROXY protocol, sections 2.1 and 2.2).
type Header struct {
	Version uint8 // 1 or 2
	// Local is true if the proxy speaks for itself, as it does to check health: the header says
	// nothing, and the addresses of the connection are the true ones.
	Local   bool
	Network Network
	// Src is the client and Dst is where it connected to. Both are valid or neither: not if Local, nor
	// for Unspec and Unix networks; then the addresses of the connection count. IPv4 addresses that
	// are mapped to IPv6 are given as IPv4, so that lists of networks hold for them.
	Src, Dst netip.AddrPort
	// SrcPath and DstPath are those of Unix networks, nil if empty. An abstract one begins with NUL.
	SrcPath, DstPath []byte
	TLVs             TLVs // what else the header has; version 2 only
}

// Signatures by which a header is known.
const (
	signatureV1 = "PROXY "
	signatureV2 = "\r\n\r\n\x00\r\nQUIT\n"
)

// ParseProxy reads the PROXY header at the beginning of b, which is all that the peer has sent so far,
// or one datagram. When the state is [Done], n is how many bytes it takes. The error is nil if the
// state is [More] or Done, and the header is empty unless Done.
//
// Parsing is strict, and complete: the checksum is verified if there is one, every TLV fits, and a
// unique ID has at most 128 bytes. An Unspec header of version 2 may have addresses where others
// have TLVs, so that what does not read as TLVs is passed over there.
func ParseProxy(b []byte) (h Header, n int, state State, err error) {
	switch {
	case begins(b, signatureV1):
		h, n, state, err = parseLine(b)
	case begins(b, signatureV2):
		h, n, state, err = parseBlock(b)
	default:
		state, err = Foreign, ErrNotProxy
	}
	if state != Done {
		return Header{}, 0, state, err
	}
	return h, n, Done, nil
}

// begins reports whether b begins with signature, or is a beginning of it.
func begins(b []byte, signature string) bool {
	n := min(len(b), len(signature))
	return string(b[:n]) == signature[:n]
}
