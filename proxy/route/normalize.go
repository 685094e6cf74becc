package route

import "bytes"

// normal reports whether a path is certainly in plain form, which nearly all are.
func normal(path []byte) bool {
	return bytes.IndexByte(path, '%') < 0 && !bytes.Contains(path, slashDot)
}

var slashDot = []byte("/.")

// Normalize appends to dst the plain form of path, on which routes match: percent-encoded bytes decoded,
// except an encoded slash, which is data and not a delimiter (RFC 3986, section 2.2), and an encoded
// percent sign, and dot segments removed (section 5.2.4) after that. An encoded slash is written
// with a capital F; sequences that do not decode stay as they are. The result is never longer than
// path.
func Normalize(dst, path []byte) []byte {
	start := len(dst)
	dst = decode(dst, path)
	return dst[:start+removeDots(dst[start:])]
}

func decode(dst, path []byte) []byte {
	for len(path) > 0 {
		if path[0] != '%' {
			dst = append(dst, path[0])
			path = path[1:]
			continue
		}
		c, n := first(path)
		if c == '/' {
			dst = append(dst, encodedSlash...)
		} else {
			dst = append(dst, c)
		}
		path = path[n:]
	}
	return dst
}

const encodedSlash = "%2F"

// first is octet, but that it takes an encoded percent sign for three bytes that stand for themselves.
func first(path []byte) (c byte, n int) {
	if c, n = octet(path); c == '%' {
		n = 1
	}
	return c, n
}

// octet is the byte that a path begins with and how many bytes stand for it: 3 if it is
// percent-encoded, else 1. What is no hex is not decoded.
func octet(path []byte) (c byte, n int) {
	if path[0] == '%' && len(path) > 2 {
		if hi, lo := unhex(path[1]), unhex(path[2]); hi >= 0 && lo >= 0 {
			return byte(hi<<4 | lo), 3
		}
	}
	return path[0], 1
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// removeDots resolves "." and ".." segments in place and returns the new length.
func removeDots(p []byte) int {
	n := 0
	for i := 0; i < len(p); {
		end := i + 1
		for end < len(p) && p[end] != '/' {
			end++
		}
		last := end == len(p)
		switch segment := p[i:end]; {
		case string(segment) == "/.":
			if last {
				n += copy(p[n:], "/")
			}
		case string(segment) == "/..":
			n = max(bytes.LastIndexByte(p[:n], '/'), 0)
			if last {
				n += copy(p[n:], "/")
			}
		default:
			n += copy(p[n:], segment)
		}
		i = end
	}
	return n
}
