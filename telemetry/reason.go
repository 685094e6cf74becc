package telemetry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"syscall"
)

// RejectReason says why a listener turned a client connection away before serving it.
type RejectReason uint8

// The reasons for turning a connection away.
const (
	RejectMaxConnections RejectReason = iota // limits.max_connections of the listener
	RejectDescriptors                        // too close to the limit of open descriptors
	RejectMemory                             // too close to the memory budget
	RejectDraining                           // the listener or the process is stopping
	RejectDenied                             // an address that an allow or deny list keeps out
	RejectRate                               // more new connections per second than the listener takes
	RejectPerClient                          // as many connections of this client as one may have
	RejectProxyHeader                        // no good PROXY header where one is due
	RejectOther

	rejectCount
)

var rejectNames = [rejectCount]string{
	RejectMaxConnections: "max_connections",
	RejectDescriptors:    "descriptors",
	RejectMemory:         "memory",
	RejectDraining:       "draining",
	RejectDenied:         "denied",
	RejectRate:           "rate",
	RejectPerClient:      "per_client",
	RejectProxyHeader:    "proxy_header",
	RejectOther:          "other",
}

// String is the label value. A value outside the set is "other".
func (r RejectReason) String() string { return rejectNames[min(r, RejectOther)] }

// ConnectReason says why no connection to a backend came about.
type ConnectReason uint8

// The reasons for a failed connect.
const (
	ConnectRefused     ConnectReason = iota // nobody listens there
	ConnectTimeout                          // no answer in time
	ConnectUnreachable                      // no way to the network or the machine
	ConnectReset                            // closed by the other side while connecting
	ConnectTLS                              // the TLS handshake failed
	ConnectLocal                            // out of descriptors, ports or memory on this machine
	ConnectOther

	connectCount
)

var connectNames = [connectCount]string{"refused", "timeout", "unreachable", "reset", "tls", "local", "other"}

// String is the label value. A value outside the set is "other".
func (c ConnectReason) String() string { return connectNames[min(c, ConnectOther)] }

// ConnectReasonOf classifies the error of a dial or of a TLS handshake with a backend.
func ConnectReasonOf(err error) ConnectReason {
	for _, c := range connectErrnos {
		if errors.Is(err, c.errno) {
			return c.reason
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return ConnectTimeout
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return ConnectTimeout
	}
	if isTLS(err) {
		return ConnectTLS
	}
	return ConnectOther
}

var connectErrnos = [...]struct {
	errno  syscall.Errno
	reason ConnectReason
}{
	{syscall.ECONNREFUSED, ConnectRefused},
	{syscall.ETIMEDOUT, ConnectTimeout},
	{syscall.EHOSTUNREACH, ConnectUnreachable},
	{syscall.ENETUNREACH, ConnectUnreachable},
	{syscall.EHOSTDOWN, ConnectUnreachable},
	{syscall.ENETDOWN, ConnectUnreachable},
	{syscall.ECONNRESET, ConnectReset},
	{syscall.EPIPE, ConnectReset},
	{syscall.EMFILE, ConnectLocal},
	{syscall.ENFILE, ConnectLocal},
	{syscall.EADDRNOTAVAIL, ConnectLocal},
	{syscall.ENOBUFS, ConnectLocal},
	{syscall.ENOMEM, ConnectLocal},
}

// isTLS reports whether err comes from the TLS handshake rather than from the transport.
func isTLS(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.UnknownAuthorityError](err)
	return ok
}

// RetryReason says why another backend was tried.
type RetryReason uint8

// The reasons for a retry: the conditions of retries.on that this version knows.
const (
	RetryConnectFailure RetryReason = iota // nothing was sent
	RetryTimeout                           // no first byte within backend_response
	Retry502                               // the status of the response
	Retry503
	Retry504
	RetryReset // closed before the first byte of the response

	retryCount
)

var retryNames = [retryCount]string{"connect_failure", "timeout", "502", "503", "504", "reset"}

// String is the label value. A value outside the set is "reset", the most general.
func (r RetryReason) String() string { return retryNames[min(r, RetryReset)] }
