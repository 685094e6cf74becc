package telemetry

// AdminRefusal says why the admin address refused a request.
type AdminRefusal uint8

// The reasons for refusing a request.
const (
	RefusedCredential AdminRefusal = iota // none where one is due, or one that is not known
	RefusedRole                           // a credential for reads, and a write
	RefusedReadOnly                       // a write, and nobody has a credential
	RefusedHost                           // a Host that may be rebound to this address
	RefusedOrigin                         // a write that a page of another origin sent

	adminRefusalCount
)

var adminRefusalNames = [adminRefusalCount]string{
	RefusedCredential: "credential",
	RefusedRole:       "role",
	RefusedReadOnly:   "read_only",
	RefusedHost:       "host",
	RefusedOrigin:     "origin",
}
