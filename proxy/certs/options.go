package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Options say what a TLS listener shows to clients and asks of them. The zero value of each field
// but Certificates is its default.
type Options struct {
	// Certificates are chosen by server name; the first also serves those who match none.
	Certificates []Pair
	// MinVersion and MaxVersion are 1.0, 1.1, 1.2 or 1.3; empty: 1.2 and 1.3.
	MinVersion, MaxVersion string
	// CipherSuites of TLS 1.2 and below, by their IANA or OpenSSL names; empty: those that
	// crypto/tls holds to be good. Their order means nothing, and TLS 1.3 has all of its own.
	CipherSuites []string
	// ALPN are the application protocols, most wanted first. Nil: HTTP/1.1 and HTTP/1.0; empty but
	// not nil: none is negotiated.
	ALPN []string
	// TicketKeys have 32 bytes each, raw or in hex or base64. TicketFiles hold one raw key, or one in
	// hex or base64 on each line. The first of all, keys before files, encrypts; all decrypt. Without
	// any there are keys of our own, see the package comment.
	TicketKeys  [][]byte
	TicketFiles []string
	// ClientCA is a PEM file of the authorities of client certificates; empty: none is asked for.
	ClientCA string
	// ClientAuth with a ClientCA: require (default) refuses clients without a certificate, request
	// lets them in. A certificate that does not verify is refused in both.
	ClientAuth string
	// OCSP is a file with a response in DER form, stapled to the certificate that it speaks of.
	OCSP string
}

// Pair names the PEM files of a certificate with its chain, the server's own first, and of its
// private key. Without Key, the key is in Cert.
type Pair struct {
	Cert, Key string
}

// policy is the part of Options that stands in no file.
type policy struct {
	minVersion, maxVersion uint16
	suites                 []uint16
	protocols              []string
	clientAuth             tls.ClientAuthType
	warnings               []string
}

// maxProtocolBytes bounds the name of an application protocol (RFC 7301, section 3.1).
const maxProtocolBytes = 255

var versions = []struct {
	name   string
	number uint16
}{
	{"1.0", tls.VersionTLS10},
	{"1.1", tls.VersionTLS11},
	{"1.2", tls.VersionTLS12},
	{"1.3", tls.VersionTLS13},
}

// policy checks all that needs no file.
func (o *Options) policy() (*policy, error) {
	var errs []error
	p := &policy{protocols: slices.Clone(o.ALPN)}
	var err error
	if p.minVersion, err = version("min_version", o.MinVersion, tls.VersionTLS12); err != nil {
		errs = append(errs, err)
	}
	if p.maxVersion, err = version("max_version", o.MaxVersion, tls.VersionTLS13); err != nil {
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		errs = append(errs, p.checkVersions(), p.setSuites(o.CipherSuites))
	}
	if o.ALPN == nil {
		p.protocols = []string{"http/1.1", "http/1.0"}
	}
	errs = append(errs, checkProtocols(p.protocols), p.setClientAuth(o))
	if len(o.Certificates) == 0 {
		errs = append(errs, errors.New("certificates: none is given: name at least one cert and its key"))
	}
	return p, errors.Join(errs...)
}

func version(key, name string, without uint16) (uint16, error) {
	if name == "" {
		return without, nil
	}
	names := make([]string, 0, len(versions))
	for _, v := range versions {
		if v.name == name {
			return v.number, nil
		}
		names = append(names, v.name)
	}
	return 0, fmt.Errorf("%s: %q is not a version of TLS; allowed: %s", key, name, strings.Join(names, ", "))
}

func (p *policy) checkVersions() error {
	if p.minVersion > p.maxVersion {
		return fmt.Errorf("min_version: %s is above max_version %s: no client could connect",
			tls.VersionName(p.minVersion), tls.VersionName(p.maxVersion))
	}
	if p.minVersion < tls.VersionTLS12 {
		p.warnings = append(p.warnings, fmt.Sprintf("min_version: %s is obsolete (RFC 8996): use 1.2 or above", tls.VersionName(p.minVersion)))
	}
	return nil
}

func checkProtocols(names []string) error {
	for i, name := range names {
		if name == "" || len(name) > maxProtocolBytes {
			return fmt.Errorf("alpn: %q has %d bytes, want 1 to %d", name, len(name), maxProtocolBytes)
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("alpn: %q is given twice: remove one", name)
		}
	}
	return nil
}

func (p *policy) setClientAuth(o *Options) error {
	if o.ClientCA == "" {
		if o.ClientAuth != "" {
			return errors.New("client_auth: has no effect without client_ca: add the file of the authorities, or remove client_auth")
		}
		return nil
	}
	switch strings.ToLower(o.ClientAuth) {
	case "", "require":
		p.clientAuth = tls.RequireAndVerifyClientCert
	case "request":
		p.clientAuth = tls.VerifyClientCertIfGiven
	default:
		return fmt.Errorf("client_auth: %q is unknown; allowed: require, request", o.ClientAuth)
	}
	return nil
}
