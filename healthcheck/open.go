package healthcheck

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"
)

// opener makes the connections of probes.
type opener struct {
	dial    func(context.Context, netip.AddrPort) (net.Conn, error)
	dialUDP func(context.Context, netip.AddrPort) (net.Conn, error)
	header  []byte // what a connection begins with, before TLS
}

// dialTCP connects without keep-alive probes: no connection of a probe lives long enough.
func dialTCP(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1}
	return d.DialContext(ctx, "tcp", addr.String())
}

// link is the connection of one probe. Its reads and writes end at the deadline of the probe, or
// when the probe is cancelled.
type link struct {
	net.Conn          // what to talk through: raw, or TLS over it
	raw      net.Conn // the transport
	unwatch  func() bool
}

// open connects to addr, by TLS if t is not nil. The phase is the last one reached, for a failure
// the one that failed; the caller closes a link that it got.
func (o opener) open(ctx context.Context, addr netip.AddrPort, t *tls.Config) (*link, string, error) {
	raw, err := o.dial(ctx, addr)
	if err != nil {
		return nil, PhaseConnect, err
	}
	l := &link{Conn: raw, raw: raw}
	l.unwatch = context.AfterFunc(ctx, func() {
		if raw.SetDeadline(time.Unix(1, 0)) != nil {
			_ = raw.Close() // what cannot be stopped by a deadline is stopped by this
		}
	})
	if len(o.header) > 0 {
		if _, err := raw.Write(o.header); err != nil {
			l.abort()
			return nil, PhaseSend, err
		}
	}
	if t == nil {
		return l, PhaseConnect, nil
	}
	secure := tls.Client(raw, t)
	if err := secure.HandshakeContext(ctx); err != nil {
		l.abort()
		return nil, PhaseTLS, err
	}
	l.Conn = secure
	return l, PhaseTLS, nil
}

// close ends the link in good order. There is nobody to tell of an error: the verdict stands.
func (l *link) close() {
	l.unwatch()
	_ = l.Conn.Close()
}

// abort ends the link at once and lets the kernel forget it: RST instead of FIN, so that no
// TIME_WAIT is left on this side.
func (l *link) abort() {
	l.unwatch()
	if c, ok := l.raw.(interface{ SetLinger(int) error }); ok {
		_ = c.SetLinger(0) // a closed or reset connection needs no RST
	}
	_ = l.raw.Close()
}
