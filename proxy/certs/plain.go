package certs

import "strings"

// leastPlainBytes is how much of a method must be there to tell it from other protocols.
const leastPlainBytes = 4

// plainMethods are the beginnings of what clients of plain HTTP send first, of HTTP/2 too.
var plainMethods = []string{
	"GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "TRACE ", "CONNECT ", "PRI ",
	"PROPFIND ", "PROPPATCH ", "MKCOL ", "COPY ", "MOVE ", "LOCK ", "UNLOCK ", "REPORT ", "SEARCH ",
}

// LooksLikeHTTP reports whether a client that should speak TLS began with a request of plain HTTP,
// which deserves a 400 that says so. Four bytes are enough; the five of tls.RecordHeaderError are
// what crypto/tls hands out. It allocates nothing.
func LooksLikeHTTP(first []byte) bool {
	if len(first) < leastPlainBytes {
		return false
	}
	for _, m := range plainMethods {
		n := min(len(m), len(first))
		if strings.HasPrefix(m, string(first[:n])) {
			return true
		}
	}
	return false
}
