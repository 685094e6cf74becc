package http1

// Error is a message that is refused. Values are preallocated and comparable.
type Error struct {
	Status int    // the answer to a request; the same faults in a response are a 502
	Reason string // for people: what is wrong
}

// Error is the reason.
func (e *Error) Error() string { return e.Reason }

// The faults of a head.
var (
	ErrRequestLine    = &Error{400, "malformed request line"}
	ErrMethod         = &Error{400, "malformed method"}
	ErrTarget         = &Error{400, "malformed request target"}
	ErrTargetTooLong  = &Error{414, "request target too long"}
	ErrVersion        = &Error{505, "use HTTP/1.1"}
	ErrConnect        = &Error{501, "CONNECT is not supported"}
	ErrStatusLine     = &Error{502, "malformed status line"}
	ErrBareLF         = &Error{400, "line ends in a bare LF"}
	ErrControlByte    = &Error{400, "control byte in a field"}
	ErrFieldName      = &Error{400, "malformed field name"}
	ErrFolded         = &Error{400, "folded field line"}
	ErrHeaderTooLarge = &Error{431, "header section too large"}
	ErrTooManyFields  = &Error{431, "too many header fields"}
	ErrHostMissing    = &Error{400, "Host field missing"}
	ErrHostRepeated   = &Error{400, "Host field repeated"}
	ErrHostMalformed  = &Error{400, "malformed Host"}
	ErrLength         = &Error{400, "malformed or repeated Content-Length"}
	ErrLengthCoding   = &Error{400, "both Content-Length and Transfer-Encoding"}
	ErrCoding         = &Error{400, "Transfer-Encoding other than chunked"}
	ErrCodingVersion  = &Error{400, "Transfer-Encoding in HTTP/1.0"}
	ErrOptions        = &Error{400, "too many connection options"}
	ErrExpectation    = &Error{417, "unknown expectation"}
	ErrExpectRepeated = &Error{400, "Expect field repeated"}
	ErrChunkSize      = &Error{400, "malformed chunk size"}
	ErrChunkExtension = &Error{400, "malformed or oversized chunk extension"}
	ErrChunkEnd       = &Error{400, "chunk does not end in CRLF"}
	ErrTrailer        = &Error{400, "malformed or oversized trailer section"}
)
