package route

import (
	"bytes"
	"strings"
)

// newPrefix brings a prefix that is to be taken off into the form of cutPrefix.
func newPrefix(path string) string {
	return strings.TrimSuffix(string(Normalize(nil, []byte(path))), "/")
}

// cutPrefix takes a prefix, given in plain form, off a path without dot segments, in whichever
// way the path spells it. What is left is empty or begins with a slash. If the path does not have
// the prefix in whole segments, it is returned whole, with false.
func cutPrefix(path []byte, prefix string) ([]byte, bool) {
	rest := path
	for prefix != "" {
		if len(rest) == 0 {
			return path, false
		}
		c, n := first(rest)
		token := prefix[:1]
		if c == '/' && n == 3 {
			c, token = '%', encodedSlash
		}
		if c != token[0] || !strings.HasPrefix(prefix, token) {
			return path, false
		}
		prefix, rest = prefix[len(token):], rest[n:]
	}
	if len(rest) > 0 && rest[0] != '/' {
		return path, false
	}
	return rest, true
}

// resolve appends a path, which begins with a slash, without its dot segments, however they are
// spelt; the rest as it came. The plain form of that is the plain form of path.
func resolve(dst, path []byte) []byte {
	start := len(dst)
	for i := 0; i < len(path); {
		end := i + 1
		for end < len(path) && path[end] != '/' {
			end++
		}
		dots := dotsOf(path[i+1 : end])
		if dots == 2 {
			dst = dst[:start+max(bytes.LastIndexByte(dst[start:], '/'), 0)]
		}
		switch {
		case dots == 0:
			dst = append(dst, path[i:end]...)
		case end == len(path):
			dst = append(dst, '/')
		}
		i = end
	}
	return dst
}

// dotsOf is 1 or 2 for a segment that is so many dots, percent-encoded or not, and 0 for others.
func dotsOf(segment []byte) int {
	dots := 0
	for len(segment) > 0 {
		c, n := first(segment)
		if dots++; c != '.' || dots > 2 {
			return 0
		}
		segment = segment[n:]
	}
	return dots
}

// rooted is path with exactly one slash at its beginning, where it has any number of them.
func rooted(path []byte) []byte {
	n := 0
	for n < len(path) && path[n] == '/' {
		n++
	}
	if n == 0 {
		return root
	}
	return path[n-1:]
}

var root = []byte("/")
