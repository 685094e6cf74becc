package balancer

import "math/bits"

// The rounds of XXH64 as its specification names them, for inputs whose length is known when the
// code is written, from words instead of a buffer. The library's only form with a seed is a
// streaming digest; a test compares the two.
const (
	prime1 = 0x9E3779B185EBCA87
	prime2 = 0xC2B2AE3D27D4EB4F
	prime3 = 0x165667B19E3779F9
	prime4 = 0x85EBCA77C2B2AE63
	prime5 = 0x27D4EB2F165667C5
)

// lane is one round of an accumulator.
func lane(acc, word uint64) uint64 {
	return bits.RotateLeft64(acc+word*prime2, 31) * prime1
}

// stripe consumes the first 32 bytes of an input of 32 to 63 and merges the four accumulators. The
// caller adds the length. Shorter inputs begin with seed + prime5 + length instead.
func stripe(seed, w0, w1, w2, w3 uint64) uint64 {
	var p1, p2 uint64 = prime1, prime2 // variables: the sums wrap
	a, b, c, d := lane(seed+p1+p2, w0), lane(seed+p2, w1), lane(seed, w2), lane(seed-p1, w3)
	h := bits.RotateLeft64(a, 1) + bits.RotateLeft64(b, 7) + bits.RotateLeft64(c, 12) + bits.RotateLeft64(d, 18)
	h = (h^lane(0, a))*prime1 + prime4
	h = (h^lane(0, b))*prime1 + prime4
	h = (h^lane(0, c))*prime1 + prime4
	return (h^lane(0, d))*prime1 + prime4
}

// mixWord folds 8 bytes of the tail in.
func mixWord(h, word uint64) uint64 {
	return bits.RotateLeft64(h^lane(0, word), 27)*prime1 + prime4
}

// mixHalf folds 4 bytes of the tail in.
func mixHalf(h uint64, half uint32) uint64 {
	return bits.RotateLeft64(h^uint64(half)*prime1, 23)*prime2 + prime3
}

// mixByte folds the last byte in.
func mixByte(h uint64, b byte) uint64 {
	return bits.RotateLeft64(h^uint64(b)*prime5, 11) * prime1
}

// avalanche is the finish: every input bit reaches every output bit.
func avalanche(h uint64) uint64 {
	h = (h ^ h>>33) * prime2
	h = (h ^ h>>29) * prime3
	return h ^ h>>32
}
