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
			main := filepath.Join(dir, "weir.yaml")
			if err := os.WriteFile(main, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if c, report := Load(main); c == nil || len(report.Diagnostics) > 0 {
				t.Fatalf("files are opened without the option: %v", report.Diagnostics)
			}
			c, report := Load(main, CheckFiles())
			if report.Errors() != tt.errors || (c == nil) != (tt.errors > 0) {
				t.Errorf("%d errors, want %d: %v", report.Errors(), tt.errors, report.Diagnostics)
			}
			if (tt.want == "") != (len(report.Diagnostics) == 0) {
				t.Errorf("got %v, want %q", report.Diagnostics, tt.want)
			}
			if len(report.Diagnostics) > 0 && !strings.Contains(report.Diagnostics[0].Message, tt.want) {
				t.Errorf("got %q, want %q", report.Diagnostics[0].Message, tt.want)
			}
			wellFormed(t, report)
		})
	}
}
