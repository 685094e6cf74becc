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
// order: source address, destination address, protocol (1), source and destination port (2 each,
// big endian); for ConnectionID the CID alone (8, big endian). Addresses have 4 bytes if all that
// are hashed are IPv4, or IPv6 addresses that IPv4 is mapped to, which hash alike; else 16. Zones
// are ignored, so the value is the same on every machine. An invalid address is ::. Hash does not
// allocate.
func (f Flow) Hash(t Tuple, seed uint64) uint64 { return f.hash(t, seed) }

// hash is Hash without a copy of the flow.
func (f *Flow) hash(t Tuple, seed uint64) uint64 {
	if t == ConnectionID {
		return avalanche(mixWord(seed+prime5+8, bits.ReverseBytes64(f.CID)))
	}
	src := f.Src.Addr()
	short := src.Is4() || src.Is4In6()
	if t == SourceIP {
		if short {
			return avalanche(mixHalf(seed+prime5+4, half(src)))
		}
		low, high := words(src)
		return avalanche(mixWord(mixWord(seed+prime5+16, low), high))
	}
	dst := f.Dst.Addr()
	var h uint64
	if short && (dst.Is4() || dst.Is4In6()) {
		addresses := uint64(half(dst))<<32 | uint64(half(src))
		h = mixWord(seed+prime5+8+tail(t), addresses)
	} else {
		s0, s1 := words(src)
		d0, d1 := words(dst)
		h = stripe(seed, s0, s1, d0, d1) + 32 + tail(t)
	}
	switch t {
	case ThreeTuple:
		h = mixByte(h, byte(f.Proto))
	case FiveTuple:
		sp, dp := f.Src.Port(), f.Dst.Port()
		h = mixHalf(h, uint32(f.Proto)|uint32(bits.ReverseBytes16(sp))<<8|uint32(dp>>8)<<24)
		h = mixByte(h, byte(dp))
	}
	return avalanche(h)
}

// tail is how many bytes t has behind the addresses.
func tail(t Tuple) uint64 {
	switch t {
	case ThreeTuple:
		return 1
	case FiveTuple:
		return 5
	default:
		return 0
	}
}

// half is the IPv4 address in a as a little-endian word.
func half(a netip.Addr) uint32 {
	b := a.As4()
	return binary.LittleEndian.Uint32(b[:])
}

// words is the 16-byte form of a as two little-endian words.
func words(a netip.Addr) (low, high uint64) {
	if !a.IsValid() {
		return 0, 0
	}
	b := a.As16()
	return binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])
}
