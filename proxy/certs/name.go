package certs

import "strings"

// canonical puts a DNS name into the form in which names are compared: ASCII letters in lower case,
// without the dot at the end. Other letters do not fold: no client may choose by a look-alike.
func canonical(name string) string {
	name = strings.TrimSuffix(name, ".")
	for i := range len(name) {
		if isUpper(name[i]) {
			return lower(name)
		}
	}
	return name
}

func lower(name string) string {
	b := []byte(name)
	for i, c := range b {
		if isUpper(c) {
			b[i] = c + ('a' - 'A')
		}
	}
	return string(b)
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

// parent is a canonical name without its first label, which a wildcard would stand for.
func parent(name string) (rest string, ok bool) {
	label, rest, ok := strings.Cut(name, ".")
	return rest, ok && label != "" && rest != ""
}

// mayBeAddress tells names from addresses cheaply: no top-level domain ends in a digit (RFC 3696,
// section 2).
func mayBeAddress(name string) bool {
	if name == "" {
		return false
	}
	last := name[len(name)-1]
	return '0' <= last && last <= '9' || strings.IndexByte(name, ':') >= 0
}
