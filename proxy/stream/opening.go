package stream

import (
	"errors"
	"io"
	"slices"

	"weir/internal/sniff"
	"weir/proxy/admit"
	"weir/proxy/wire"
	"weir/telemetry"
)

// Why the beginning of a connection ends it.
var (
	causeLeft         = &cause{telemetry.OutcomeClientClosed, byClient, "the client left before its connection had begun"}
	causeHeaderLate   = &cause{telemetry.OutcomeClientTimeout, byWeir, "the PROXY header took too long"}
	causeHeaderBad    = &cause{telemetry.OutcomeBadRequest, byWeir, "no good PROXY header"}
	causeDenied       = &cause{telemetry.OutcomeDenied, byWeir, "this client may not use the service"}
	causeTooMany      = &cause{telemetry.OutcomeRateLimited, byWeir, "too many connections of this client"}
	causeTooFast      = &cause{telemetry.OutcomeRateLimited, byWeir, "too many new connections"}
	causesOfAdmission = map[admit.Refusal]*cause{
		admit.RefusedDenied: causeDenied, admit.RefusedPerClient: causeTooMany, admit.RefusedPace: causeTooFast,
	}
)

// proxied reports whether a connection of this peer begins with a PROXY header.
func (s *Site) proxied(c *wire.Conn) bool {
	for _, p := range s.proxies {
		if p.Contains(c.Remote().Addr().WithZone("")) {
			return true
		}
	}
	return false
}

// begin finds out who the client is and where its connection leads. The cause is nil, or why it
// leads nowhere.
func (s *session) begin() (*cause, error) {
	if len(s.site.proxies) > 0 && s.site.proxied(s.client) {
		if why, err := s.readHeader(); why != nil {
			return why, err
		}
		counted, refused := s.site.gate.Enter(s.src.Addr(), wire.Now())
		if refused != 0 {
			s.site.stats.Rejected(refusals[refused])
			return causesOfAdmission[refused], nil
		}
		s.counted = counted
	}
	if why, err := s.route(); why != nil {
		return why, err
	}
	if s.target.pool == nil {
		return causeNoPool, nil
	}
	return nil, nil
}

// readHeader takes the PROXY header off the connection.
func (s *session) readHeader() (*cause, error) {
	src, dst, err := s.client.ReadProxy(wire.After(s.started, s.site.opening))
	if _, bad := errors.AsType[*sniff.Error](err); bad {
		s.site.stats.Rejected(telemetry.RejectProxyHeader)
		return causeHeaderBad, err
	}
	switch {
	case err == wire.ErrTimeout:
		s.site.stats.Rejected(telemetry.RejectProxyHeader)
		return causeHeaderLate, nil
	case err != nil:
		return s.left(err)
	case src.IsValid():
		s.src, s.dst = src, dst
	}
	return nil, nil
}

// left is the cause of a connection whose client has gone, or has been sent away.
func (s *session) left(err error) (*cause, error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // the words of the cause say it
	}
	return causeLeft, err
}

// route finds the target, by what the client has begun TLS with if the routes want to know. What does
// not begin with TLS, or not soon, goes where connections without a name go: in many protocols the
// client waits for the first word.
func (s *session) route() (*cause, error) {
	var hello sniff.Hello
	if s.site.tls != nil {
		if why, err := s.accept(&hello); why != nil {
			return why, err
		}
		s.sni = string(hello.ServerName)
	} else if s.site.routes.NeedsHello() {
		err := s.client.Peek(sniff.MaxHello, wire.After(wire.Now(), s.site.opening), func(b []byte) bool {
			h, state, _ := sniff.ParseClientHello(b)
			if state == sniff.Done {
				hello.ServerName, hello.ALPN = slices.Clone(h.ServerName), slices.Clone(h.ALPN) // not parts of b
			}
			return state != sniff.More
		})
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = nil // it has ended its side; the backend sees the same
		}
		if err != nil && err != wire.ErrTimeout && err != wire.ErrPeekFull {
			return s.left(err)
		}
		s.sni = string(hello.ServerName)
	}
	// A reload may have come while the client took its time. The routes of now lead to pools that are looked
	// after; one that has gone from the configuration since may have been forgotten.
	site, looked := s.clients.site.Load(), s.site.tls != nil || s.site.routes.NeedsHello()
	if site.routes.NeedsHello() && !looked {
		site = s.site
	}
	if t, ok := site.routes.Match(&hello, s.src.Addr()); ok {
		s.target = t
	}
	return nil, nil
}
