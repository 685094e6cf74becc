package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"time"
)

// ClientCertificate is the certificate of a client as text for header fields: every string is of
// printable ASCII alone, so none can end a field.
type ClientCertificate struct {
	// Subject and Issuer are distinguished names in the form of RFC 4514, most specific part first.
	Subject, Issuer string
	// Fingerprint is the SHA-256 of the certificate in hex, lower case.
	Fingerprint string
	// Serial is the serial number in hex, upper case, in whole bytes.
	Serial string
	// PEM is the certificate in PEM form, percent-encoded but for letters, digits and "-._~".
	PEM string
	// NotAfter is the end of its validity.
	NotAfter time.Time
	// Verified says that it leads to one of the authorities.
	Verified bool
}

// ClientCertificateOf renders the certificate of a client, nil if it showed none. It costs tens of
// microseconds: call it once for a connection.
func ClientCertificateOf(state tls.ConnectionState) *ClientCertificate {
	if len(state.PeerCertificates) == 0 {
		return nil
	}
	c := state.PeerCertificates[0]
	sum := sha256.Sum256(c.Raw)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	return &ClientCertificate{
		Subject:     distinguishedName(c.RawSubject),
		Issuer:      distinguishedName(c.RawIssuer),
		Fingerprint: hex.EncodeToString(sum[:]),
		Serial:      serial(c.SerialNumber),
		// QueryEscape writes "+" for a space and for nothing else.
		PEM:      strings.ReplaceAll(url.QueryEscape(string(text)), "+", "%20"),
		NotAfter: c.NotAfter,
		Verified: len(state.VerifiedChains) > 0,
	}
}

// distinguishedName renders a name in DER form. What is not printable ASCII is escaped byte by byte
// as "\0A" (RFC 4514, section 2.4), as nginx does: a name may hold line ends. A name that cannot be
// read is empty.
func distinguishedName(der []byte) string {
	var name pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &name); err != nil || len(rest) > 0 {
		return ""
	}
	text := name.String()
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' {
			fmt.Fprintf(&b, `\%02X`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func serial(n *big.Int) string {
	text := fmt.Sprintf("%X", new(big.Int).Abs(n))
	if len(text)%2 == 1 {
		text = "0" + text
	}
	if n.Sign() < 0 {
		text = "-" + text
	}
	return text
}
