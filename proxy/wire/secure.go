package wire

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// Secure is TLS over a Conn, as a Relay carries it.
type Secure struct {
	tls   *tls.Conn
	side  transport
	fault error // why Receive has failed
}

// ErrCutOff is the fault of a connection that has ended without the alert that says so.
var ErrCutOff = errors.New("it ended without close_notify")

var _ Layer = (*Secure)(nil)

// NewSecure puts TLS on a connection; of is tls.Client or tls.Server.
func NewSecure(conn *Conn, of func(net.Conn, *tls.Config) *tls.Conn, c *tls.Config) *Secure {
	s := &Secure{side: transport{conn: conn}}
	s.tls = of(&s.side, c)
	return s
}

// Handshake does what its name says before due (0: without bound). The error wraps ErrTimeout when
// that was too soon.
func (s *Secure) Handshake(due int64) error {
	s.side.due = due
	err := s.tls.Handshake()
	s.side.due = 0
	return err
}

// State is what the handshake agreed on.
func (s *Secure) State() tls.ConnectionState { return s.tls.ConnectionState() }

// Receive implements Layer. A connection that ends without the alert that says so (RFC 8446, section
// 6.1) was cut off, perhaps by a third party, and has failed.
func (s *Secure) Receive(p []byte) (int, syscall.Errno) {
	s.side.looking = true
	n, err := s.tls.Read(p)
	s.side.looking = false
	switch {
	case n > 0:
		return n, 0 // an error that came with bytes comes again
	case err == errQuiet:
		return 0, syscall.EAGAIN
	case err == io.EOF && !s.side.ended:
		return 0, 0
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return 0, errno
	}
	if s.fault = err; s.side.ended {
		s.fault = ErrCutOff
	}
	return 0, syscall.ECONNABORTED
}

// Fault is why Receive has failed, where it says ECONNABORTED; nil: it has not. It may be asked when nobody
// receives any more.
func (s *Secure) Fault() error { return s.fault }

// Write implements Layer.
func (s *Secure) Write(p []byte) error {
	_, err := s.tls.Write(p)
	return err
}

// CloseWrite implements Layer.
func (s *Secure) CloseWrite() error { return s.tls.CloseWrite() }

// transport is the connection that crypto/tls sees. due bounds reads and writes of the handshake; after
// it a Relay sees to idle connections.
type transport struct {
	conn    *Conn
	due     int64
	looking bool // reads do not wait: errQuiet
	ended   bool // the other side has ended the connection below
}

var _ net.Conn = (*transport)(nil)

// errQuiet is the error of a look at a connection on which nothing has come. It is temporary, because
// crypto/tls remembers other errors for good.
var errQuiet error = quiet{}

type quiet struct{ interruption }

func (quiet) Error() string { return "nothing has come" }

func (t *transport) Read(p []byte) (int, error) {
	if t.looking {
		return t.look(p)
	}
	n, err := t.conn.Read(p, t.due)
	t.ended = t.ended || err == io.EOF
	return n, err
}

// look receives what is there.
func (t *transport) look(p []byte) (int, error) {
	n, e := t.conn.Receive(p)
	switch {
	case e == syscall.EAGAIN:
		return 0, errQuiet
	case e != 0:
		return 0, os.NewSyscallError("recv", e)
	case n == 0:
		t.ended = true
		return 0, io.EOF
	}
	return n, nil
}

func (t *transport) Write(p []byte) (int, error) {
	if err := t.conn.writeBy(p, t.due); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (t *transport) Close() error         { return t.conn.Close() }
func (t *transport) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(t.conn.Local()) }
func (t *transport) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(t.conn.Remote()) }

func (t *transport) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (t *transport) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (t *transport) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
