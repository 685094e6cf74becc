package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// limit bounds every handshake; none comes near it.
const limit = 20 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rsaKey is made once: it takes most of a second.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// authority issues certificates into a folder of its test.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
	pool *x509.CertPool
	file string
}

// spec says what to issue; what is zero is chosen.
type spec struct {
	names   []string
	ips     []net.IP
	kind    x509.PublicKeyAlgorithm
	key     crypto.Signer
	serial  int64
	from    time.Time
	until   time.Time
	subject pkix.Name
	usage   x509.ExtKeyUsage
}

func newKey(t testing.TB, kind x509.PublicKeyAlgorithm) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case x509.RSA:
		key, err = rsaKey()
	case x509.Ed25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir(), key: newKey(t, x509.ECDSA), pool: x509.NewCertPool()}
	template := a.template(spec{subject: pkix.Name{CommonName: name}})
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage, template.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
	a.cert = template
	der := a.sign(t, template, a.key)
	a.cert, _ = x509.ParseCertificate(der)
	a.pool.AddCert(a.cert)
	a.file = a.write(t, "authority.crt", pemOf("CERTIFICATE", der))
	return a
}

func (a *authority) template(s spec) *x509.Certificate {
	if s.serial == 0 {
		s.serial = time.Now().UnixNano()
	}
	if s.from.IsZero() {
		s.from = time.Now().Add(-time.Hour)
	}
	if s.until.IsZero() {
		s.until = time.Now().Add(48 * time.Hour)
	}
	if s.usage == 0 {
		s.usage = x509.ExtKeyUsageServerAuth
	}
	return &x509.Certificate{
		SerialNumber: big.NewInt(s.serial), Subject: s.subject, NotBefore: s.from, NotAfter: s.until,
		DNSNames: s.names, IPAddresses: s.ips, ExtKeyUsage: []x509.ExtKeyUsage{s.usage}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

func (a *authority) sign(t testing.TB, template *x509.Certificate, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// make issues a certificate and returns the contents of both files; the chain has the authority.
func (a *authority) make(t testing.TB, s spec) (cert, key []byte) {
	t.Helper()
	if s.key == nil {
		s.key = newKey(t, s.kind)
	}
	der := a.sign(t, a.template(s), s.key)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(s.key)
	if err != nil {
		t.Fatal(err)
	}
	return append(pemOf("CERTIFICATE", der), pemOf("CERTIFICATE", a.cert.Raw)...), pemOf("PRIVATE KEY", pkcs8)
}

// issue makes a certificate and writes it to NAME.crt and NAME.key.
func (a *authority) issue(t testing.TB, name string, s spec) Pair {
	t.Helper()
	cert, key := a.make(t, s)
	return Pair{Cert: a.write(t, name+".crt", cert), Key: a.write(t, name+".key", key)}
}

func (a *authority) write(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(a.dir, name)
	// Renamed, as those who renew certificates should do.
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func mustNew(t testing.TB, o Options, previous *Identity) *Identity {
	t.Helper()
	i, warnings, err := New(o, previous)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings {
		t.Log("warning: " + w)
	}
	return i
}

// contains checks that an error, which must be, has every text in it.
func contains(t testing.TB, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", texts)
		return
	}
	for _, want := range texts {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
}

// warned checks that exactly one of warnings has every text in it.
func warned(t testing.TB, warnings []string, texts ...string) {
	t.Helper()
	n := 0
	for _, w := range warnings {
		has := true
		for _, text := range texts {
			has = has && strings.Contains(w, text)
		}
		if has {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d of the warnings %q have %q, want 1", n, warnings, texts)
	}
}
