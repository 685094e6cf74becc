package stream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"weir/internal/sniff"
	"weir/proxy/certs"
	"weir/proxy/wire"
	"weir/telemetry"
)

// errTLS marks a failed handshake with a backend.
var errTLS = errors.New("tls handshake")

// errProtocol marks one with a backend that does not speak what the client has chosen to speak. That is no
// sign of ill health, or any client could have a backend taken out of service.
var errProtocol = errors.New("the backend does not speak the protocol of this client")

// Why a handshake ends a session.
var (
	causeHandshake        = &cause{telemetry.OutcomeBadRequest, byClient, "the TLS handshake with the client failed"}
	causeHandshakeLate    = &cause{telemetry.OutcomeClientTimeout, byWeir, "the TLS handshake with the client took too long"}
	causeBackendHandshake = &cause{telemetry.OutcomeBackendTLS, byWeir, "the TLS handshake with the backend failed"}
)

// accept does the handshake with the client. hello is then what it has agreed on.
func (s *session) accept(hello *sniff.Hello) (*cause, error) {
	secure := wire.NewSecure(s.client, tls.Server, s.site.tls)
	err := secure.Handshake(wire.After(wire.Now(), s.site.opening))
	state := secure.State()
	s.site.stats.Handshake(state.Version, err == nil)
	switch {
	case errors.Is(err, wire.ErrTimeout):
		return causeHandshakeLate, nil
	case left(err):
		return causeLeft, nil
	case err != nil:
		return causeHandshake, err
	}
	s.layers[wire.Client] = secure
	if name := []byte(state.ServerName); sniff.ValidName(name) { // crypto/tls takes whatever comes
		hello.ServerName = name
	}
	if p := state.NegotiatedProtocol; p != "" {
		s.alpn = p
		hello.ALPN = append(sniff.Protocols{byte(len(p))}, p...)
	}
	return nil, nil
}

// left reports whether a handshake has failed because the client has gone, as those do that only look
// whether the port is open.
func left(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// secure does the handshake with the backend that c is connected to, within the time-out of the pool. It
// asks for the protocol that was agreed on with the client, if there is one.
func (s *session) secure(c *wire.Conn) error {
	b := s.lease.Backend()
	config := certs.ToBackend(s.settings.tls, b.Address(), b.Host())
	if s.alpn != "" {
		config.NextProtos = []string{s.alpn}
	}
	secure := wire.NewSecure(c, tls.Client, config)
	if err := secure.Handshake(wire.After(wire.Now(), s.settings.timeouts.TLS)); err != nil {
		if s.alpn != "" && refusesProtocol(err) {
			return fmt.Errorf("%w: %w (%s)", errTLS, errProtocol, s.alpn)
		}
		return fmt.Errorf("%w: %w", errTLS, err)
	}
	s.layers[wire.Backend] = secure
	return nil
}

// noApplicationProtocol is the alert of a server that speaks nothing that it was offered (RFC 7301, section
// 3.2).
const noApplicationProtocol = tls.AlertError(120)

// refusesProtocol reports whether the backend has ended a handshake by that alert. The type that
// crypto/tls gives it is its own, so that it is known by its text.
func refusesProtocol(err error) bool {
	remote, ok := errors.AsType[*net.OpError](err)
	return ok && remote.Op == "remote error" && remote.Err.Error() == noApplicationProtocol.Error()
}
