package config

// ListenerTLS configures TLS towards the clients of an https or tls listener.
type ListenerTLS struct {
	Certificates []Certificate // at least one; the first is for names that no other has
	MinVersion   TLSVersion
	MaxVersion   TLSVersion // not below MinVersion
	CipherSuites []string   // of TLS 1.2, by their names in crypto/tls; empty: all that are secure
	ALPN         []string   // the preferred one first; empty only on tls listeners: none is chosen
	TicketKeys   [][]byte   // 32 bytes each, the first encrypts; empty: keys of the process
	OCSP         string     // DER file of a response to staple; empty: none
	ClientCA     string     // PEM file of the authorities of clients; empty: none are asked for
	ClientAuth   ClientAuth // with ClientCA; empty without
	// ClientCertHeaders tells backends about the certificate of the client.
	ClientCertHeaders bool
}

// Certificate is a certificate with its chain, and its key.
type Certificate struct{ Cert, Key string } // PEM files

// TLSVersion is a version of TLS.
type TLSVersion string

// The versions of TLS that are spoken.
const (
	TLS12 TLSVersion = "1.2"
	TLS13 TLSVersion = "1.3"
)

// ClientAuth says what becomes of clients without a valid certificate.
type ClientAuth string

// The modes of client authentication. An invalid certificate is refused in both.
const (
	ClientAuthRequire ClientAuth = "require" // no connection without a certificate
	ClientAuthRequest ClientAuth = "request" // a certificate is asked for, none is fine
)
