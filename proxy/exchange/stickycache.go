package exchange

import (
	"bytes"

	"weir/proxy/message"
)

// A response that sets a cookie of ours is for one client. What lets a shared cache keep it goes: the
// directives public and s-maxage (RFC 9111, section 5.2.2), and the fields that caches of a certain kind
// heed instead of Cache-Control (RFC 9213; Surrogate-Control), so that no private would reach them. All
// else that the backend says of caching stays. private is added also beside no-store, which
// must-understand lets a cache ignore (RFC 9111, section 5.2.2.3).

// dropPublic marks those fields of a response as not forwarded, and appends to dst what remains of the
// Cache-Control lines among them. Lines without such a directive stay as they came.
func dropPublic(dst []byte, res *message.Head) []byte {
	for i := range res.Fields {
		f := &res.Fields[i]
		if f.Drop {
			continue
		}
		switch name := res.NameBytes(f); {
		case targeted(name):
			f.Drop = true
		case message.Equal(name, "cache-control") && hasDirective(res.Value(f), sharing):
			f.Drop = true
			dst = appendPrivate(dst, res.Value(f))
		}
	}
	return dst
}

const targetedSuffix = "-cache-control"

// targeted reports whether a field is for caches of a certain kind alone.
func targeted(name []byte) bool {
	if len(name) < len("x")+len(targetedSuffix) {
		return false
	}
	return message.Equal(name[len(name)-len(targetedSuffix):], targetedSuffix) || message.Equal(name, "surrogate-control")
}

// saysPrivate reports whether a response that is forwarded is private as a whole already.
func saysPrivate(res *message.Head) bool {
	for i := range res.Fields {
		f := &res.Fields[i]
		if !f.Drop && message.Equal(res.NameBytes(f), "cache-control") && hasDirective(res.Value(f), private) {
			return true
		}
	}
	return false
}

// sharing reports whether a directive lets shared caches keep a response. Arguments make no difference.
func sharing(directive []byte) bool {
	name, _, _ := bytes.Cut(directive, []byte{'='})
	name = bytes.TrimRight(name, " \t")
	return message.Equal(name, "public") || message.Equal(name, "s-maxage")
}

// private reports whether a directive keeps a response, and not only some of its fields, from shared
// caches.
func private(directive []byte) bool { return message.Equal(directive, "private") }

// hasDirective reports whether is holds for a directive of a Cache-Control value.
func hasDirective(v []byte, is func([]byte) bool) bool {
	for len(v) > 0 {
		var directive []byte
		if directive, v = cutDirective(v); is(directive) {
			return true
		}
	}
	return false
}

// appendPrivate appends the directives of v, each with a comma before it, that may stand beside private.
func appendPrivate(dst, v []byte) []byte {
	for len(v) > 0 {
		var directive []byte
		if directive, v = cutDirective(v); len(directive) > 0 && !sharing(directive) && !private(directive) {
			dst = append(append(dst, ", "...), directive...)
		}
	}
	return dst
}

// cutDirective takes the first directive off a Cache-Control value; it may be empty. A comma within
// quotes is part of an argument, unless the quotes do not end.
func cutDirective(v []byte) (directive, rest []byte) {
	quoted, comma := false, -1
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return bytes.Trim(v[:i], " \t"), v[i+1:]
		case c == ',' && comma < 0:
			comma = i
		}
		if !quoted {
			comma = -1
		}
	}
	if comma >= 0 {
		return bytes.Trim(v[:comma], " \t"), v[comma+1:]
	}
	return bytes.Trim(v, " \t"), nil
}
