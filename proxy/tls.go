package proxy

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"

	"weir/config"
)

// resumable is how many TLS sessions of a pool's backends are kept to be resumed.
const resumable = 256

// backendTLS reads the files of the tls settings of an https or tls pool. It returns nil for other pools,
// and previous, with the sessions that it keeps, if that says the same.
func backendTLS(p *config.Pool, previous *tls.Config) (*tls.Config, error) {
	if p.Protocol != config.HTTPS && p.Protocol != config.TLS {
		return nil, nil
	}
	c := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         p.TLS.ServerName,
		InsecureSkipVerify: !p.TLS.Verify,
		ClientSessionCache: tls.NewLRUClientSessionCache(resumable),
	}
	if p.Protocol == config.HTTPS {
		c.NextProtos = []string{"http/1.1"}
	}
	if p.TLS.CA != "" {
		pem, err := os.ReadFile(p.TLS.CA)
		if err != nil {
			return nil, fmt.Errorf("pools.%s.tls.ca: %w", p.Name, err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("pools.%s.tls.ca: %s holds no certificate in PEM form", p.Name, p.TLS.CA)
		}
	}
	if p.TLS.ClientCert != "" {
		pair, err := tls.LoadX509KeyPair(p.TLS.ClientCert, p.TLS.ClientKey)
		if err != nil {
			return nil, fmt.Errorf("pools.%s.tls.client_cert: %w", p.Name, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if previous != nil && sameTLS(previous, c) {
		return previous, nil
	}
	return c, nil
}

// sameTLS compares what backendTLS fills in. A session that was made under other settings must not be
// resumed: nobody would ask for the certificates again.
func sameTLS(a, b *tls.Config) bool {
	return a.ServerName == b.ServerName && a.InsecureSkipVerify == b.InsecureSkipVerify &&
		a.RootCAs.Equal(b.RootCAs) && slices.Equal(a.NextProtos, b.NextProtos) &&
		slices.EqualFunc(a.Certificates, b.Certificates, func(a, b tls.Certificate) bool {
			return slices.EqualFunc(a.Certificate, b.Certificate, bytes.Equal)
		})
}
