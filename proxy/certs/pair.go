package certs

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrMismatch says that a private key does not belong to its certificate. During a Refresh it may
// mean that the files are being replaced, and that the next one will find both.
var ErrMismatch = errors.New("private key does not belong to the certificate")

// certificate is what the files of a Pair held. It is immutable.
type certificate struct {
	file   string // of the certificate
	digest [sha256.Size]byte
	chain  []*x509.Certificate // the server's own first; not empty
	pair   tls.Certificate
}

// readPair reads and checks a certificate with its key. If the files are as they were for before,
// which may be nil, it returns that.
func readPair(p Pair, before *certificate) (*certificate, error) {
	if p.Key == "" {
		p.Key = p.Cert
	}
	certPEM, err := readFile("certificate", p.Cert)
	if err != nil {
		return nil, err
	}
	keyPEM, err := readFile("private key", p.Key)
	if err != nil {
		return nil, err
	}
	digest := digestOf(certPEM, keyPEM)
	if before != nil && before.digest == digest {
		return before, nil
	}
	c := &certificate{file: p.Cert, digest: digest}
	if c.chain, err = parseCertificates("certificate", p.Cert, certPEM); err != nil {
		return nil, err
	}
	key, err := parseKey(p.Key, keyPEM)
	if err != nil {
		return nil, err
	}
	if err := checkPair(p, c.chain, key); err != nil {
		return nil, err
	}
	c.pair = tls.Certificate{PrivateKey: key, Leaf: c.chain[0]}
	for _, x := range c.chain {
		c.pair.Certificate = append(c.pair.Certificate, x.Raw)
	}
	return c, nil
}

// digestOf identifies contents. It separates them by their lengths.
func digestOf(contents ...[]byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, c := range contents {
		fmt.Fprintf(h, "%d:", len(c))
		h.Write(c)
	}
	h.Sum(sum[:0])
	return sum
}

// parseCertificates parses every certificate of a PEM file; there is at least one.
func parseCertificates(kind, path string, text []byte) ([]*x509.Certificate, error) {
	var found []*x509.Certificate
	key := false
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		key = key || strings.HasSuffix(block.Type, "PRIVATE KEY")
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s %s: certificate %d of the file: %w: issue it again", kind, path, len(found)+1, err)
		}
		found = append(found, c)
	}
	switch {
	case len(found) > 0:
		return found, nil
	case key:
		return nil, fmt.Errorf("%s %s: holds a private key and no certificate: are the two files swapped?", kind, path)
	case bytes.HasPrefix(text, []byte{0x30, 0x82}):
		return nil, fmt.Errorf("%s %s: is in DER form: convert it with openssl x509 -inform der -in %[2]s", kind, path)
	}
	return nil, fmt.Errorf("%s %s: holds no certificate in PEM form: is it the right file?", kind, path)
}

// parseKey parses the first private key of a PEM file. Its errors never show what the file holds.
func parseKey(path string, text []byte) (crypto.Signer, error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, fmt.Errorf("private key %s: is encrypted: decrypt it with openssl pkey -in %[1]s", path)
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		signer, err := parseSigner(block)
		if err != nil {
			return nil, fmt.Errorf("private key %s: %w: use an ECDSA, Ed25519 or RSA key in PKCS #8 form", path, err)
		}
		return signer, nil
	}
	if bytes.HasPrefix(text, []byte{0x30}) {
		return nil, fmt.Errorf("private key %s: is in DER form: convert it with openssl pkey -inform der -in %[1]s", path)
	}
	return nil, fmt.Errorf("private key %s: holds no private key in PEM form: is it the right file?", path)
}

func parseSigner(block *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign", key)
	}
	return signer, nil
}

// checkPair reports whether key is that of the first certificate of chain.
func checkPair(p Pair, chain []*x509.Certificate, key crypto.Signer) error {
	i := slices.IndexFunc(chain, func(c *x509.Certificate) bool { return owns(key, c) })
	switch {
	case i < 0:
		return fmt.Errorf("certificate %s and key %s: %w: install both from the same request", p.Cert, p.Key, ErrMismatch)
	case i > 0:
		return fmt.Errorf("certificate %s and key %s: %w: it belongs to certificate %d of the file, which must come first", p.Cert, p.Key, ErrMismatch, i+1)
	}
	return nil
}

func owns(key crypto.Signer, c *x509.Certificate) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(c.PublicKey)
}

// warnings says what clients will not like about the certificate.
func (c *certificate) warnings(now time.Time) (found []string) {
	warn := func(format string, args ...any) {
		found = append(found, "certificate "+c.file+": "+fmt.Sprintf(format, args...))
	}
	leaf := c.chain[0]
	switch {
	case now.After(leaf.NotAfter):
		warn("expired at %s: renew it", leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		warn("is not valid before %s: check the clock of this machine", leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	if len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 {
		warn("has no subject alternative name: no server name chooses it and clients refuse it: issue it with one")
	}
	if len(leaf.ExtKeyUsage) > 0 && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		warn("is not meant for servers: issue it with the extended key usage serverAuth")
	}
	for i, issuer := range c.chain[1:] {
		if !bytes.Equal(c.chain[i].RawIssuer, issuer.RawSubject) {
			warn("certificate %d of the file did not issue the one before it: order the chain, each followed by its issuer", i+2)
			break
		}
	}
	return found
}
