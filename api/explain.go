package api

import (
	"net/netip"

	"weir/config"
)

// ExplainQuery describes a flow: a request, a connection or a datagram that may never come. What is left
// empty is not known, which for most parts means absent.
type ExplainQuery struct {
	Listener string         // name; empty: the one that has Destination
	Protocol string         // of the listener; empty: any
	Client   netip.AddrPort // who connects; not valid: 127.0.0.1. The port may be 0
	// Destination is what the client connects to; of 0.0.0.0 the port alone counts. Not valid: the first
	// address of the listener.
	Destination netip.AddrPort
	Method      string // empty: GET
	Host        string // of the request; empty: the destination
	Path        string // target of the request, with its query; empty: /
	Headers     []config.Header
	SNI         string   // that a TLS client asks for
	ALPN        []string // that it offers
	CID         []byte   // connection ID of a QUIC packet
	// If is what is supposed of backends, all of it at the same time.
	If []Supposition
}

// Supposition is a backend that is supposed to be in another state than it is.
type Supposition struct {
	Pool    string `json:"pool"`
	Backend string `json:"backend"`
	State   string `json:"state"` // down drain maintenance
}

// ExplainFunc says where a flow would go and why. Nothing changes by it: no turn is taken, no session is
// used. The error says that the query does not name one listener, pool or backend, and is for who asked.
type ExplainFunc func(ExplainQuery) (Explanation, error)

// Explanation is the document of GET /v1/explain: the way of one flow, step by step. Steps that it does
// not come to are absent.
type Explanation struct {
	Result  string `json:"result"`  // one sentence
	Outcome string `json:"outcome"` // backend: it gets one; waits: for one; answered: by a route; refused
	// Offline: from a configuration alone, in which every backend counts as up and idle.
	Offline   bool               `json:"offline"`
	Listener  ExplainedListener  `json:"listener"`
	Flow      ExplainedFlow      `json:"flow"`
	Admission ExplainedAdmission `json:"admission"`
	Routes    []ExplainedRoute   `json:"routes"` // in the order in which they are tried, the default last
	Pool      string             `json:"pool,omitempty"`
	Session   *ExplainedSession  `json:"session,omitempty"` // absent: the pool has no persistence
	Pick      *ExplainedPick     `json:"pick,omitempty"`
	If        *ExplainedIf       `json:"if,omitempty"` // absent: nothing was supposed
}

// ExplainedListener is the listener that the flow comes to.
type ExplainedListener struct {
	Name      string   `json:"name"`
	Protocol  string   `json:"protocol"`
	Addresses []string `json:"addresses"`
	Why       string   `json:"why"` // why this one
}

// ExplainedFlow is the flow as the pools see it.
type ExplainedFlow struct {
	Protocol    string `json:"protocol"`    // tcp udp
	Peer        string `json:"peer"`        // who connects
	Client      string `json:"client"`      // who counts as the client
	ClientWhy   string `json:"client_why"`  // where that is known from
	Destination string `json:"destination"` // what the client used
	Request     string `json:"request,omitempty"`
	SNI         string `json:"sni,omitempty"`
}

// ExplainedAdmission is whether the listener lets the client in.
type ExplainedAdmission struct {
	Allowed bool     `json:"allowed"`
	Why     string   `json:"why"`
	Limits  []string `json:"limits"` // that could turn it away, and how far they are used
}

// ExplainedRoute is a route and whether it takes the flow.
type ExplainedRoute struct {
	Route string `json:"route"` // file:line:column, or "default"
	Does  string `json:"does"`  // its matchers and actions
	Taken bool   `json:"taken"`
	Why   string `json:"why"`
}

// ExplainedSession is what persistence says of the flow.
type ExplainedSession struct {
	Type     string `json:"type"`
	Fallback string `json:"fallback"`
	Backend  string `json:"backend,omitempty"` // that the client had; empty: none
	Used     bool   `json:"used"`              // the flow goes there
	Why      string `json:"why"`
}

// ExplainedPick is what the pool does with a flow that has no session.
type ExplainedPick struct {
	Algorithm  string               `json:"algorithm"`
	Tier       string               `json:"tier"` // which backends serve: primary backup draining fail_open none
	Backend    string               `json:"backend,omitempty"`
	Address    string               `json:"address,omitempty"`
	Why        string               `json:"why"`
	Key        *ExplainedKey        `json:"key,omitempty"`   // of hash algorithms
	Table      *ExplainedTable      `json:"table,omitempty"` // of hash algorithms
	Turn       *ExplainedTurn       `json:"turn,omitempty"`  // of round robin, and of least connections in a slow start
	Candidates []ExplainedCandidate `json:"candidates"`      // in the order of the configuration
}

// ExplainedKey is what is hashed.
type ExplainedKey struct {
	Covers []string `json:"covers"` // each part with its value
	Seed   uint64   `json:"seed"`
	Hash   string   `json:"hash"` // 16 hex digits
}

// ExplainedTable is where the key leads.
type ExplainedTable struct {
	Size  int    `json:"size"`  // entries
	Entry int    `json:"entry"` // of the key
	Owner string `json:"owner"`
	// Ramp is there if the owner is in its slow start.
	Ramp *ExplainedRamp `json:"ramp,omitempty"`
}

// ExplainedRamp is how it is decided whether a backend in its slow start has a key already.
type ExplainedRamp struct {
	Draw     float64 `json:"draw"`     // 0…1, fixed for key and backend
	Accepted float64 `json:"accepted"` // 0…1, grows: keys whose draw is below are its own
	Taken    bool    `json:"taken"`
	Entry    int     `json:"entry"` // in the table of the others
	Owner    string  `json:"owner"` // there, who has the key until then
}

// ExplainedTurn is where the rotation stands.
type ExplainedTurn struct {
	Place  int      `json:"place"`  // of the next pick in the cycle, from 0
	Length int      `json:"length"` // of the cycle
	Next   []string `json:"next"`   // whose turns come, the next one first
}

// ExplainedCandidate is a backend of the pool.
type ExplainedCandidate struct {
	Name            string   `json:"name"`
	Address         string   `json:"address"`
	Health          string   `json:"health"`
	State           string   `json:"state"`
	Overridden      bool     `json:"overridden"`
	Backup          bool     `json:"backup"`
	Weight          int      `json:"weight"`
	EffectiveWeight float64  `json:"effective_weight"`
	SlowStartRatio  float64  `json:"slow_start_ratio"`
	Active          int64    `json:"active"`
	MaxConnections  int      `json:"max_connections"`
	Share           *float64 `json:"share,omitempty"` // of new flows or keys, 0…1; absent: it depends on the load
	Eligible        bool     `json:"eligible"`
	Why             string   `json:"why"` // why it is, or is not
}

// ExplainedIf is what would be if.
type ExplainedIf struct {
	Suppositions []Supposition  `json:"suppositions"`
	Result       string         `json:"result"`
	Changes      bool           `json:"changes"`               // the flow would go elsewhere
	Pick         *ExplainedPick `json:"pick,omitempty"`        // absent: the pool of the flow is not concerned
	MovedShare   *float64       `json:"moved_share,omitempty"` // of all keys or turns of the pool, 0…1; absent: it depends on the load
}
