package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"
)

// maxErrorPage is the largest error page, in bytes: they are kept in memory.
const maxErrorPage = 1 << 20

// files opens the certificates, keys, authorities and pages that listeners and pools name, and looks at
// the state directory.
func (c *checker) files() {
	c.stateFiles()
	for _, l := range c.root.child("listeners").items {
		if l.fields == nil {
			continue
		}
		c.listenerFiles(l.child("tls"))
		pages := l.child("error_pages")
		for _, page := range pages.items {
			if page.broken || page.raw == "" {
				continue
			}
			if _, err := readLimited(pages.file(page.name), maxErrorPage); err != nil {
				c.fail(page, fmt.Sprintf("%s: %s: %v", page.path, pages.file(page.name), err), "give a readable file")
			}
		}
	}
	for _, p := range c.root.child("pools").items {
		v := p.child("tls")
		if v.broken || v.fields == nil {
			continue
		}
		c.authorities(v.child("ca"), v.file("ca"))
		cert, key := v.file("client_cert"), v.file("client_key")
		if cert != "" && key != "" {
			c.keyPair(v.child("client_cert"), v.child("client_key"), cert, key)
		}
	}
}

// listenerFiles opens what the TLS settings of a listener name.
func (c *checker) listenerFiles(v *value) {
	if v.broken || v.fields == nil {
		return
	}
	for _, item := range v.child("certificates").items {
		cert, key := item.file("cert"), item.file("key")
		if cert != "" && key != "" {
			c.keyPair(item.child("cert"), item.child("key"), cert, key)
		}
	}
	c.authorities(v.child("client_ca"), v.file("client_ca"))
	if path := v.file("ocsp"); path != "" {
		c.staple(v.child("ocsp"), path)
	}
}

// staple wants one value in DER.
func (c *checker) staple(v *value, path string) {
	data, err := readLimited(path, maxFileBytes)
	if err == nil {
		var response asn1.RawValue
		rest, e := asn1.Unmarshal(data, &response)
		if e != nil || len(rest) > 0 || response.Tag != asn1.TagSequence {
			err = errors.New("not an OCSP response in DER")
		}
	}
	if err != nil {
		c.fail(v, fmt.Sprintf("%s: %s: %v", v.path, path, err), "make it with: openssl ocsp … -respout FILE")
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
func (c *checker) keyPair(cert, key *value, certPath, keyPath string) {
	certPEM, err := readLimited(certPath, maxFileBytes)
	if err != nil {
		c.fail(cert, fmt.Sprintf("%s: %s: %v", cert.path, certPath, err), "give a readable PEM file")
		return
	}
	keyPEM, err := readLimited(keyPath, maxFileBytes)
	if err != nil {
		c.fail(key, fmt.Sprintf("%s: %s: %v", key.path, keyPath, err), "give a readable PEM file")
		return
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		c.fail(cert, fmt.Sprintf("%s: %s and %s: %v", cert.path, certPath, keyPath, err), "give a certificate and the key that belongs to it, both as PEM")
		return
	}
	now := time.Now()
	if end := pair.Leaf.NotAfter; now.After(end) {
		c.warn(cert, fmt.Sprintf("%s: %s expired on %s", cert.path, certPath, end.UTC().Format(time.DateOnly)), "renew it: the other side will refuse it")
	}
	if start := pair.Leaf.NotBefore; now.Before(start) {
		c.warn(cert, fmt.Sprintf("%s: %s is not valid before %s", cert.path, certPath, start.UTC().Format(time.DateTime)), "the other side will refuse it until then; is the clock right?")
	}
}
