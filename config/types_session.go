package config

import "time"

// Persistence keeps a client on the backend that it had first.
type Persistence struct {
	Type     PersistenceType
	Timeout  time.Duration // since the last use, or the date of the cookie; 1m…24h
	Cookie   SessionCookie // of http_cookie; of app_cookie the name alone; empty for source_ip
	Fallback Fallback
}

// PersistenceType is how a client is recognised.
type PersistenceType string

// The types of persistence.
const (
	PersistSourceIP   PersistenceType = "source_ip"   // by its address
	PersistHTTPCookie PersistenceType = "http_cookie" // by a cookie of weir's own
	PersistAppCookie  PersistenceType = "app_cookie"  // by a cookie that backends set
)

// Fallback is what becomes of a session whose backend cannot be used.
type Fallback string

// The fallbacks.
const (
	FallbackRebalance Fallback = "rebalance" // another backend, for good
	FallbackFail      Fallback = "fail"      // 503
)

// SessionCookie is the cookie of a persistence, with its attributes.
type SessionCookie struct {
	Name     string // a token; "*" of an app_cookie is any cookie that backends set
	Domain   string // empty: no attribute
	Path     string
	MaxAge   time.Duration // whole seconds; 0: no attribute
	Secure   CookieSecure
	HTTPOnly bool
	SameSite SameSite
	Keys     [][]byte // 32 bytes each, the first signs, all verify; empty: that of SessionKeyFile, or a random one
}

// CookieSecure says when a cookie has the Secure attribute.
type CookieSecure string

// The values of Secure.
const (
	SecureAuto   CookieSecure = "auto" // on https listeners
	SecureAlways CookieSecure = "always"
	SecureNever  CookieSecure = "never"
)

// SameSite is the attribute of that name.
type SameSite string

// The values of SameSite.
const (
	SameSiteLax    SameSite = "lax"
	SameSiteStrict SameSite = "strict"
	SameSiteNone   SameSite = "none"
)
