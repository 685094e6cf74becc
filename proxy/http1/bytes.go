package http1

import (
	"encoding/binary"
	"math/bits"
)

// Classes of bytes.
const (
	isToken  = 1 << iota // RFC 9110, section 5.6.2
	isTarget             // visible ASCII but "#"
	isHost               // RFC 3986, section 3.2.2, but "%": some readers decode it, some do not
)

var class = classes()

func classes() (t [256]uint8) {
	for c := '!'; c <= '~'; c++ {
		if c != '#' {
			t[c] |= isTarget
		}
	}
	mark := func(s string, bits uint8) {
		for i := range len(s) {
			t[s[i]] |= bits
		}
	}
	for c := byte('0'); c <= 'z'; c++ {
		if c <= '9' || c >= 'a' || (c >= 'A' && c <= 'Z') {
			t[c] |= isToken | isHost
		}
	}
	mark("!#$%&'*+-.^_`|~", isToken)
	mark("-._~!$&'()*+,;=:[]", isHost)
	return t
}

func all(b []byte, bits uint8) bool {
	for _, c := range b {
		if class[c]&bits == 0 {
			return false
		}
	}
	return true
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// validValue reports whether b consists of the bytes of a field value.
func validValue(b []byte) bool { return valueEnd(b, 0) == len(b) }

// valueEnd is the position, from i on, of the first byte of b that may not stand in a field value:
// a control byte that is not a tab. It is len(b) if there is none. Eight bytes at a time: values
// are long, and have no tabs.
func valueEnd(b []byte, i int) int {
	for i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		del := x ^ (ones * 0x7f)
		// A byte below 0x20 borrows into its high bit, and so does one that equals 0x7f. Borrows go
		// up, so the lowest bit that is set is true.
		found := ((x-ones*0x20)&^x | (del-ones)&^del) & highs
		if found == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(found) / 8
		if b[i] != '\t' {
			return i
		}
		i++
	}
	for i < len(b) && (b[i] >= 0x20 || b[i] == '\t') && b[i] != 0x7f {
		i++
	}
	return i
}

// trimmed narrows [from, to) by the white space at its ends.
func trimmed(b []byte, from, to int) (int, int) {
	for from < to && (b[from] == ' ' || b[from] == '\t') {
		from++
	}
	for from < to && (b[to-1] == ' ' || b[to-1] == '\t') {
		to--
	}
	return from, to
}
