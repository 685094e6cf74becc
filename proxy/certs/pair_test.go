package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestKeyForms reads keys in every form in which they are kept, and a pair in one file.
func TestKeyForms(t *testing.T) {
	a := newAuthority(t, "Authority")
	ec, rs := newKey(t, x509.ECDSA).(*ecdsa.PrivateKey), newKey(t, x509.RSA).(*rsa.PrivateKey)
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	ecCert, ecKey := a.make(t, spec{names: []string{"a.example"}, key: ec})
	rsaCert, _ := a.make(t, spec{names: []string{"a.example"}, key: rs})
	edCert, edKey := a.make(t, spec{names: []string{"a.example"}, kind: x509.Ed25519})
	parameters := pemOf("EC PARAMETERS", []byte{6, 0})
	tests := []struct {
		name string
		pair Pair
	}{
		{"SEC 1", Pair{a.write(t, "1.crt", ecCert), a.write(t, "1.key", append(parameters, pemOf("EC PRIVATE KEY", sec1)...))}},
		{"PKCS #1", Pair{a.write(t, "2.crt", rsaCert), a.write(t, "2.key", pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs)))}},
		{"Ed25519", Pair{a.write(t, "3.crt", edCert), a.write(t, "3.key", edKey)}},
		{"one file", Pair{Cert: a.write(t, "4.pem", append(ecCert, ecKey...))}},
		{"one file, key first", Pair{Cert: a.write(t, "5.pem", append(bytes.Clone(ecKey), ecCert...))}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, mustNew(t, Options{Certificates: []Pair{tt.pair}}, nil).Config())
			if state := s.mustDial(t, a.trusting("a.example")); len(state.PeerCertificates) != 2 {
				t.Errorf("a chain of %d, want 2", len(state.PeerCertificates))
			}
		})
	}
}

// TestFaultyFiles has New refuse each fault, naming the file and the remedy, and never a key.
func TestFaultyFiles(t *testing.T) {
	a := newAuthority(t, "Authority")
	cert, key := a.make(t, spec{names: []string{"a.example"}})
	_, otherKey := a.make(t, spec{names: []string{"a.example"}})
	block, _ := pem.Decode(cert)
	keyBlock, _ := pem.Decode(key)
	reversed := append(bytes.Clone(pemOf("CERTIFICATE", a.cert.Raw)), pemOf("CERTIFICATE", block.Bytes)...)
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: []byte("secret")})
	large := bytes.Repeat([]byte{'\n'}, maxFileBytes+1)
	if err := syscall.Mkfifo(a.dir+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	good, goodKey := a.write(t, "good.crt", cert), a.write(t, "good.key", key)
	tests := []struct {
		name string
		pair Pair
		want []string
	}{
		{"no certificate file", Pair{a.dir + "/none.crt", goodKey}, []string{"certificate " + a.dir + "/none.crt", "create it"}},
		{"no key file", Pair{good, a.dir + "/none.key"}, []string{"private key " + a.dir + "/none.key", "create it"}},
		{"no path", Pair{"", goodKey}, []string{"create it or correct the path"}},
		{"folder", Pair{a.dir, goodKey}, []string{a.dir, "not a regular file"}},
		{"pipe", Pair{good, a.dir + "/pipe"}, []string{"/pipe", "not a regular file"}},
		{"too large", Pair{a.write(t, "large.crt", large), goodKey}, []string{"large.crt", "1048576"}},
		{"empty", Pair{a.write(t, "empty.crt", nil), goodKey}, []string{"empty.crt", "holds no certificate"}},
		{"swapped", Pair{goodKey, good}, []string{"good.key", "swapped"}},
		{"certificate in DER", Pair{a.write(t, "der.crt", block.Bytes), goodKey}, []string{"der.crt", "openssl x509 -inform der -in " + a.dir}},
		{"key in DER", Pair{good, a.write(t, "der.key", keyBlock.Bytes)}, []string{"der.key", "openssl pkey -inform der -in " + a.dir}},
		{"broken certificate", Pair{a.write(t, "broken.crt", append(bytes.Clone(cert), pemOf("CERTIFICATE", []byte("x"))...)), goodKey}, []string{"broken.crt", "certificate 3"}},
		{"broken key", Pair{good, a.write(t, "broken.key", pemOf("PRIVATE KEY", []byte("secret")))}, []string{"broken.key", "PKCS #8"}},
		{"certificate for a key", Pair{good, good}, []string{"good.crt", "holds no private key"}},
		{"encrypted", Pair{good, a.write(t, "encrypted.key", encrypted)}, []string{"encrypted.key", "openssl pkey -in " + a.dir}},
		{"encrypted PKCS #8", Pair{good, a.write(t, "encrypted8.key", pemOf("ENCRYPTED PRIVATE KEY", []byte("secret")))}, []string{"encrypted8.key", "decrypt it"}},
		{"another's key", Pair{good, a.write(t, "other.key", otherKey)}, []string{"good.crt", "other.key", "install both"}},
		{"issuer first", Pair{a.write(t, "reversed.crt", reversed), goodKey}, []string{"reversed.crt", "certificate 2", "must come first"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i, _, err := New(Options{Certificates: []Pair{tt.pair}}, nil)
			if i != nil {
				t.Error("there is an Identity")
			}
			contains(t, err, tt.want...)
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows the key: %v", err)
			}
			mismatch := strings.Contains(tt.name, "another") || strings.Contains(tt.name, "issuer")
			if errors.Is(err, ErrMismatch) != mismatch {
				t.Errorf("%v is ErrMismatch: %v, want %v", err, !mismatch, mismatch)
			}
		})
	}
	_, _, err := New(Options{Certificates: []Pair{tests[0].pair, {good, goodKey}, tests[1].pair}}, nil)
	contains(t, err, "none.crt", "none.key") // all at once
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v is not ErrNotExist", err)
	}
	contains(t, fileError("certificate", "x.crt", &os.PathError{Op: "open", Path: "x.crt", Err: syscall.EACCES}), "certificate x.crt: permission denied", "let the user")
}

func TestCertificateWarnings(t *testing.T) {
	a, stranger := newAuthority(t, "Authority"), newAuthority(t, "Stranger")
	now := time.Now()
	names := []string{"a.example"}
	cert, key := a.make(t, spec{names: names})
	block, _ := pem.Decode(cert)
	mixed := Pair{a.write(t, "mixed.crt", append(pemOf("CERTIFICATE", block.Bytes), pemOf("CERTIFICATE", stranger.cert.Raw)...)), a.write(t, "mixed.key", key)}
	tests := []struct {
		name string
		pair Pair
		want []string // none: no warning
	}{
		{"good", a.issue(t, "good", spec{names: names}), nil},
		{"expired", a.issue(t, "old", spec{names: names, until: now.Add(-time.Minute)}), []string{"old.crt", "expired at", "renew"}},
		{"early", a.issue(t, "early", spec{names: names, from: now.Add(time.Hour)}), []string{"early.crt", "not valid before", "clock"}},
		{"nameless", a.issue(t, "nameless", spec{}), []string{"nameless.crt", "subject alternative name"}},
		{"of a client", a.issue(t, "client", spec{names: names, usage: x509.ExtKeyUsageClientAuth}), []string{"client.crt", "serverAuth"}},
		{"of anything", a.issue(t, "any", spec{names: names, usage: x509.ExtKeyUsageAny}), nil},
		{"mixed chain", mixed, []string{"mixed.crt", "certificate 2", "order the chain"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i, warnings, err := New(Options{Certificates: []Pair{tt.pair}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(warnings) != min(1, len(tt.want)) {
				t.Errorf("warnings %q", warnings)
			}
			if tt.want != nil {
				warned(t, warnings, tt.want...)
				warned(t, i.Warnings(), tt.want...)
			}
		})
	}
}

// TestPairsAreShared reads unchanged files again without parsing them.
func TestPairsAreShared(t *testing.T) {
	a := newAuthority(t, "Authority")
	p := a.issue(t, "a", spec{names: []string{"a.example"}})
	before, err := readPair(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := readPair(p, before); again != before || err != nil {
		t.Errorf("%p, %v, want %p", again, err, before)
	}
	a.issue(t, "a", spec{names: []string{"a.example"}})
	if again, err := readPair(p, before); again == before || err != nil {
		t.Error("a new pair is the one of before", err)
	}
	if got := before.pair; len(got.Certificate) != 2 || got.Leaf == nil || got.PrivateKey == nil {
		t.Errorf("incomplete: %+v", tls.Certificate{Certificate: got.Certificate, Leaf: got.Leaf})
	}
}
