package contest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Files of the certificate in a folder.
const (
	certFile = "cert.pem"
	keyFile  = "key.pem"
	bothFile = "both.pem" // haproxy's form
)

// writeCertificate makes a key (ECDSA P-256) and a self-signed certificate for 127.0.0.1, valid for a
// day, writes them into the folder and returns the certificate.
func writeCertificate(dir string) (der []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "weir bench"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	return der, errors.Join(
		os.WriteFile(filepath.Join(dir, certFile), certPEM, 0o600),
		os.WriteFile(filepath.Join(dir, keyFile), keyPEM, 0o600),
		os.WriteFile(filepath.Join(dir, bothFile), append(certPEM, keyPEM...), 0o600),
	)
}

// clientTLS offers TLS 1.3 with X25519 alone: a server that knows hybrid groups would else pay for
// what the others do not do. Chains are not built; checkTLS wants the very certificate.
func clientTLS() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		CurvePreferences:   []tls.CurveID{tls.X25519},
		NextProtos:         []string{"http/1.1"},
		ServerName:         "127.0.0.1",
		InsecureSkipVerify: true,
	}
}

// checkTLS wants the same handshake of every contestant: certificate, version, cipher, group.
func checkTLS(certificate []byte) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		switch {
		case s.Version != tls.VersionTLS13:
			return fmt.Errorf("got %s, want TLS 1.3", tls.VersionName(s.Version))
		case s.CipherSuite != tls.TLS_AES_128_GCM_SHA256:
			return fmt.Errorf("got the cipher %s, want TLS_AES_128_GCM_SHA256", tls.CipherSuiteName(s.CipherSuite))
		case s.CurveID != tls.X25519:
			return fmt.Errorf("got the group %v, want X25519", s.CurveID)
		case len(s.PeerCertificates) != 1 || !bytes.Equal(s.PeerCertificates[0].Raw, certificate):
			return errors.New("got another certificate")
		}
		return nil
	}
}
