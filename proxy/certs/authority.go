package certs

import (
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"time"
)

// authorities are those whose client certificates are accepted. They are immutable.
type authorities struct {
	file   string
	digest [sha256.Size]byte
	all    []*x509.Certificate // not empty
	pool   *x509.CertPool
}

// readAuthorities reads a PEM file. If it is as it was for before, which may be nil, it returns
// that.
func readAuthorities(path string, before *authorities) (*authorities, error) {
	text, err := readFile("client CA", path)
	if err != nil {
		return nil, err
	}
	digest := digestOf(text)
	if before != nil && before.digest == digest {
		return before, nil
	}
	all, err := parseCertificates("client CA", path, text)
	if err != nil {
		return nil, err
	}
	a := &authorities{file: path, digest: digest, all: all, pool: x509.NewCertPool()}
	for _, c := range all {
		a.pool.AddCert(c)
	}
	return a, nil
}

// warnings says if no client certificate can verify any more.
func (a *authorities) warnings(now time.Time) []string {
	if slices.ContainsFunc(a.all, func(c *x509.Certificate) bool { return !now.After(c.NotAfter) }) {
		return nil
	}
	return []string{"client CA " + a.file + ": every authority has expired: no client certificate verifies: renew it"}
}
