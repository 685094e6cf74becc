package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate makes a self-signed certificate and its key, as PEM.
func certificate(t *testing.T, end time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: end.Add(-48 * time.Hour), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, data []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", keyDER)
}

// checkFiles loads text with and without the option. It wants what is said about files, and nothing
// without the option.
func checkFiles(t *testing.T, dir, text, want string, errors int) {
	t.Helper()
	main := filepath.Join(dir, "weir.yaml")
	if err := os.WriteFile(main, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, report := Load(main, withFeatures(every())); c == nil || len(report.Diagnostics) > 0 {
		t.Fatalf("files are opened without the option: %v", report.Diagnostics)
	}
	c, report := Load(main, CheckFiles(), withFeatures(every()))
	if report.Errors() != errors || (c == nil) != (errors > 0) {
		t.Errorf("%d errors, want %d: %v", report.Errors(), errors, report.Diagnostics)
	}
	if (want == "") != (len(report.Diagnostics) == 0) {
		t.Errorf("got %v, want %q", report.Diagnostics, want)
	}
	if len(report.Diagnostics) > 0 && !strings.Contains(report.Diagnostics[0].Message, want) {
		t.Errorf("got %q, want %q", report.Diagnostics[0].Message, want)
	}
	wellFormed(t, report)
}

func TestCheckListenerFiles(t *testing.T) {
	cert, key := certificate(t, time.Now().Add(time.Hour))
	old, oldKey := certificate(t, time.Now().Add(-time.Hour))
	early, earlyKey := certificate(t, time.Now().Add(96*time.Hour))
	dir := tree(t, map[string]string{
		"a.crt": cert, "a.key": key, "old.crt": old, "old.key": oldKey, "early.crt": early, "early.key": earlyKey,
		"empty": "", "staple": "\x30\x03\x0a\x01\x00", "longer": "\x30\x03\x0a\x01\x00\x00", "octets": "\x04\x01\x00", "page.html": "<p>", "large.html": strings.Repeat("x", maxErrorPage+1),
	})
	const pair = "certificates: [{ cert: a.crt, key: a.key }]"
	tests := []struct {
		name, tls, pages, want string
		errors                 int
	}{
		{"all good", pair + ", client_ca: a.crt, ocsp: staple", "page.html", "", 0},
		{"missing certificate", "certificates: [{ cert: a.crt, key: a.key }, { cert: none.crt, key: a.key }]", "page.html", "certificates[1].cert: ", 1},
		{"missing key", "certificates: [{ cert: a.crt, key: none.key }]", "page.html", "certificates[0].key: ", 1},
		{"another key", "certificates: [{ cert: a.crt, key: old.key }]", "page.html", "does not match", 1},
		{"not PEM", "certificates: [{ cert: empty, key: a.key }]", "page.html", "certificates[0].cert: ", 1},
		{"expired", "certificates: [{ cert: old.crt, key: old.key }]", "page.html", "expired on", 0},
		{"not yet valid", "certificates: [{ cert: early.crt, key: early.key }]", "page.html", "not valid before", 0},
		{"authority", pair + ", client_ca: empty", "page.html", "no certificate in it", 1},
		{"staple", pair + ", ocsp: a.crt", "page.html", "not an OCSP response in DER", 1},
		{"not a sequence", pair + ", ocsp: octets", "page.html", "not an OCSP response in DER", 1},
		{"bytes behind the staple", pair + ", ocsp: longer", "page.html", "not an OCSP response in DER", 1},
		{"missing staple", pair + ", ocsp: none", "page.html", "tls.ocsp: ", 1},
		{"missing page", pair, "none.html", "error_pages.503: ", 1},
		{"large page", pair, "large.html", "larger than 1024 KiB", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkFiles(t, dir, "listeners: { web: { protocol: https, address: \":443\", pool: app, error_pages: { 503: "+tt.pages+" }, tls: { "+tt.tls+" } } }\n"+appPool, tt.want, tt.errors)
		})
	}
}

func TestCheckFiles(t *testing.T) {
	cert, key := certificate(t, time.Now().Add(time.Hour))
	old, oldKey := certificate(t, time.Now().Add(-time.Hour))
	dir := tree(t, map[string]string{
		"ca.pem": cert, "client.pem": cert, "client.key": key, "old.pem": old, "old.key": oldKey, "empty.pem": "nothing\n",
	})
	tests := []struct {
		name, tls, want string
		errors          int
	}{
		{"all good", "ca: ca.pem, client_cert: client.pem, client_key: client.key", "", 0},
		{"no tls files", "server_name: x", "", 0},
		{"missing authority", "ca: none.pem", "none.pem: no such file or directory", 1},
		{"no certificate", "ca: empty.pem", "no certificate in it", 1},
		{"missing certificate", "client_cert: none.pem, client_key: client.key", "tls.client_cert: ", 1},
		{"missing key", "client_cert: client.pem, client_key: none.key", "tls.client_key: ", 1},
		{"another key", "client_cert: client.pem, client_key: old.key", "does not match", 1},
		{"expired", "client_cert: old.pem, client_key: old.key", "expired on", 0},
		{"directory", "ca: .", "is a directory", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := webListener + "pools: { app: { protocol: https, tls: { " + tt.tls + " }, backends: [\"10.0.0.1:8443\"] } }\n"
			checkFiles(t, dir, text, tt.want, tt.errors)
		})
	}
}
