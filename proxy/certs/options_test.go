package certs

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"
)

func TestFaultyOptions(t *testing.T) {
	a := newAuthority(t, "Authority")
	pairs := []Pair{a.issue(t, "a", spec{names: []string{"a.example"}})}
	tests := []struct {
		name string
		o    Options
		want []string
	}{
		{"nothing", Options{}, []string{"certificates", "at least one"}},
		{"version", Options{MinVersion: "1.4"}, []string{`min_version: "1.4"`, "1.0, 1.1, 1.2, 1.3"}},
		{"SSL", Options{MaxVersion: "SSLv3"}, []string{`max_version: "SSLv3"`, "1.0, 1.1, 1.2, 1.3"}},
		{"versions crossed", Options{MinVersion: "1.3", MaxVersion: "1.2"}, []string{"min_version", "TLS 1.3", "max_version TLS 1.2"}},
		{"suites", Options{CipherSuites: []string{"ECDHE-RSA-AES128-GCM-SHA256", "HIGH", "!aNULL"}},
			[]string{"HIGH, !aNULL", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "weak", "TLS_RSA_WITH_RC4_128_SHA"}},
		{"suites of 1.3 alone", Options{CipherSuites: []string{"TLS_AES_128_GCM_SHA256"}}, []string{"TLS_AES_128_GCM_SHA256", "min_version to 1.3"}},
		{"empty protocol", Options{ALPN: []string{""}}, []string{"alpn", "1 to 255"}},
		{"long protocol", Options{ALPN: []string{strings.Repeat("x", 256)}}, []string{"alpn", "1 to 255"}},
		{"protocol twice", Options{ALPN: []string{"a", "b", "a"}}, []string{"alpn", "twice"}},
		{"client_auth alone", Options{ClientAuth: "require"}, []string{"client_auth", "client_ca"}},
		{"client_auth unknown", Options{ClientCA: a.file, ClientAuth: "maybe"}, []string{`"maybe"`, "require, request"}},
		{"no client_ca file", Options{ClientCA: a.dir + "/none"}, []string{"client CA " + a.dir + "/none", "create it"}},
		{"no authority in client_ca", Options{ClientCA: a.write(t, "empty", nil)}, []string{"client CA", "empty", "no certificate"}},
		{"no ocsp file", Options{OCSP: a.dir + "/none"}, []string{"OCSP response " + a.dir + "/none", "create it"}},
		{"all at once", Options{MinVersion: "x", MaxVersion: "y", ALPN: []string{""}, ClientAuth: "z", OCSP: "none", TicketFiles: []string{"none"}},
			[]string{"min_version", "max_version", "alpn", "client_auth", "OCSP", "ticket_keys"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name != "nothing" {
				tt.o.Certificates = pairs
			}
			i, _, err := New(tt.o, nil)
			contains(t, err, tt.want...)
			if i != nil {
				t.Error("there is an Identity")
			}
		})
	}
}

func TestOptionWarnings(t *testing.T) {
	a := newAuthority(t, "Authority")
	pairs := []Pair{a.issue(t, "a", spec{names: []string{"a.example"}})}
	old := newAuthority(t, "Old")
	old.cert.NotAfter = old.cert.NotBefore.Add(1)
	old.write(t, "old.crt", pemOf("CERTIFICATE", old.sign(t, old.cert, old.key)))
	tests := []struct {
		name string
		o    Options
		want []string
	}{
		{"fine", Options{MinVersion: "1.2", CipherSuites: []string{"ECDHE-ECDSA-AES128-GCM-SHA256"}, ClientCA: a.file}, nil},
		{"old version", Options{MinVersion: "1.1"}, []string{"min_version: TLS 1.1", "obsolete"}},
		{"weak suite", Options{CipherSuites: []string{"ECDHE-ECDSA-AES128-GCM-SHA256", "aes128-sha"}}, []string{"aes128-sha: weak"}},
		{"suite of 1.3", Options{CipherSuites: []string{"ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_AES_256_GCM_SHA384"}}, []string{"TLS_AES_256_GCM_SHA384: those of TLS 1.3"}},
		{"suites unused", Options{MinVersion: "1.3", CipherSuites: []string{"ECDHE-ECDSA-AES128-GCM-SHA256"}}, []string{"cipher_suites", "min_version 1.3"}},
		{"expired authorities", Options{ClientCA: old.dir + "/old.crt"}, []string{"old.crt", "every authority has expired"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Certificates = pairs
			_, warnings, err := New(tt.o, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(warnings) != min(1, len(tt.want)) {
				t.Errorf("warnings %q", warnings)
			}
			if tt.want != nil {
				warned(t, warnings, tt.want...)
			}
		})
	}
}

// TestOpenSSLNames knows every suite by the name that other proxies use.
func TestOpenSSLNames(t *testing.T) {
	want := map[string]uint16{
		"RC4-SHA": tls.TLS_RSA_WITH_RC4_128_SHA, "DES-CBC3-SHA": tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA,
		"AES128-SHA": tls.TLS_RSA_WITH_AES_128_CBC_SHA, "AES256-SHA": tls.TLS_RSA_WITH_AES_256_CBC_SHA,
		"AES128-SHA256": tls.TLS_RSA_WITH_AES_128_CBC_SHA256, "AES128-GCM-SHA256": tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
		"AES256-GCM-SHA384": tls.TLS_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-RC4-SHA": tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA,
		"ECDHE-ECDSA-AES128-SHA": tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, "ECDHE-ECDSA-AES256-SHA": tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
		"ECDHE-RSA-RC4-SHA": tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA, "ECDHE-RSA-DES-CBC3-SHA": tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA,
		"ECDHE-RSA-AES128-SHA": tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, "ECDHE-RSA-AES256-SHA": tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
		"ECDHE-ECDSA-AES128-SHA256":     tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
		"ECDHE-RSA-AES128-SHA256":       tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
		"ECDHE-RSA-AES128-GCM-SHA256":   tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		"ECDHE-ECDSA-AES128-GCM-SHA256": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		"ECDHE-RSA-AES256-GCM-SHA384":   tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		"ECDHE-ECDSA-AES256-GCM-SHA384": tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		"ECDHE-RSA-CHACHA20-POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		"ECDHE-ECDSA-CHACHA20-POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	}
	for name, id := range want {
		if s, _ := suiteNamed(strings.ToLower(name)); s == nil || s.ID != id {
			t.Errorf("%s is %v, want %s", name, s, tls.CipherSuiteName(id))
		}
	}
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if got, _ := suiteNamed(s.Name); got == nil || got.ID != s.ID {
			t.Errorf("%s is %v", s.Name, got)
		}
		if id, ok := want[opensslName(s.Name)]; slices.Contains(s.SupportedVersions, tls.VersionTLS12) && (!ok || id != s.ID) {
			t.Errorf("%s is %s for OpenSSL, which is not in the list", s.Name, opensslName(s.Name))
		}
	}
}
