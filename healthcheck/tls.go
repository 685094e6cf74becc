package healthcheck

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"time"
)

// tlsProber makes a TLS handshake: the backend is alive if it can, and, unless the pool does without
// that, if its certificate is one to be trusted.
type tlsProber struct {
	recipe
	addr netip.AddrPort
	tls  *tls.Config
	sent string // for people: TLS handshake with 10.0.0.12:5433
}

func newTLSProber(r recipe, addr netip.AddrPort, host string) *tlsProber {
	c := r.tls.Clone()
	c.NextProtos = nil
	if c.ServerName == "" {
		c.ServerName = serverName(addr, host)
	}
	return &tlsProber{recipe: r, addr: addr, tls: c, sent: "TLS handshake with " + addr.String()}
}

func (p *tlsProber) probe(ctx context.Context, o opener) Probe {
	start := time.Now()
	o.header = p.header
	l, phase, err := o.open(ctx, p.addr, p.tls)
	if err != nil {
		return failure(ctx, Probe{Phase: phase}, p.sent, openFailure(phase, err, p.check.Timeout), err)
	}
	version := "connected"
	if c, ok := l.Conn.(*tls.Conn); ok {
		version = tls.VersionName(c.ConnectionState().Version)
	}
	if p.check.Interval >= abortBelow {
		l.close()
	} else {
		l.abort()
	}
	return Probe{Phase: phase, OK: true, Reason: fmt.Sprintf("%s → %s in %s", p.sent, version, brief(time.Since(start)))}
}

var _ prober = (*tlsProber)(nil)
