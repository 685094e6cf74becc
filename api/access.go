package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"weir/config"
)

// Access says who may do what over TCP.
type Access struct {
	Credentials []config.Credential // none: reads only, for everybody
	Insecure    bool                // writes need no credential
}

// caller is who sent a request, as far as that matters.
type caller struct {
	name  string // for logs and events
	reads bool
	write bool
	shown bool // a credential was shown
}

// caller finds out who sent a request over TCP. Whoever shows a credential that is not known is
// nobody, also where none is needed: a mistake should be noticed.
func (a Access) caller(r *http.Request) caller {
	token, shown := tokenOf(r)
	switch found, ok := a.find(token); {
	case shown && ok:
		return caller{name: found.Name, reads: true, write: found.Role == config.RoleAdmin || a.Insecure, shown: true}
	case a.Insecure:
		return caller{name: "anybody", reads: true, write: true, shown: shown}
	case shown:
		return caller{name: "unknown", shown: true}
	}
	return caller{name: "anybody", reads: len(a.Credentials) == 0}
}

// find compares a token with all there are. The time that takes says nothing about them: digests of one
// length are compared, and every one of them.
func (a Access) find(token string) (found config.Credential, ok bool) {
	sum := sha256.Sum256([]byte(token))
	for _, c := range a.Credentials {
		other := sha256.Sum256([]byte(c.Token))
		if subtle.ConstantTimeCompare(sum[:], other[:]) == 1 {
			found, ok = c, true
		}
	}
	return found, ok
}

// tokenOf is the token of a request: Authorization with the scheme Bearer (RFC 6750), or X-Auth-Token.
// Whatever else Authorization says is shown, and no token.
func tokenOf(r *http.Request) (token string, shown bool) {
	if fields := r.Header.Values("Authorization"); len(fields) > 0 {
		scheme, token, _ := strings.Cut(fields[0], " ")
		if len(fields) > 1 || !strings.EqualFold(scheme, "Bearer") {
			return "", true
		}
		return strings.TrimSpace(token), true
	}
	if fields := r.Header.Values("X-Auth-Token"); len(fields) == 1 {
		return fields[0], true
	} else if len(fields) > 1 {
		return "", true
	}
	return "", false
}
