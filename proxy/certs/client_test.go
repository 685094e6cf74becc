package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net/url"
	"strings"
	"testing"
)

func TestClientCertificate(t *testing.T) {
	a := newAuthority(t, "Client \"CA\"")
	subject := pkix.Name{CommonName: "Grüße, alice+bob\r\nX-Admin: 1", Organization: []string{" Shop "}, Country: []string{"DE"},
		ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: "odd"}}}
	cert, _ := a.make(t, spec{subject: subject, serial: 0xabc})
	block, _ := pem.Decode(cert)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	state := tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf, a.cert}}
	got := ClientCertificateOf(state)
	sum := sha256.Sum256(leaf.Raw)
	for _, f := range []struct{ name, got, want string }{
		{"Subject", got.Subject, `1.2.3.4=#13036f6464,CN=Gr\C3\BC\C3\9Fe\, alice\+bob\0D\0AX-Admin: 1,O=\ Shop\ ,C=DE`},
		{"Issuer", got.Issuer, `CN=Client \"CA\"`},
		{"Fingerprint", got.Fingerprint, hex.EncodeToString(sum[:])},
		{"Serial", got.Serial, "0ABC"},
	} {
		if f.got != f.want {
			t.Errorf("%s: got %s, want %s", f.name, f.got, f.want)
		}
	}
	if got.Verified || !got.NotAfter.Equal(leaf.NotAfter) {
		t.Errorf("verified %v, not after %v", got.Verified, got.NotAfter)
	}
	for _, unescape := range []func(string) (string, error){url.QueryUnescape, url.PathUnescape} {
		text, err := unescape(got.PEM)
		if err != nil {
			t.Fatal(err)
		}
		if b, rest := pem.Decode([]byte(text)); b == nil || string(b.Bytes) != string(leaf.Raw) || len(rest) > 0 {
			t.Errorf("the PEM does not come back: %q", text)
		}
	}
	if strings.Trim(got.PEM, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%") != "" {
		t.Errorf("not encoded: %s", got.PEM)
	}
	state.VerifiedChains = [][]*x509.Certificate{state.PeerCertificates}
	if !ClientCertificateOf(state).Verified {
		t.Error("not verified, with a chain")
	}
	if got := ClientCertificateOf(tls.ConnectionState{}); got != nil {
		t.Errorf("a client without a certificate has %+v", got)
	}
}

func TestSerial(t *testing.T) {
	for n, want := range map[int64]string{0: "00", 1: "01", 0x10: "10", 0x123: "0123", -0xa: "-0A"} {
		if got := serial(big.NewInt(n)); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

// FuzzDistinguishedName never lets a byte out that could end or change a header field.
func FuzzDistinguishedName(f *testing.F) {
	for _, name := range []pkix.Name{{CommonName: "a\r\nb"}, {CommonName: "Grüße", Organization: []string{"x,y", "#z"}}, {Country: []string{"DE"}, SerialNumber: "\x00"}} {
		der, err := asn1.Marshal(name.ToRDNSequence())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		got := distinguishedName(der)
		for i := range len(got) {
			if got[i] < ' ' || got[i] > '~' {
				t.Fatalf("%q has byte %#x", got, got[i])
			}
		}
	})
}
