package sniff

import (
	"encoding/binary"
	"iter"
)

// Versions of QUIC whose packets are read in full. Of others the header is read that all versions
// share (RFC 8999).
const (
	QUICv1 = 0x00000001 // RFC 9000
	QUICv2 = 0x6b3343cf // RFC 9369
)

const (
	// MaxQUICID is how long connection IDs of versions 1 and 2 can be, in bytes.
	MaxQUICID = 20
	// smallInitial is what a datagram with an Initial packet must have at least, from clients always
	// and from servers if it asks for an acknowledgement (RFC 9000, section 14.1).
	smallInitial = 1200
	retryTag     = 16 // integrity tag at the end of Retry (RFC 9001, section 5.8)
)

// PacketType is the kind of a QUIC packet.
type PacketType uint8

// The kinds of packets. All but Short have a long header.
const (
	Short              PacketType = iota // 1-RTT, in versions 1 and 2
	Initial                              // the first of a connection, in both directions
	ZeroRTT                              // early data
	Handshake                            // the rest of the handshake
	Retry                                // the server's demand to prove the address
	VersionNegotiation                   // the server's answer to a version that it does not know
	OtherVersion                         // long header of a version that is not known here
)

// String is the name of the kind, in lower case.
func (t PacketType) String() string {
	switch t {
	case Short:
		return "short"
	case Initial:
		return "initial"
	case ZeroRTT:
		return "0-rtt"
	case Handshake:
		return "handshake"
	case Retry:
		return "retry"
	case VersionNegotiation:
		return "version negotiation"
	case OtherVersion:
		return "other version"
	}
	return "unknown"
}

// Packet is what everybody on the path can see of a QUIC packet.
type Packet struct {
	Type PacketType
	// Fixed is the QUIC bit. Versions 1 and 2 set it, unless they have agreed to grease it (RFC 9287).
	Fixed bool
	// Small is true for an Initial in a datagram of less than 1,200 bytes, which servers ignore when a
	// client sends it.
	Small   bool
	Version uint32 // 0 for Short and VersionNegotiation
	DCID    []byte // connection ID of the receiver; of a Short as many bytes as the caller said
	SCID    []byte // connection ID of the sender, which it wants to be sent to; long headers only
	Token   []byte // of Initial and Retry
	// Versions are those that a VersionNegotiation offers.
	Versions QUICVersions
	// Size is how many bytes the packet takes. More packets may follow it in the datagram, if it is
	// Initial, ZeroRTT or Handshake.
	Size int
}

// ParseQUIC reads the first packet of a datagram. A short header does not say how long its
// connection ID is: idLen does, 0 to 20, which the caller knows by whose IDs they are. The packet is
// empty if there is an error, [ErrQUICTruncated], [ErrQUICID] or [ErrQUICVersions].
//
// It looks at headers only. A packet whose header is right can be forged, damaged, or not QUIC at
// all: nothing but the handshake's keys can tell.
func ParseQUIC(datagram []byte, idLen int) (Packet, error) {
	return parsePacket(datagram, idLen, len(datagram))
}

// QUICPackets yields the packets of a datagram, one after the other as they are coalesced in it (RFC
// 9000, section 12.2), and at the end the error if there is one. Bytes that pad the datagram behind
// the last packet look like a Short.
func QUICPackets(datagram []byte, idLen int) iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		for rest := datagram; len(rest) > 0; {
			p, err := parsePacket(rest, idLen, len(datagram))
			if !yield(p, err) || err != nil {
				return
			}
			rest = rest[p.Size:]
		}
	}
}

// parsePacket reads the packet at the beginning of b, the rest of a datagram of size bytes.
func parsePacket(b []byte, idLen, size int) (Packet, error) {
	if len(b) == 0 {
		return Packet{}, ErrQUICTruncated
	}
	p := Packet{Fixed: b[0]&0x40 != 0}
	var err error
	if b[0]&0x80 == 0 {
		err = p.parseShort(b, idLen)
	} else {
		err = p.parseLong(b)
	}
	if err != nil {
		return Packet{}, err
	}
	p.Small = p.Type == Initial && size < smallInitial
	return p, nil
}

// parseShort reads a short header (RFC 8999, section 5.2). The packet takes the rest.
func (p *Packet) parseShort(b []byte, idLen int) error {
	c := cursor{rest: b[1:]}
	p.DCID = c.take(uint64(min(max(idLen, 0), MaxQUICID)))
	if c.short {
		return ErrQUICTruncated
	}
	p.Size = len(b)
	return nil
}

// parseLong reads a long header: what all versions share (RFC 8999, section 5.1), then what the
// version adds.
func (p *Packet) parseLong(b []byte) error {
	c := cursor{rest: b[1:]}
	p.Version = c.uint32()
	p.DCID = c.vector8()
	p.SCID = c.vector8()
	if c.short {
		return ErrQUICTruncated
	}
	p.Size = len(b)
	switch p.Version {
	case 0:
		p.Type = VersionNegotiation
		if len(c.rest) == 0 || len(c.rest)%4 != 0 {
			return ErrQUICVersions
		}
		p.Versions = c.rest
		return nil
	case QUICv1:
		p.Type = typesV1[b[0]>>4&3]
	case QUICv2:
		p.Type = typesV2[b[0]>>4&3]
	default:
		p.Type = OtherVersion
		return nil
	}
	if len(p.DCID) > MaxQUICID || len(p.SCID) > MaxQUICID {
		return ErrQUICID
	}
	return p.parseBody(&c, len(b))
}

// The types by the two bits of the first byte (RFC 9000, section 17.2; RFC 9369, section 3.2).
var (
	typesV1 = [4]PacketType{Initial, ZeroRTT, Handshake, Retry}
	typesV2 = [4]PacketType{Retry, Initial, ZeroRTT, Handshake}
)

// parseBody reads what versions 1 and 2 have behind the connection IDs. The packet begins size bytes
// before the end of the datagram.
func (p *Packet) parseBody(c *cursor, size int) error {
	if p.Type == Retry {
		if len(c.rest) < retryTag {
			return ErrQUICTruncated
		}
		p.Token = c.rest[: len(c.rest)-retryTag : len(c.rest)-retryTag]
		return nil
	}
	if p.Type == Initial {
		p.Token = c.take(c.varint())
	}
	c.take(c.varint()) // packet number and payload
	if c.short {
		return ErrQUICTruncated
	}
	p.Size = size - len(c.rest)
	return nil
}

// QUICVersions is a list of versions of QUIC as it was on the wire, four bytes each.
type QUICVersions []byte

// All yields the versions in their order, with those that are only there to keep clients tolerant
// (RFC 9000, section 15).
func (v QUICVersions) All() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for rest := v; len(rest) >= 4; rest = rest[4:] {
			if !yield(binary.BigEndian.Uint32(rest)) {
				return
			}
		}
	}
}

// ServerID is the slice of a connection ID in which backends that agree on it keep who they are, as
// in the plaintext form of QUIC-LB (draft-ietf-quic-load-balancers): length bytes from offset on,
// parts of id. It is not there if the ID is too short for it; neither number may be negative.
func ServerID(id []byte, offset, length int) (slice []byte, ok bool) {
	if offset > len(id) || length > len(id)-offset {
		return nil, false
	}
	return id[offset : offset+length : offset+length], true
}
