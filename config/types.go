package config

import (
	"fmt"
	"net/netip"
	"time"
)

// Config is one whole configuration: read, expanded, defaulted and validated. It is immutable once
// it has been returned, so any number of goroutines may read it.
type Config struct {
	Version   int
	Admin     Admin
	Log       Log
	StateDir  string // directory for what outlives a restart; empty: nothing does
	Watch     bool   // reload when the content of a file changes
	Process   Process
	Listeners map[string]*Listener
	Pools     map[string]*Pool

	// Digest is the SHA-256, in hex, of everything that was read: file, includes and ${file:} values.
	Digest string
	// Files lists every file that was read, the main one first.
	Files []string

	made *made // what it was made of; nil: not by Load
}

// Origin is the place in the sources that defined an object.
type Origin struct {
	File   string // "api" for an object that was made through the API
	Line   int    // from 1; 0 with API
	Column int    // from 1; 0 with API
	API    bool   // it was made through the API
}

// String is the usual file:line:column, or api.
func (o Origin) String() string {
	if o.API {
		return o.File
	}
	return fmt.Sprintf("%s:%d:%d", o.File, o.Line, o.Column)
}

// Process holds the settings of the whole process, taken from defaults.timeouts and limits.
type Process struct {
	Grace   time.Duration // how long in-flight work may take after TERM
	PreStop time.Duration // between "not ready" and the end of accepting
	Memory  int64         // bytes to live within; 0: what the environment says
}

// Admin says where the daemon is controlled and observed.
type Admin struct {
	Socket string // path of the unix socket; empty: none
	Listen string // host:port of the TCP listener; empty: none
	// Credentials are who may use the TCP listener; none: it serves reads only.
	Credentials []Credential
	Insecure    bool // writes over TCP need no credential; Listen is a loopback address
}

// Role is what a credential allows.
type Role string

// The roles.
const (
	RoleAdmin Role = "admin" // everything
	RoleRead  Role = "read"  // reads only
)

// Credential is somebody who may use the API over TCP.
type Credential struct {
	Name  string // unique
	Token string // secret, 16…256 visible ASCII characters, unique
	Role  Role
}

// Log configures the process log and the access log.
type Log struct {
	Level  string // debug info warn error
	Format string // json console
	Access AccessLog
}

// AccessLog configures one line per request.
type AccessLog struct {
	Output string  // off, stdout, stderr or a path
	Format string  // json
	Sample float64 // 0…1, share of the successful requests that are written; failures always are
}

// HTTP reports whether p carries HTTP messages.
func (p Protocol) HTTP() bool { return p == HTTP || p == HTTPS }

// Protocol is spoken on a listener, towards a pool's backends, or by a probe.
type Protocol string

// The protocols of this version.
const (
	HTTP  Protocol = "http"
	HTTPS Protocol = "https"
	TCP   Protocol = "tcp"
	TLS   Protocol = "tls"
	UDP   Protocol = "udp"
	QUIC  Protocol = "quic" // of pools: passed through
)

// Identity is how clients of the API know an object. It means nothing else.
type Identity struct {
	ID   string            // empty: none
	Meta map[string]string // may be nil
}

// Listener is an address on which clients are served.
type Listener struct {
	Name      string
	Origin    Origin
	Identity  Identity
	Protocol  Protocol
	Addresses []string // host:port as written, host may be empty (all addresses)
	Pool      string   // default pool; empty only if there are routes
	Routes    []Route
	Forwarded Forwarded
	Via       string       // name in the Via fields that are added; empty: none are
	TLS       *ListenerTLS // of https and tls listeners; nil of others
	Access    Access
	RateLimit RateLimit
	Proxy     AcceptProxy
	TCP       TCPOptions // of tcp and tls listeners
	UDP       UDPOptions // of udp listeners

	RequestID         bool           // every request gets an id
	ErrorPages        map[int]string // files with the bodies of responses of weir's own, by status; may be nil
	KeepaliveRequests int            // requests served on one connection; 0: unlimited
	Timeouts          ClientTimeouts
	Limits            ListenerLimits
}

// Forwarded says what backends are told of where a request comes from, and who is believed.
type Forwarded struct {
	Trust      []netip.Prefix
	Mode       ForwardedMode
	Fields     []ForwardedField // that are written
	ClientFrom ForwardedField   // of a trusted peer: XForwardedFor, ForwardedElement or XRealIP
	By         string           // of weir in Forwarded: ForwardedByAddress or an identifier with its "_"; empty: none
	Ports      bool             // of addresses in Forwarded
}

// ForwardedByAddress makes weir name itself by the address that the client connected to.
const ForwardedByAddress = "address"

// ForwardedField is the name of a field that says where a request comes from.
type ForwardedField string

// The fields that say where a request comes from.
const (
	XForwardedFor     ForwardedField = "X-Forwarded-For"
	XForwardedProto   ForwardedField = "X-Forwarded-Proto"
	XForwardedHost    ForwardedField = "X-Forwarded-Host"
	XForwardedPort    ForwardedField = "X-Forwarded-Port"
	XForwardedForPort ForwardedField = "X-Forwarded-For-Port"
	XForwardedELBIP   ForwardedField = "X-Forwarded-ELB-IP"
	XRealIP           ForwardedField = "X-Real-IP"
	ForwardedElement  ForwardedField = "Forwarded"
)

// ForwardedMode is what happens to the X-Forwarded-For and Forwarded of a trusted peer.
type ForwardedMode string

// The modes of X-Forwarded-For and Forwarded.
const (
	ForwardedAppend   ForwardedMode = "append"
	ForwardedReplace  ForwardedMode = "replace"
	ForwardedRemove   ForwardedMode = "remove"
	ForwardedPreserve ForwardedMode = "preserve"
)

// ClientTimeouts bound the client side of a listener. 0 means no bound.
type ClientTimeouts struct {
	Header    time.Duration // whole request head; 408
	BodyIdle  time.Duration // between two parts of a request body; 408
	Idle      time.Duration // between requests
	WriteIdle time.Duration // without progress while sending a response
	TLS       time.Duration // TLS handshake, or the first message of one that is only looked at
	TCPIdle   time.Duration // without data in either direction
	UDPIdle   time.Duration // without a datagram in either direction
}

// ListenerLimits bound what a client may send. 0 means no bound.
type ListenerLimits struct {
	MaxHeader      int   // bytes of the request head; 431
	MaxHeaderCount int   // fields of a head: of a request 431, of a response 502
	MaxTarget      int   // bytes of the request target; 414
	MaxBody        int64 // bytes of the request body; 413
	MaxConnections int   // concurrent client connections
	NewConnections int   // client connections accepted in a second
	PerClient      int   // concurrent connections of one client address
	MinBodyRate    int64 // bytes of a request body in a second
}

// Algorithm decides who gets the next flow.
type Algorithm string

// The algorithms.
const (
	WeightedRoundRobin Algorithm = "weighted_round_robin"
	LeastConnections   Algorithm = "least_connections"
	SourceIP           Algorithm = "source_ip"
	TwoTupleHash       Algorithm = "2_tuple_hash"
	ThreeTupleHash     Algorithm = "3_tuple_hash"
	FiveTupleHash      Algorithm = "5_tuple_hash"
	QUICCID            Algorithm = "quic_cid"
)

// Pool is a set of interchangeable backends.
type Pool struct {
	Name       string
	Origin     Origin
	Identity   Identity
	Protected  bool // the API does not delete it
	Protocol   Protocol
	Algorithm  Algorithm
	Hash       Hash
	SlowStart  SlowStart
	Required   bool // counts for readiness
	MinHealthy int  // fewer usable backends: fail open over all; 0: never
	Retries    Retries
	TLS        BackendTLS
	Health     *HealthCheck // nil: backends are up at once
	Timeouts   BackendTimeouts
	Limits     PoolLimits
	Queue      int // how many may wait while every backend has its MaxConnections; 0: none
	SendProxy  ProxyVersion
	Rebalance  Rebalance // of pools without HTTP
	Outlier    Outlier
	// DrainTimeout ends what is left on a backend that drains or was removed; 0: never.
	DrainTimeout time.Duration
	// Persistence keeps clients on their backends; nil: it does not.
	Persistence *Persistence
	// ResolveInterval is the time from one look-up of a backend's name to the next.
	ResolveInterval time.Duration
	// Named and Resolving are of a configuration whose names have been resolved; package resolve fills
	// them in. Named is the backends with a Host as they were loaded, whose addresses are in Backends
	// instead, and Resolving counts those of them that have not had a first answer.
	Named     []*Backend
	Resolving int
	Backends  []*Backend // in the order of the file; names are unique
	// Overrides are what operators want of backends instead of what the configuration says, by name. A
	// backend that is not there may have one. It is not changed any more; nil: there are none.
	Overrides map[string]Override
}

// Hash tunes the hashing algorithms.
type Hash struct {
	Weighted  bool
	Seed      uint64
	CIDOffset int // first byte of the slice of the QUIC connection ID
	CIDLength int
}

// SlowStart ramps the weight of a backend that joins or comes back.
type SlowStart struct {
	Duration time.Duration // 0: off
	Repeat   bool          // also after the first completed ramp
}

// Outlier says when backends that fail live traffic are taken out of service for a while.
type Outlier struct {
	ConsecutiveErrors int           // in a row; 0: never
	Eject             time.Duration // for the first time
	MaxEjected        float64       // share of the backends that may be out at the same time, 0…1; one always may
}

// RetryOn is a condition under which another backend is tried.
type RetryOn string

// The retry conditions of this version.
const (
	RetryConnectFailure RetryOn = "connect_failure"
	RetryReset          RetryOn = "reset"
	RetryTimeout        RetryOn = "timeout" // no first byte within BackendTimeouts.Response
	Retry502            RetryOn = "502"     // the status of the response
	Retry503            RetryOn = "503"
	Retry504            RetryOn = "504"
)

// Retries says when and how often another backend is tried.
type Retries struct {
	Attempts int // tries after the first
	On       []RetryOn
	Budget   float64 // retries may be this share of the requests, 0…1; connect failures are outside
}

// BackendTLS configures TLS towards the backends of an https or tls pool.
type BackendTLS struct {
	Verify     bool
	CA         string // PEM file; empty: the system's
	ServerName string // SNI and the name that is verified; empty: the backend's Host, or its address
	ClientCert string // PEM file
	ClientKey  string // PEM file
}

// BackendTimeouts bound the backend side of a pool. 0 means no bound.
type BackendTimeouts struct {
	Queue     time.Duration // waiting for a first verdict, or for room on a backend; 503
	Connect   time.Duration // TCP connect; 503, 504
	TLS       time.Duration // TLS handshake; 502, 504
	Response  time.Duration // from the end of the request to the first byte of the response; 504
	Idle      time.Duration // between two parts of a response body
	Keepalive time.Duration // an unused connection is kept this long
	Tunnel    time.Duration // without data in either direction of an upgraded connection
	HalfClose time.Duration // from the end of one direction of a connection without HTTP to that of the other
}

// PoolLimits bound what a backend may send. 0 means no bound.
type PoolLimits struct {
	MaxResponseHeader int // bytes of the response head; 502
}

// State is what the operator wants of a backend.
type State string

// The administrative states.
const (
	Ready       State = "ready"
	Drain       State = "drain"
	Maintenance State = "maintenance"
)

// Backend is one server of a pool.
type Backend struct {
	Name     string
	Origin   Origin
	Identity Identity
	// Address is where it listens. It is the zero AddrPort of one that has a Host and is not resolved yet.
	Address netip.AddrPort
	// Host is the name that stands in place of an IP address, in lower case; a final dot says that it is
	// absolute. Empty: the address was written.
	Host string
	Port uint16 // that goes with Host
	// Group is the name of the configured backend of whose Host this is one address. Empty: it is one
	// itself.
	Group  string
	Weight int // 0…256
	// MaxConnections bounds its requests, connections or sessions at the same time; 0: no bound.
	MaxConnections int
	Backup         bool
	State          State
	// ProbeAddress is where probes go: the address with the overrides of the pool's and the
	// backend's health check applied. Of a Host that is not resolved yet it has the port, and the IP
	// address only if that is overridden.
	ProbeAddress netip.AddrPort
}

// InitialHealth is the health of a backend before its first verdict.
type InitialHealth string

// The initial healths.
const (
	InitialChecking InitialHealth = "checking"
	InitialUp       InitialHealth = "up"
	InitialDown     InitialHealth = "down"
)

// HealthCheck says how the backends of a pool are probed.
type HealthCheck struct {
	Protocol Protocol // http https tcp tls udp
	Port     int      // 0: the backend's
	Interval time.Duration
	Timeout  time.Duration
	Rise     int // consecutive successes that turn down into up
	Fall     int // consecutive failures that turn up into down
	Initial  InitialHealth
	// Plaintext is what the file says. Protocol has taken it into account already: it is http for
	// an https check that is plaintext, and https for an http check of an https pool that is not.
	Plaintext bool

	Path    string
	Method  string
	Host    string   // Host field; empty: the backend's Host with the probed port, or the probed address
	Headers []Header // in the order of the file
	Status  StatusSet
	Body    string // regular expression that must match; empty: not looked at
	BodyNot string // regular expression that must not match; empty: not looked at
	MaxBody int    // bytes of the body that are read

	Send   []byte // tcp: sent after connecting; udp: the datagram
	Expect Expect // tcp, udp: wanted in reply
	// TLS has the settings of the pool, for https and tls probes.
	TLS BackendTLS
	// SendProxy is that of the pool: probes over TCP begin with such a header, without addresses.
	SendProxy ProxyVersion
	// Secrets are what must not be shown, also where a backend repeats it: contents of ${file:…}, and the
	// values of fields with credentials. None is empty; the longest come first.
	Secrets []string
}

// Header is one field of a message.
type Header struct{ Name, Value string }

// Expect is what a tcp or udp probe wants to read: a regular expression or literal bytes.
type Expect struct {
	Pattern string
	Literal []byte
}

// StatusSet is a set of HTTP status codes. Exclusions win.
type StatusSet struct {
	Text    string // as written, for messages: "200-299,!204"
	Ranges  []StatusRange
	Exclude []StatusRange
}

// StatusRange is a closed interval of status codes.
type StatusRange struct{ First, Last int }

// Contains reports whether code is in the set.
func (s StatusSet) Contains(code int) bool {
	for _, r := range s.Exclude {
		if code >= r.First && code <= r.Last {
			return false
		}
	}
	for _, r := range s.Ranges {
		if code >= r.First && code <= r.Last {
			return true
		}
	}
	return len(s.Ranges) == 0 && len(s.Exclude) > 0
}
