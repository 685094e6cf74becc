package sniff

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"strconv"
)

// maxText bounds the text in a TLV that is written: no server name or protocol name is longer.
const maxText = 255

// ProxyOptions is what a header of version 2 says besides addresses. TLVs that are empty are left
// out, and so are those that a receiver would have to refuse or could not use: Authority and ALPN
// above 255 bytes, UniqueID above 128.
type ProxyOptions struct {
	Local    bool // speak for the sender itself, without addresses and TLVs: for probes
	Datagram bool // UDP instead of TCP
	// Authority is the server name that the client asked for, ALPN the protocol that was agreed on.
	Authority, ALPN []byte
	UniqueID        []byte // names the connection
	Checksum        bool   // protect the header by a CRC32C
}

// AppendProxyV1 appends a header of version 1 to b: src is the client, dst where it connected to. If
// one of the two is IPv6 the other is written as IPv6, too; without them the header is UNKNOWN. It
// adds at most [MaxProxyV1] bytes.
func AppendProxyV1(b []byte, src, dst netip.AddrPort) []byte {
	from, to, network := family(src, dst, false)
	switch network {
	case TCP4:
		b = append(b, "PROXY TCP4 "...)
	case TCP6:
		b = append(b, "PROXY TCP6 "...)
	default:
		return append(b, "PROXY UNKNOWN\r\n"...)
	}
	b = append(appendAddress(b, from), ' ')
	b = append(appendAddress(b, to), ' ')
	b = append(strconv.AppendUint(b, uint64(src.Port()), 10), ' ')
	b = strconv.AppendUint(b, uint64(dst.Port()), 10)
	return append(b, "\r\n"...)
}

// AppendProxyV2 appends a header of version 2 to b: src is the client, dst where it connected to. If
// one of the two is IPv6 the other is written as IPv6, too; without them the header is Unspec. It
// adds at most 706 bytes.
func AppendProxyV2(b []byte, src, dst netip.AddrPort, o ProxyOptions) []byte {
	start := len(b)
	b = append(b, signatureV2...)
	if o.Local {
		return append(b, localV2, byte(Unspec), 0, 0)
	}
	from, to, network := family(src, dst, o.Datagram)
	b = append(b, proxyV2, byte(network), 0, 0)
	if network != Unspec {
		b = appendBytes(b, from)
		b = appendBytes(b, to)
		b = binary.BigEndian.AppendUint16(b, src.Port())
		b = binary.BigEndian.AppendUint16(b, dst.Port())
	}
	b = appendTLV(b, TLVALPN, o.ALPN, maxText)
	b = appendTLV(b, TLVAuthority, o.Authority, maxText)
	b = appendTLV(b, TLVUniqueID, o.UniqueID, maxUniqueID)
	if o.Checksum {
		b = append(b, byte(TLVChecksum), 0, crc32.Size, 0, 0, 0, 0)
	}
	header := b[start:]
	binary.BigEndian.PutUint16(header[14:], uint16(len(header)-headV2))
	if o.Checksum {
		at := len(header) - crc32.Size
		binary.BigEndian.PutUint32(header[at:], checksum(header, at))
	}
	return b
}

// family brings two addresses into one family. Zones are lost: they mean nothing elsewhere.
func family(src, dst netip.AddrPort, datagram bool) (from, to netip.Addr, n Network) {
	if !src.IsValid() || !dst.IsValid() {
		return from, to, Unspec
	}
	from, to = src.Addr().Unmap(), dst.Addr().Unmap()
	n = TCP4
	if from.Is6() || to.Is6() {
		from, to = netip.AddrFrom16(from.As16()), netip.AddrFrom16(to.As16())
		n = TCP6
	}
	if datagram {
		n++ // the transport is in the lower four bits: 1 for streams, 2 for datagrams
	}
	return from, to, n
}

// appendAddress appends an address as text. Mapped IPv4 is written in hexadecimal digits: version 1
// has no other form of IPv6.
func appendAddress(b []byte, a netip.Addr) []byte {
	if !a.Is4In6() {
		return a.AppendTo(b)
	}
	v := a.As16()
	b = append(b, "::ffff:"...)
	b = strconv.AppendUint(b, uint64(binary.BigEndian.Uint16(v[12:])), 16)
	b = append(b, ':')
	return strconv.AppendUint(b, uint64(binary.BigEndian.Uint16(v[14:])), 16)
}

// appendBytes appends the 4 or 16 bytes of an address.
func appendBytes(b []byte, a netip.Addr) []byte {
	if a.Is4() {
		v := a.As4()
		return append(b, v[:]...)
	}
	v := a.As16()
	return append(b, v[:]...)
}

// appendTLV appends a TLV of 1 to most bytes.
func appendTLV(b []byte, kind TLVType, value []byte, most int) []byte {
	if len(value) == 0 || len(value) > most {
		return b
	}
	b = append(b, byte(kind))
	b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}
