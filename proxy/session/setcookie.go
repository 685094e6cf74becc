package session

import (
	"bytes"
	"time"
)

// SetCookie is what a backend asks the client to keep. Name and Value are slices of what was parsed.
type SetCookie struct {
	Name, Value []byte
	Deleted     bool // the client is told to forget it
}

// ParseSetCookie reads the value of a Set-Cookie field as RFC 6265, section 5.2, tells clients to. A
// pair of double quotes around the value is not part of it, as in [Pairs]. now, in Unix seconds,
// says whether Expires has passed. ok is false if there is no "=" or the name is empty.
func ParseSetCookie(value []byte, now int64) (c SetCookie, ok bool) {
	first, attributes, _ := bytes.Cut(value, semicolon)
	if bytes.IndexByte(first, '=') < 0 {
		return SetCookie{}, false
	}
	name, v := pair(first)
	if len(name) == 0 {
		return SetCookie{}, false
	}
	return SetCookie{Name: name, Value: unquote(v), Deleted: deleted(attributes, now)}, true
}

// Sets reports whether the value of a Set-Cookie field makes a client send a cookie called name, in any
// of the ways that browsers know: one without "=", or with nothing before it, has no name for them, and
// comes back as its value alone, which a server reads as a name again. It allocates nothing.
func Sets(value []byte, name string) bool {
	cookie, _, _ := bytes.Cut(value, semicolon)
	n, v := pair(cookie)
	if len(n) == 0 {
		n, _ = pair(v)
	}
	return string(n) == name
}

// deleted reports whether attributes end the cookie's life at once. The last attribute of a name
// counts, and Max-Age before Expires; attributes that do not parse are ignored.
func deleted(attributes []byte, now int64) bool {
	var aged, age, expires bool
	for len(attributes) > 0 {
		var part []byte
		part, attributes, _ = bytes.Cut(attributes, semicolon)
		switch name, v := pair(part); {
		case foldEqual(name, "max-age"):
			if over, ok := parseMaxAge(v); ok {
				aged, age = true, over
			}
		case foldEqual(name, "expires"):
			if t, ok := parseExpires(v); ok {
				expires = t.Unix() <= now
			}
		}
	}
	return age || (!aged && expires)
}

// parseMaxAge reports whether a Max-Age is zero or negative. Its digits may be any number.
func parseMaxAge(v []byte) (over, ok bool) {
	digits, negative := bytes.CutPrefix(v, []byte{'-'})
	if len(digits) == 0 {
		return false, false
	}
	over = true
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false, false
		}
		over = over && c == '0'
	}
	return over || negative, true
}

// maxDate is the length of the longest date that is looked at, in bytes.
const maxDate = 40

// dates are the forms of Expires that are in use.
var dates = [...]string{
	"Mon, 02 Jan 2006 15:04:05 GMT", "Mon, 02-Jan-2006 15:04:05 GMT", "Mon, 02-Jan-06 15:04:05 GMT",
}

// parseExpires reads the date of an Expires attribute.
func parseExpires(v []byte) (time.Time, bool) {
	if len(v) > maxDate {
		return time.Time{}, false
	}
	for _, layout := range dates {
		if t, err := time.Parse(layout, string(v)); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// foldEqual compares with a name in lower case.
func foldEqual(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
