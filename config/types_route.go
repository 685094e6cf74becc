package config

import "net/netip"

// Route says what happens to the requests, or connections, that it matches. An empty matcher matches everything;
// all of them must match. Exactly one of Pool, Split, Redirect and Respond is set.
type Route struct {
	Origin     Origin
	Host       string         // exact, or *.suffix, lower case, without port
	Path       string         // exact
	PathPrefix string         // on segment boundaries
	PathRegex  string         // Go syntax; not anchored by itself
	Methods    []string       // any of these
	Headers    []Header       // each of these: names in any letter case, values as a whole
	Query      []Parameter    // each of these, decoded; one of several of a name is enough
	Source     []netip.Prefix // any of these has the address of the client
	SNI        []string       // of tcp and tls listeners: exact or *.suffix, lower case; the client asks for any of these
	ALPN       []string       // of tcp and tls listeners: the client offers any of these

	Pool     string
	Split    []Arm // at least one has weight
	Redirect *Redirect
	Respond  *Respond

	// What follows changes the requests and the responses that pass, in this order. The path is
	// changed for the backend only. Responses of Redirect and Respond get ResponseHeaders too.
	StripPrefix     string // taken off a path that has it, on a segment boundary; what is left begins with /
	Rewrite         string // the whole new path, {path} standing for what StripPrefix left; empty: as it is
	RequestHeaders  HeaderChange
	ResponseHeaders HeaderChange
}

// Parameter is one parameter of a query, decoded.
type Parameter struct{ Name, Value string }

// Arm is one of the pools between which a route splits clients.
type Arm struct {
	Pool   string
	Weight int // 0…1000
}

// Redirect answers with a redirection.
type Redirect struct {
	// To is an http or https URL, or a path that begins with one slash. {host} in it stands for the
	// host of the request without port, {path} for its path, which begins with a slash, {query} for
	// its query with the question mark, or nothing.
	To     string
	Status int // 301 302 303 307 308
}

// Respond answers with a fixed response.
type Respond struct {
	Status      int // 200…599
	Body        string
	ContentType string // of a body that is not empty
}

// HeaderChange changes the fields of a message: Remove first, then Set, then Add. Names are tokens,
// none of them of framing or hop by hop. Only requests may set Host.
type HeaderChange struct {
	Remove []string
	Set    []Header
	Add    []Header
}

// Access says which clients are served. Deny is looked at first.
type Access struct {
	Allow []netip.Prefix // empty: everybody
	Deny  []netip.Prefix
}

// RateLimit bounds the requests of each client. Beyond it is 429.
type RateLimit struct {
	Key   RateKey
	Rate  float64 // requests in a second; 0: no limit
	Burst int     // requests at once, at least 1 if there is a Rate
}

// RateKey is what a rate limit counts apart.
type RateKey string

// RateClientIP counts the requests of each client address apart.
const RateClientIP RateKey = "client_ip"
