package proxy

import (
	"crypto/tls"
	"errors"
	"time"

	"go.uber.org/zap"

	"weir/config"
	"weir/proxy/certs"
	"weir/telemetry"
)

// refreshRound is how often the files of certificates are looked at.
const refreshRound = 10 * time.Second

// newIdentity reads the certificates of an https listener; nil for a plain one. Ticket keys go on
// from previous, which may be nil.
func newIdentity(l *config.Listener, previous *certs.Identity) (*certs.Identity, []string, error) {
	if l.TLS == nil {
		return nil, nil, nil
	}
	o := certs.Options{
		MinVersion: string(l.TLS.MinVersion), MaxVersion: string(l.TLS.MaxVersion), CipherSuites: l.TLS.CipherSuites,
		ALPN: l.TLS.ALPN, TicketKeys: l.TLS.TicketKeys,
		ClientCA: l.TLS.ClientCA, ClientAuth: string(l.TLS.ClientAuth), OCSP: l.TLS.OCSP,
	}
	for _, c := range l.TLS.Certificates {
		o.Certificates = append(o.Certificates, certs.Pair{Cert: c.Cert, Key: c.Key})
	}
	i, warnings, err := certs.New(o, previous)
	if err != nil {
		return nil, nil, &config.ObjectError{Path: "listeners." + l.Name + ".tls", Origin: l.Origin, Err: err}
	}
	return i, warnings, nil
}

// tlsOf is the configuration of an identity, nil for none.
func tlsOf(i *certs.Identity) *tls.Config {
	if i == nil {
		return nil
	}
	return i.Config()
}

// showCertificates tells the telemetry when the certificates of a listener end.
func (l *listener) showCertificates(i *certs.Identity) {
	var list []telemetry.Certificate
	if i != nil {
		for _, e := range i.NotAfter() {
			list = append(list, telemetry.Certificate{Name: e.Name, NotAfter: e.NotAfter})
		}
	}
	l.stats.SetCertificates(list)
}

// refreshCertificates reads the files of every listener again. What is bad stays as it was, and the
// log says so when it begins.
func (s *Server) refreshCertificates() {
	s.mu.RLock()
	names, identities := map[*listener]string{}, map[*listener]*certs.Identity{}
	for name, l := range s.listeners {
		if l.identity != nil {
			names[l], identities[l] = name, l.identity
		}
	}
	s.mu.RUnlock()
	for l, identity := range identities {
		name := names[l]
		changed, err := identity.Refresh()
		if changed {
			s.log.Info("certificates changed", zap.String("listener", name))
			s.mu.RLock()
			if l.identity == identity { // or a reload has shown newer ones
				l.showCertificates(identity)
			}
			s.mu.RUnlock()
		}
		fault := ""
		if err != nil {
			l.stats.CertificatesNotRenewed()
			fault = err.Error()
		}
		if fault != "" && fault != l.fault {
			level := zap.ErrorLevel
			if errors.Is(err, certs.ErrMismatch) {
				level = zap.WarnLevel // perhaps only half a pair has been written
			}
			s.log.Log(level, "certificates not renewed, the old ones stay in use", zap.String("listener", name), zap.Error(err))
		}
		l.fault = fault
	}
}
