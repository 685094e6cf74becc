package sniff

import "encoding/binary"

// cursor reads fields from the front of a slice. The first one that does not fit makes it short: it
// then yields nothing more, so that a caller can look once, at the end.
type cursor struct {
	rest  []byte
	short bool
}

// take returns the next n bytes.
func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.rest)) {
		c.rest, c.short = nil, true
		return nil
	}
	b := c.rest[:n:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) uint8() uint8 {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) uint16() uint16 {
	if b := c.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// vector8 is a vector with a length of one byte in front.
func (c *cursor) vector8() []byte { return c.take(uint64(c.uint8())) }

// vector16 is a vector with a length of two bytes in front.
func (c *cursor) vector16() []byte { return c.take(uint64(c.uint16())) }

// varint is an integer of 1, 2, 4 or 8 bytes, as its first two bits say (RFC 9000, section 16).
func (c *cursor) varint() uint64 {
	if len(c.rest) == 0 {
		c.short = true
		return 0
	}
	b := c.take(1 << (c.rest[0] >> 6))
	if b == nil {
		return 0
	}
	v := uint64(b[0] & 0x3f)
	for _, d := range b[1:] {
		v = v<<8 | uint64(d)
	}
	return v
}
