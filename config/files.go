package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// files opens the certificates, keys and authorities that pools name.
func (c *checker) files() {
	for _, p := range c.root.child("pools").items {
		v := p.child("tls")
		if v.broken || v.fields == nil {
			continue
		}
		c.authorities(v.child("ca"), v.file("ca"))
		cert, key := v.file("client_cert"), v.file("client_key")
		if cert != "" && key != "" {
			c.keyPair(v, cert, key)
		}
	}
}

// authorities wants at least one certificate in a PEM file.
func (c *checker) authorities(v *value, path string) {
	if path == "" {
		return
	}
	data, err := readLimited(path, maxFileBytes)
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(data) {
		err = errors.New("no certificate in it")
	}
	if err != nil {
		c.fail(v, fmt.Sprintf("%s: %s: %v", v.path, path, err), "give a readable PEM file with the certificates of authorities")
	}
}

// keyPair wants a certificate that is valid now, and the key of it.
func (c *checker) keyPair(v *value, certPath, keyPath string) {
	certPEM, err := readLimited(certPath, maxFileBytes)
	if err != nil {
		c.fail(v.child("client_cert"), fmt.Sprintf("%s.client_cert: %s: %v", v.path, certPath, err), "give a readable PEM file")
		return
	}
	keyPEM, err := readLimited(keyPath, maxFileBytes)
	if err != nil {
		c.fail(v.child("client_key"), fmt.Sprintf("%s.client_key: %s: %v", v.path, keyPath, err), "give a readable PEM file")
		return
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		c.fail(v.child("client_cert"), fmt.Sprintf("%s: %s and %s: %v", v.path, certPath, keyPath, err), "give a certificate and the key that belongs to it, both as PEM")
		return
	}
	if end := pair.Leaf.NotAfter; time.Now().After(end) {
		c.warn(v.child("client_cert"), fmt.Sprintf("%s.client_cert: %s expired on %s", v.path, certPath, end.UTC().Format(time.DateOnly)), "renew it: backends will refuse it")
	}
}
