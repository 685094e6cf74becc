package route

import (
	"bytes"

	"weir/config"
)

// hasParameters reports whether the query of target has every parameter of want. Of a name that
// stands there several times any may have the value. A parameter without "=" has the empty value;
// ";" is data.
func hasParameters(target []byte, want []config.Parameter) bool {
	i := bytes.IndexByte(target, '?')
	if i < 0 {
		return false
	}
	for j := range want {
		if !hasParameter(target[i+1:], &want[j]) {
			return false
		}
	}
	return true
}

func hasParameter(query []byte, want *config.Parameter) bool {
	for len(query) > 0 {
		pair := query
		if i := bytes.IndexByte(query, '&'); i >= 0 {
			pair, query = query[:i], query[i+1:]
		} else {
			query = nil
		}
		name, value, _ := bytes.Cut(pair, equals)
		if decodesTo(name, want.Name) && decodesTo(value, want.Value) {
			return true
		}
	}
	return false
}

var equals = []byte("=")

// decodesTo reports whether text is the form encoding of want (application/x-www-form-urlencoded: a
// plus sign is a space). What does not decode is nothing's encoding.
func decodesTo(text []byte, want string) bool {
	n := 0
	for i := 0; i < len(text); n++ {
		c := text[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if i+2 >= len(text) {
				return false
			}
			hi, lo := unhex(text[i+1]), unhex(text[i+2])
			if hi < 0 || lo < 0 {
				return false
			}
			c = byte(hi<<4 | lo)
			i += 2
		}
		if n >= len(want) || c != want[n] {
			return false
		}
		i++
	}
	return n == len(want)
}
