package certs

import (
	"crypto/tls"
	"net/netip"
	"strings"
)

// ToBackend is c for connections to the backend at an address: it asks for and verifies the name that
// c has, else host, which is the name that the address stands for, else the address, and resumes sessions with this backend alone. crypto/tls keeps one session
// for each server name, so backends that share a name would displace each other's, and offer each
// other tickets that only the one that gave them can read. The cache stays that of c, which is not
// changed; without one there is none.
func ToBackend(c *tls.Config, address netip.AddrPort, host string) *tls.Config {
	c = c.Clone()
	switch {
	case c.ServerName != "":
	case host != "":
		c.ServerName = strings.TrimSuffix(host, ".") // of an absolute name; RFC 6066, section 3
	default:
		c.ServerName = address.Addr().String()
	}
	if c.ClientSessionCache != nil {
		c.ClientSessionCache = backendSessions{c.ClientSessionCache, address.String() + " "}
	}
	return c
}

// backendSessions is the part of a cache that belongs to one backend.
type backendSessions struct {
	all    tls.ClientSessionCache
	prefix string // of its keys
}

var _ tls.ClientSessionCache = backendSessions{}

// Get implements tls.ClientSessionCache.
func (s backendSessions) Get(key string) (*tls.ClientSessionState, bool) {
	return s.all.Get(s.prefix + key)
}

// Put implements tls.ClientSessionCache.
func (s backendSessions) Put(key string, session *tls.ClientSessionState) {
	s.all.Put(s.prefix+key, session)
}
