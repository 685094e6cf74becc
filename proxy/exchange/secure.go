package exchange

import (
	"crypto/tls"
	"errors"
	"strconv"
	"time"

	"weir/proxy/certs"
	"weir/proxy/http1"
	"weir/proxy/message"
)

const useTLS = "this port speaks TLS: use https, not http\n"

// plainOnTLS is the answer to a client that speaks plain HTTP to a TLS port.
var plainOnTLS = []byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\nContent-Length: " + strconv.Itoa(len(useTLS)) + "\r\n\r\n" + useTLS)

// handshake turns the connection of a client into TLS. It returns false if the connection is over.
func (c *client) handshake(site *Site) bool {
	err := c.stream.secure(tls.Server, c.secured, site.timeouts.TLS)
	state := c.stream.tls.ConnectionState()
	c.stats.Handshake(state.Version, err == nil)
	if err == nil {
		if site.certFields {
			c.certFields = appendCertFields(nil, certs.ClientCertificateOf(state))
		}
		return true
	}
	c.stream.tls = nil // whatever had to be said was said
	var record tls.RecordHeaderError
	if errors.As(err, &record) && certs.LooksLikeHTTP(record.RecordHeader[:]) {
		_ = c.stream.write(plainOnTLS, time.Second)
	}
	c.ending = endLinger // an alert may be under way
	return false
}

const certPrefix = "X-Forwarded-Clientcert-"

// dropCertFields marks what claims to be about the certificate of the client and is not from us.
func dropCertFields(req *message.Head) {
	for i := range req.Fields {
		f := &req.Fields[i]
		if f.Name == message.XForwardedOther && f.NameLen > uint32(len(certPrefix)) &&
			message.EqualFold(req.NameBytes(f)[:len(certPrefix)], []byte(certPrefix)) {
			f.Drop = true
		}
	}
}

// appendCertFields writes the fields that tell a backend about the certificate of the client; one
// without a certificate is told apart by the verify field. The names are those of Huawei's ELB.
func appendCertFields(dst []byte, cert *certs.ClientCertificate) []byte {
	if cert == nil {
		return http1.AppendField(dst, certPrefix+"Clientverify", []byte("NONE"))
	}
	verify := "FAILED"
	if cert.Verified {
		verify = "SUCCESS"
	}
	dst = http1.AppendField(dst, certPrefix+"Clientverify", []byte(verify))
	dst = http1.AppendField(dst, certPrefix+"Subjectdn", []byte(cert.Subject))
	dst = http1.AppendField(dst, certPrefix+"Issuerdn", []byte(cert.Issuer))
	dst = http1.AppendField(dst, certPrefix+"Fingerprint", []byte(cert.Fingerprint))
	return http1.AppendField(dst, certPrefix+"Serialnumber", []byte(cert.Serial))
}
