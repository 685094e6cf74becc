package telemetry

// Method is a request method as a label: one of a closed set, so that a client cannot create
// series by inventing methods.
type Method uint8

// The methods of RFC 9110 §9 and RFC 5789; MethodOther stands for every other one.
const (
	MethodOther Method = iota
	MethodGet
	MethodHead
	MethodPost
	MethodPut
	MethodDelete
	MethodConnect
	MethodOptions
	MethodTrace
	MethodPatch

	methodCount
)

var methodNames = [methodCount]string{
	MethodOther:   "_OTHER",
	MethodGet:     "GET",
	MethodHead:    "HEAD",
	MethodPost:    "POST",
	MethodPut:     "PUT",
	MethodDelete:  "DELETE",
	MethodConnect: "CONNECT",
	MethodOptions: "OPTIONS",
	MethodTrace:   "TRACE",
	MethodPatch:   "PATCH",
}

// ParseMethod maps the bytes of a request line to a Method. Methods are case-sensitive (RFC 9110
// §9.1), so "get" is MethodOther. It does not allocate and may be called concurrently.
func ParseMethod(b []byte) Method {
	switch string(b) { // the compiler compares in place: no string is made
	case "GET":
		return MethodGet
	case "HEAD":
		return MethodHead
	case "POST":
		return MethodPost
	case "PUT":
		return MethodPut
	case "DELETE":
		return MethodDelete
	case "CONNECT":
		return MethodConnect
	case "OPTIONS":
		return MethodOptions
	case "TRACE":
		return MethodTrace
	case "PATCH":
		return MethodPatch
	}
	return MethodOther
}

// String is the label value. A value outside the set is "_OTHER".
func (m Method) String() string {
	if m >= methodCount {
		return methodNames[MethodOther]
	}
	return methodNames[m]
}
