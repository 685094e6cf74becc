package test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority issues certificates. Its folder has ca.crt and ca.key, and what it has issued.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.issue(identity{file: "ca", name: "Authority", serial: 1, key: ecKey(t)})
	return a
}

// identity is what a certificate says.
type identity struct {
	file     string // FILE.crt and FILE.key
	name     string // common name
	hosts    []string
	serial   int64
	notAfter time.Time     // zero: in a day
	key      crypto.Signer // nil: a new one on P-256
}

func ecKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate, the first of which is the authority's own, and returns both files.
func (a *authority) issue(id identity) (cert, key string) {
	a.t.Helper()
	if id.key == nil {
		id.key = ecKey(a.t)
	}
	if id.notAfter.IsZero() {
		id.notAfter = time.Now().Add(24 * time.Hour)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(id.serial), Subject: pkix.Name{CommonName: id.name, Organization: []string{"Weir"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: id.notAfter, DNSNames: id.hosts,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	if a.cert == nil {
		template.IsCA, template.KeyUsage, template.ExtKeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature, nil
		a.cert, a.key = template, id.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, id.key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	if template.IsCA {
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			a.t.Fatal(err)
		}
	}
	secret, err := x509.MarshalPKCS8PrivateKey(id.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, key = a.path(id.file+".crt"), a.path(id.file+".key")
	a.replace(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	a.replace(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	return cert, key
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// replace puts a file in place as a whole, as certificate clients do.
func (a *authority) replace(path string, content []byte) {
	a.t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		a.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		a.t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// pool trusts the authority alone.
func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// staple makes the OCSP response that says of a certificate that it is good, and returns its file.
func (a *authority) staple(id identity) string {
	a.t.Helper()
	expiry := time.Now().Add(24 * time.Hour).UTC().Format("060102150405Z")
	index := fmt.Sprintf("V\t%s\t\t%02X\tunknown\t/O=Weir/CN=%s\n", expiry, id.serial, id.name)
	a.replace(a.path("index.txt"), []byte(index))
	ca, request, response := a.path("ca.crt"), a.path("request.der"), a.path(id.file+".ocsp")
	openssl(a.t, "", "ocsp", "-issuer", ca, "-cert", a.path(id.file+".crt"), "-reqout", request).want(0)
	openssl(a.t, "", "ocsp", "-index", a.path("index.txt"), "-CA", ca, "-rsigner", ca, "-rkey", a.path("ca.key"),
		"-reqin", request, "-respout", response, "-ndays", "1").want(0)
	return response
}

// spoken is what openssl said.
type spoken struct {
	t    *testing.T
	code int
	text string
}

// openssl runs openssl with its input, under its own defaults instead of Debian's, which have no TLS
// before 1.2.
func openssl(t *testing.T, input string, args ...string) spoken {
	t.Helper()
	cmd := exec.Command(program(t, "openssl"), args...)
	cmd.Env = append(os.Environ(), "OPENSSL_CONF="+os.DevNull)
	cmd.Stdin = strings.NewReader(input)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Wait() // the code tells
	return spoken{t, cmd.ProcessState.ExitCode(), out.String()}
}

// want wants an exit code and words.
func (s spoken) want(code int, words ...string) {
	s.t.Helper()
	if s.code != code {
		s.t.Errorf("openssl: exit code %d, want %d: %s", s.code, code, s.text)
	}
	wantWords(s.t, "openssl", s.text, words...)
}

// wantNot wants words to be missing.
func (s spoken) wantNot(words ...string) {
	s.t.Helper()
	for _, word := range words {
		if strings.Contains(s.text, word) {
			s.t.Errorf("openssl: got %s, want it not to say %q", s.text, word)
		}
	}
}
