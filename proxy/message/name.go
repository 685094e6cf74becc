package message

// Name numbers the field names that a proxy acts on. Other names are Other.
type Name uint8

// The field names that a proxy acts on.
const (
	Other Name = iota
	Host
	Connection
	KeepAlive
	ProxyConnection
	ProxyAuthenticate
	ProxyAuthorization
	TE
	Trailer
	TransferEncoding
	Upgrade
	ContentLength
	Expect
	XForwardedFor
	XForwardedOther // X-Forwarded-Proto, -Host, -Port and every other X-Forwarded- field
	Forwarded
	XRealIP
	ForwardedAlias // a look-alike of X-Forwarded-* or X-Real-IP: see FoldsTo
	Cookie
	SetCookie
	Date

	nameCount // how many there are
)

// nameSet is a set of recognised names: bit n stands for Name n.
type nameSet uint32

var _ [32 - nameCount]struct{} // they fit

// NameOf recognises a field name in any letter case.
func NameOf(b []byte) Name {
	if len(b) < 2 {
		return Other
	}
	switch b[0] | 0x20 {
	case 'c':
		if len(b) == 10 && Equal(b, "connection") {
			return Connection
		}
		if len(b) == 14 && Equal(b, "content-length") {
			return ContentLength
		}
		if len(b) == 6 && Equal(b, "cookie") {
			return Cookie
		}
	case 'd':
		if len(b) == 4 && Equal(b, "date") {
			return Date
		}
	case 's':
		if len(b) == 10 && Equal(b, "set-cookie") {
			return SetCookie
		}
	case 'h':
		if len(b) == 4 && Equal(b, "host") {
			return Host
		}
	case 't':
		return nameT(b)
	case 'x':
		return nameX(b)
	case 'e':
		if len(b) == 6 && Equal(b, "expect") {
			return Expect
		}
	case 'u':
		if len(b) == 7 && Equal(b, "upgrade") {
			return Upgrade
		}
	case 'k':
		if len(b) == 10 && Equal(b, "keep-alive") {
			return KeepAlive
		}
	case 'f':
		if len(b) == 9 && Equal(b, "forwarded") {
			return Forwarded
		}
	case 'p':
		return nameP(b)
	}
	return Other
}

func nameT(b []byte) Name {
	switch {
	case len(b) == 2 && Equal(b, "te"):
		return TE
	case len(b) == 7 && Equal(b, "trailer"):
		return Trailer
	case len(b) == 17 && Equal(b, "transfer-encoding"):
		return TransferEncoding
	}
	return Other
}

func nameX(b []byte) Name {
	name := XForwardedOther
	switch {
	case len(b) == 9 && FoldsTo(b, "x-real-ip"):
		name = XRealIP
	case len(b) < 12 || !FoldsTo(b[:12], "x-forwarded-"):
		return Other
	case len(b) == 15 && Equal(b[12:], "for"):
		name = XForwardedFor
	}
	if !plain(b) {
		return ForwardedAlias
	}
	return name
}

// plain reports whether a name consists of letters, digits and "-".
func plain(b []byte) bool {
	for _, c := range b {
		if !alnum(c) && c != '-' {
			return false
		}
	}
	return true
}

func alnum(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' }

// FoldsTo reports whether b is lower, which must be in lower case, for a server that hands its fields
// on as variables: CGI, WSGI and others write one sign for every byte that is neither a letter nor a
// digit, so that X_Forwarded_For and X-Forwarded-For are one variable.
func FoldsTo(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		switch {
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		case !alnum(c):
			c = '-'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// Resembles reports whether b is lower, a name in lower case of any signs, or a look-alike of it: one
// that has other signs than letters, digits and "-", and is the same variable for servers as FoldsTo
// knows them. So X_User resembles x-user, and X-User does not resemble x_user: who names that one means
// the look-alike.
func Resembles(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	alike := Equal(b, lower)
	for i, c := range b {
		d := lower[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != d && (alnum(c) || alnum(d)) {
			return false
		}
	}
	return alike || !plain(b)
}

func nameP(b []byte) Name {
	switch {
	case len(b) == 16 && Equal(b, "proxy-connection"):
		return ProxyConnection
	case len(b) == 18 && Equal(b, "proxy-authenticate"):
		return ProxyAuthenticate
	case len(b) == 19 && Equal(b, "proxy-authorization"):
		return ProxyAuthorization
	}
	return Other
}

// Equal reports whether b is lower, which must be in lower case, in any letter case. Only letters
// of ASCII fold.
func Equal(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// EqualFold compares two byte strings in any letter case of ASCII.
func EqualFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		d := b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if d >= 'A' && d <= 'Z' {
			d |= 0x20
		}
		if c != d {
			return false
		}
	}
	return true
}
