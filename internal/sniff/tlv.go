package sniff

import (
	"encoding/binary"
	"hash/crc32"
	"iter"
)

// TLVType says what a TLV of a PROXY header holds (PROXY protocol, section 2.2).
type TLVType uint8

// The types that are registered. Those from SSLVersion to SSLClientCert are within [SSL] only.
const (
	TLVALPN       TLVType = 0x01 // an application protocol
	TLVAuthority  TLVType = 0x02 // the server name that the client asked for
	TLVChecksum   TLVType = 0x03 // CRC32C over the header; verified by ParseProxy
	TLVNoop       TLVType = 0x04 // padding
	TLVUniqueID   TLVType = 0x05 // names the connection; at most 128 bytes
	TLVSSL        TLVType = 0x20
	SSLVersion    TLVType = 0x21 // "TLSv1.3"
	SSLCommonName TLVType = 0x22 // of the client's certificate
	SSLCipher     TLVType = 0x23
	SSLSigAlg     TLVType = 0x24
	SSLKeyAlg     TLVType = 0x25
	SSLGroup      TLVType = 0x26
	SSLSigScheme  TLVType = 0x27
	SSLClientCert TLVType = 0x28 // in DER
	TLVNetNS      TLVType = 0x30
)

const (
	maxUniqueID = 128
	sslHead     = 5
)

// Nobody writes to these. A local array of zeroes would be allocated for crc32.Update.
var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli) // the polynomial of CRC32C
	zeroes     [crc32.Size]byte                    // stands for a checksum that is computed
)

// TLVs is a list of TLVs as it was on the wire. That of a [Header] is well-formed.
type TLVs []byte

// All yields the TLVs in their order, without padding. Values are parts of the list.
func (t TLVs) All() iter.Seq2[TLVType, []byte] {
	return func(yield func(TLVType, []byte) bool) {
		for c := (cursor{rest: t}); len(c.rest) > 0; {
			kind, value := TLVType(c.uint8()), c.vector16()
			if c.short {
				return
			}
			if kind != TLVNoop && !yield(kind, value) {
				return
			}
		}
	}
}

// Find returns the value of the first TLV of a type.
func (t TLVs) Find(kind TLVType) (value []byte, ok bool) {
	for k, v := range t.All() {
		if k == kind {
			return v, true
		}
	}
	return nil, false
}

// SSL is what the proxy in front knows about the TLS connection of its client.
type SSL struct {
	TLS         bool // the client came over TLS
	Certificate bool // it showed a certificate on this connection
	Session     bool // it showed one in the session that this connection goes on with
	Verified    bool // a certificate was shown and verified
	TLVs        TLVs // of the types from SSLVersion to SSLClientCert
}

// SSL returns what the first TLV of type SSL says.
func (t TLVs) SSL() (s SSL, ok bool) {
	value, ok := t.Find(TLVSSL)
	if !ok || len(value) < sslHead {
		return SSL{}, false
	}
	s = SSL{
		TLS:         value[0]&1 != 0,
		Certificate: value[0]&2 != 0,
		Session:     value[0]&4 != 0,
		TLVs:        TLVs(value[sslHead:]),
	}
	s.Verified = (s.Certificate || s.Session) && binary.BigEndian.Uint32(value[1:]) == 0
	return s, true
}

// check walks through the TLVs, which end where header does.
func (t TLVs) check(header []byte) error {
	at := 0 // where the checksum is in the header
	for c := (cursor{rest: t}); len(c.rest) > 0; {
		kind, value := TLVType(c.uint8()), c.vector16()
		if c.short {
			return ErrProxyTLV
		}
		fits := true
		switch kind {
		case TLVChecksum:
			fits = at == 0 && len(value) == crc32.Size
			at = len(header) - len(c.rest) - len(value)
		case TLVUniqueID:
			fits = len(value) <= maxUniqueID
		case TLVSSL:
			fits = len(value) >= sslHead && TLVs(value[sslHead:]).wellFormed()
		}
		if !fits {
			return ErrProxyTLV
		}
	}
	if at != 0 && checksum(header, at) != binary.BigEndian.Uint32(header[at:]) {
		return ErrProxyChecksum
	}
	return nil
}

// wellFormed reports whether the TLVs fill the list exactly.
func (t TLVs) wellFormed() bool {
	c := cursor{rest: t}
	for len(c.rest) > 0 {
		c.uint8()
		c.vector16()
	}
	return !c.short
}

// checksum is the CRC32C of a header. Its own bytes, at the given position, count as zeroes.
func checksum(header []byte, at int) uint32 {
	sum := crc32.Update(0, castagnoli, header[:at])
	sum = crc32.Update(sum, castagnoli, zeroes[:])
	return crc32.Update(sum, castagnoli, header[at+crc32.Size:])
}
