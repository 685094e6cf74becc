package certs

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// setSuites resolves names of cipher suites and remembers warnings about those that are weak.
// Without names crypto/tls chooses.
func (p *policy) setSuites(names []string) error {
	if len(names) == 0 {
		return nil
	}
	var unknown, fixed, weak []string
	for _, name := range names {
		s, secure := suiteNamed(name)
		switch {
		case s == nil:
			unknown = append(unknown, name)
			continue
		case !slices.Contains(s.SupportedVersions, tls.VersionTLS12):
			fixed = append(fixed, name)
			continue
		case !secure:
			weak = append(weak, name)
		}
		p.suites = append(p.suites, s.ID)
	}
	if len(unknown) > 0 {
		good, bad := suiteNames()
		return fmt.Errorf("cipher_suites: %s: unknown; allowed: %s; weak, if they must be: %s",
			strings.Join(unknown, ", "), strings.Join(good, ", "), strings.Join(bad, ", "))
	}
	if len(p.suites) == 0 && p.minVersion < tls.VersionTLS13 {
		// An empty list would mean the suites that crypto/tls chooses.
		return fmt.Errorf("cipher_suites: %s: all are of TLS 1.3: add one for TLS 1.2, or set min_version to 1.3", strings.Join(fixed, ", "))
	}
	if len(fixed) > 0 {
		p.warnings = append(p.warnings, fmt.Sprintf("cipher_suites: %s: those of TLS 1.3 are always on, naming them has no effect", strings.Join(fixed, ", ")))
	}
	if len(weak) > 0 {
		p.warnings = append(p.warnings, fmt.Sprintf("cipher_suites: %s: weak: remove unless old clients need them", strings.Join(weak, ", ")))
	}
	if len(p.suites) > 0 && p.minVersion == tls.VersionTLS13 {
		p.warnings = append(p.warnings, "cipher_suites: have no effect with min_version 1.3")
	}
	return nil
}

// suiteNamed finds a suite by its IANA or OpenSSL name, in any letter case. It is nil if there is
// none, and not secure if crypto/tls says so.
func suiteNamed(name string) (s *tls.CipherSuite, secure bool) {
	matches := func(s *tls.CipherSuite) bool {
		return strings.EqualFold(name, s.Name) || strings.EqualFold(name, opensslName(s.Name))
	}
	if i := slices.IndexFunc(tls.CipherSuites(), matches); i >= 0 {
		return tls.CipherSuites()[i], true
	}
	if i := slices.IndexFunc(tls.InsecureCipherSuites(), matches); i >= 0 {
		return tls.InsecureCipherSuites()[i], false
	}
	return nil, false
}

// suiteNames lists what may be configured, for errors.
func suiteNames() (good, bad []string) {
	for _, s := range tls.CipherSuites() {
		if slices.Contains(s.SupportedVersions, tls.VersionTLS12) {
			good = append(good, s.Name)
		}
	}
	for _, s := range tls.InsecureCipherSuites() {
		bad = append(bad, s.Name)
	}
	return good, bad
}

// opensslName turns the IANA name of a suite of TLS 1.2 and below into OpenSSL's, which is what the
// configurations of other proxies use: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 into
// ECDHE-RSA-AES128-GCM-SHA256.
func opensslName(iana string) string {
	exchange, rest, ok := strings.Cut(strings.TrimPrefix(iana, "TLS_"), "_WITH_")
	if !ok {
		return iana // TLS 1.3: both have the same names
	}
	for _, r := range [][2]string{
		{"AES_128_CBC", "AES128"}, {"AES_256_CBC", "AES256"}, {"AES_128_GCM", "AES128-GCM"}, {"AES_256_GCM", "AES256-GCM"},
		{"RC4_128", "RC4"}, {"3DES_EDE_CBC", "DES-CBC3"}, {"POLY1305_SHA256", "POLY1305"},
	} {
		rest = strings.Replace(rest, r[0], r[1], 1)
	}
	if exchange != "RSA" {
		rest = exchange + "_" + rest
	}
	return strings.ReplaceAll(rest, "_", "-")
}
