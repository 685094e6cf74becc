package balancer

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Proto is an IP protocol number.
type Proto uint8

// The protocols that carry flows.
const (
	TCP Proto = 6
	UDP Proto = 17
)

// Flow is what a pick may depend on: one TCP connection, UDP session or HTTP request. Src is the
// client address, Dst the address that the client used. CID is the slice of the QUIC connection ID
// that the pool is configured to look at; 0 otherwise.
type Flow struct {
	Src, Dst netip.AddrPort
	Proto    Proto
	CID      uint64
}

// Tuple names the parts of a Flow that a hash covers.
type Tuple uint8

// The tuples. Two is both addresses, three those and the protocol, five those and both ports.
const (
	SourceIP Tuple = iota
	TwoTuple
	ThreeTuple
	FiveTuple
	ConnectionID
)

// Hash is the xxhash64 with seed of the parts of f that t names. The bytes hashed are, in this
// order: source address (16), destination address (16), protocol (1), source and destination port
// (2 each, big endian); for ConnectionID the CID alone (8, big endian). An IPv4 address and its
// IPv4-mapped IPv6 form are the same 16 bytes, and zones are ignored, so the value is the same on
// every machine. An invalid address hashes as ::. Hash does not allocate.
func (f Flow) Hash(t Tuple, seed uint64) uint64 { return f.hash(t, seed) }

// hash is Hash without a copy of the flow.
func (f *Flow) hash(t Tuple, seed uint64) uint64 {
	if t == ConnectionID {
		return avalanche(mixWord(seed+prime5+8, bits.ReverseBytes64(f.CID)))
	}
	s0, s1 := words(f.Src.Addr())
	if t == SourceIP {
		return avalanche(mixWord(mixWord(seed+prime5+16, s0), s1))
	}
	d0, d1 := words(f.Dst.Addr())
	h := stripe(seed, s0, s1, d0, d1)
	switch t {
	case ThreeTuple:
		return avalanche(mixByte(h+33, byte(f.Proto)))
	case FiveTuple:
		sp, dp := f.Src.Port(), f.Dst.Port()
		w := uint32(f.Proto) | uint32(sp>>8)<<8 | uint32(sp&0xff)<<16 | uint32(dp>>8)<<24
		return avalanche(mixByte(mixHalf(h+37, w), byte(dp)))
	default:
		return avalanche(h + 32)
	}
}

// words is the 16-byte form of a as two little-endian words. Putting an IPv4 address together by
// hand costs 2 ns; reading the array of As16 in words while it is still being written, 10.
func words(a netip.Addr) (low, high uint64) {
	if a.Is4() || a.Is4In6() {
		b := a.As4()
		return 0, uint64(binary.LittleEndian.Uint32(b[:]))<<32 | 0xffff0000
	}
	if !a.IsValid() {
		return 0, 0
	}
	b := a.As16()
	return binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])
}
