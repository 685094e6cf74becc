package session

import (
	"bytes"
	"iter"
	"time"
)

// Pairs goes through the cookies of one Cookie field value in their order: "; " between them (RFC
// 6265, section 4.2.1), with any amount of space and tab around names and values. One pair of double
// quotes around a value is not part of it. A cookie without "=" is a name without value. A ";"
// always ends a cookie, also within quotes, as in RFC 6265 and all browsers. Empty names are
// skipped. Names and values are slices of value; nothing is allocated.
func Pairs(value []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for more := true; more; {
			var part []byte
			part, value, more = bytes.Cut(value, semicolon)
			name, v := pair(part)
			if len(name) > 0 && !yield(name, unquote(v)) {
				return
			}
		}
	}
}

// Find returns the value of the first cookie called name, letter case included, in the values of
// all Cookie fields of a request. ok is false if there is none. It allocates nothing.
func Find(name string, values ...[]byte) (value []byte, ok bool) {
	for _, line := range values {
		for n, v := range Pairs(line) {
			if string(n) == name {
				return v, true
			}
		}
	}
	return nil, false
}

// maxCandidates is how many values of the length of a cookie of ours are verified for one request:
// each costs a hash.
const maxCandidates = 16

// Find looks for a cookie of ours called name in the values of all Cookie fields of a request. Of
// several the first that Decode finds good counts, among the first 16 that have the length of one: a
// page of a sibling domain, or of a longer path, can put others in front of it. If none is good, v is
// the best that was said of one. found reports whether there is any cookie of that name. It
// allocates nothing.
func (c *Codec) Find(name string, now int64, timeout time.Duration, values ...[]byte) (tag Tag, v Verdict, found bool) {
	left := maxCandidates
	for _, line := range values {
		for n, value := range Pairs(line) {
			if string(n) != name {
				continue
			}
			found = true
			if len(value) != EncodedSize {
				continue
			}
			t, _, verdict := c.Decode(value, now, timeout)
			if verdict.OK() {
				return t, verdict, true
			}
			v = max(v, verdict)
			if left--; left == 0 {
				return 0, v, true
			}
		}
	}
	return 0, v, found
}

// Strip appends the value of a Cookie field without any cookie called name. The other bytes stay as
// they came, except space at the start. If only separators are left, nothing is appended: the field
// is to be dropped. dst must not overlap value.
func Strip(dst, value []byte, name string) []byte {
	start, stripped, first := len(dst), false, true
	for more := true; more; {
		var part []byte
		part, value, more = bytes.Cut(value, semicolon)
		if n, _ := pair(part); string(n) == name {
			stripped = true
			continue
		}
		if !first {
			dst = append(dst, ';')
		} else if stripped {
			part = bytes.TrimLeft(part, blank)
		}
		first = false
		dst = append(dst, part...)
	}
	if stripped && len(bytes.Trim(dst[start:], "; \t")) == 0 {
		return dst[:start]
	}
	return dst
}

// blank is the white space of HTTP fields.
const blank = " \t"

var semicolon = []byte{';'}

// pair splits a cookie at its first "=" and trims both sides.
func pair(part []byte) (name, value []byte) {
	name, value, _ = bytes.Cut(part, []byte{'='})
	return bytes.Trim(name, blank), bytes.Trim(value, blank)
}

// unquote removes one pair of double quotes.
func unquote(v []byte) []byte {
	if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
		return v[1 : len(v)-1]
	}
	return v
}
