package sniff

// State says how far a parser got with the bytes of a stream.
type State uint8

const (
	More      State = iota // so far it fits; call again when more was received
	Done                   // read to its end
	Foreign                // another protocol: not even its beginning fits
	Malformed              // the right protocol, and broken or above a bound
)

// String is the state in lower case.
func (s State) String() string {
	switch s {
	case More:
		return "more"
	case Done:
		return "done"
	case Foreign:
		return "foreign"
	case Malformed:
		return "malformed"
	}
	return "unknown"
}

// Error is why bytes are refused. Values are preallocated and comparable.
type Error struct {
	Reason string // for people: what is wrong
}

// Error is the reason.
func (e *Error) Error() string { return e.Reason }

// The faults of a ClientHello. ErrNotTLS goes with [Foreign], the others with [Malformed].
var (
	ErrNotTLS         = &Error{"not TLS"}
	ErrSSLv2          = &Error{"hello in the format of SSL 2.0"}
	ErrRecord         = &Error{"malformed TLS record"}
	ErrNotClientHello = &Error{"TLS handshake does not begin with a ClientHello"}
	ErrHelloTooLong   = &Error{"ClientHello too long"}
	ErrHello          = &Error{"malformed ClientHello"}
	ErrExtension      = &Error{"malformed or repeated TLS extension"}
	ErrServerName     = &Error{"malformed TLS server name"}
)

// The faults of a PROXY header. ErrNotProxy goes with [Foreign], the others with [Malformed].
var (
	ErrNotProxy      = &Error{"not a PROXY header"}
	ErrProxyLine     = &Error{"malformed PROXY line"}
	ErrProxyTooLong  = &Error{"PROXY header too long"}
	ErrProxyVersion  = &Error{"unknown version of the PROXY protocol"}
	ErrProxyCommand  = &Error{"unknown PROXY command"}
	ErrProxyFamily   = &Error{"unknown PROXY address family"}
	ErrProxyAddress  = &Error{"PROXY header too short for its addresses"}
	ErrProxyTLV      = &Error{"malformed PROXY TLV"}
	ErrProxyChecksum = &Error{"wrong checksum of a PROXY header"}
)

// The faults of a QUIC packet.
var (
	ErrQUICTruncated = &Error{"QUIC packet shorter than it says"}
	ErrQUICID        = &Error{"QUIC connection ID too long"}
	ErrQUICVersions  = &Error{"malformed list of QUIC versions"}
)
