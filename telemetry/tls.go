package telemetry

import (
	"cmp"
	"crypto/tls"
	"slices"
	"sync/atomic"
	"time"
)

// tlsVersion is a label value of weir_tls_handshakes_total.
type tlsVersion uint8

const (
	tls10 tlsVersion = iota
	tls11
	tls12
	tls13
	tlsUnknown

	tlsVersionCount
)

var tlsVersionNames = [tlsVersionCount]string{
	tls10: "1.0", tls11: "1.1", tls12: "1.2", tls13: "1.3", tlsUnknown: "unknown",
}

// tlsVersionOf maps a version number of the protocol to the bounded set.
func tlsVersionOf(version uint16) tlsVersion {
	if version < tls.VersionTLS10 || version > tls.VersionTLS13 {
		return tlsUnknown
	}
	return tlsVersion(version - tls.VersionTLS10)
}

const (
	handshakeError = iota
	handshakeOK

	handshakeResultCount
)

var handshakeResultNames = [handshakeResultCount]string{handshakeError: "error", handshakeOK: "ok"}

// handshakes counts by version and result. It has no shards: an addition is nothing next to the
// cryptography of a handshake.
type handshakes [tlsVersionCount][handshakeResultCount]atomic.Uint64

// Handshake counts a TLS handshake with a client that succeeded or failed. version is one of
// crypto/tls's constants; 0, and any that has no constant, is counted as unknown, which is what a
// handshake has that fails before a version is agreed on.
func (l *Listener) Handshake(version uint16, ok bool) {
	result := handshakeError
	if ok {
		result = handshakeOK
	}
	l.handshakes[tlsVersionOf(version)][result].Add(1)
}

// Certificate is what is shown of a certificate that a listener serves.
type Certificate struct {
	Name     string // the label: from the configuration, not from a client
	NotAfter time.Time
}

// SetCertificates says which certificates the listener serves, in place of those it was told
// before: a scrape sees the old ones or the new ones. Of several with the same name, the one that
// expires first is shown. The slice remains the caller's.
func (l *Listener) SetCertificates(served []Certificate) {
	shown := slices.Clone(served)
	slices.SortFunc(shown, func(a, b Certificate) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.NotAfter.Compare(b.NotAfter))
	})
	// Of equal neighbours, the first is kept.
	shown = slices.CompactFunc(shown, func(a, b Certificate) bool { return a.Name == b.Name })
	l.certificates.Store(&shown)
}

// CertificatesNotRenewed counts that files of the listener's certificates were read again and some
// could not be used, so that what was read before stays.
func (l *Listener) CertificatesNotRenewed() { l.notRenewed.Add(1) }

// tls sends nothing for a listener without TLS; from the first handshake on, every combination.
func (s *sink) tls(l *Listener) {
	var counts [tlsVersionCount][handshakeResultCount]uint64
	var total uint64
	for v := range l.handshakes {
		for result := range l.handshakes[v] {
			n := l.handshakes[v][result].Load()
			counts[v][result] = n
			total += n
		}
	}
	if total > 0 {
		for v, results := range counts {
			for result, n := range results {
				s.sendCount(tlsHandshakes, n, l.name, tlsVersionNames[v], handshakeResultNames[result])
			}
		}
	}
	if shown := l.certificates.Load(); shown != nil {
		for _, c := range *shown {
			s.send(tlsNotAfter, float64(c.NotAfter.Unix()), l.name, c.Name)
		}
		if len(*shown) > 0 {
			s.sendCount(tlsRefreshErrors, l.notRenewed.Load(), l.name)
		}
	}
}
