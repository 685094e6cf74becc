package exchange

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"weir/proxy/wire"
)

// errDescriptors is returned instead of a connection that the process has no descriptor for. It
// wraps EMFILE, which is what the kernel would say a little later.
var errDescriptors = fmt.Errorf("no file descriptor is left: %w", syscall.EMFILE)

// errTLS marks a failed handshake with a backend.
var errTLS = errors.New("tls handshake")

// backendConn is a connection to a backend: plain, or TLS over the same kind of socket. It belongs
// to one exchange at a time, or to its peer while it is idle.
type backendConn struct {
	peer      *peer
	transport *transport
	wire      *wire.Conn
	tls       *tls.Conn // nil: plain
	side      *tlsSide
	usedAt    int64
	reused    bool
}

// exchange sends a request and receives the first bytes that come back. See wire.Conn.Exchange.
func (c *backendConn) exchange(request, p []byte, sendDue, due int64) (int, error) {
	if c.tls == nil {
		return c.wire.Exchange(request, p, sendDue, due)
	}
	idle := time.Duration(0)
	if sendDue != 0 {
		idle = time.Duration(max(sendDue-wire.Now(), 1))
	}
	if err := c.write(request, idle); err == wire.ErrTimeout {
		return 0, wire.ErrStalled
	} else if err != nil {
		return 0, err
	}
	return c.read(p, due)
}

// read receives at most len(p) bytes before due (0: without bound).
func (c *backendConn) read(p []byte, due int64) (int, error) {
	if c.tls == nil {
		return c.wire.Read(p, due)
	}
	c.side.readDue = due
	n, err := c.tls.Read(p)
	if n > 0 {
		return n, nil // an error that came with data comes again
	}
	if err == io.EOF && c.side.ended {
		return 0, io.ErrUnexpectedEOF // no alert said that this is the end (RFC 9112, section 9.8)
	}
	return 0, err
}

// write sends all of p; it fails when nothing could be sent for idle (0: without bound).
func (c *backendConn) write(p []byte, idle time.Duration) error {
	if c.tls == nil {
		return c.wire.Write(p, idle)
	}
	c.side.writeIdle = idle
	_, err := c.tls.Write(p)
	if errors.Is(err, wire.ErrTimeout) {
		return wire.ErrTimeout // crypto/tls wraps it
	}
	return err
}

// alive reports whether an idle connection is still usable: open, and silent. Under TLS there may be
// bytes that are no data (session tickets), and data that crypto/tls holds already, so it is asked.
func (c *backendConn) alive() bool {
	if c.tls == nil {
		return c.wire.Alive()
	}
	var b [1]byte
	c.side.looking, c.side.readDue = true, wire.Now()+int64(time.Second) // what is read is there
	n, err := c.tls.Read(b[:])
	c.side.looking = false
	return n == 0 && err == errSilent
}

// close gives the connection up. Errors are of no consequence: nothing more was promised to the
// other side.
func (c *backendConn) close() {
	if c.tls != nil {
		c.side.writeIdle = time.Millisecond // the alert is a courtesy: one try
		_ = c.tls.Close()
	} else {
		_ = c.wire.Close()
	}
	c.peer.pool.engine.Descriptors.Leave(1)
	c.peer.stats.ConnectionClosed()
}

// handshake turns the connection into TLS within timeout (0: without bound).
func (c *backendConn) handshake(config *tls.Config, timeout time.Duration) error {
	c.side = &tlsSide{conn: c.wire, readDue: wire.After(wire.Now(), timeout), writeIdle: timeout}
	c.tls = tls.Client(c.side, config)
	if err := c.tls.Handshake(); err != nil {
		return fmt.Errorf("%w: %w", errTLS, err)
	}
	return nil
}

// tlsSide is the transport that crypto/tls sees. Deadlines are fields because they are lazy below.
type tlsSide struct {
	conn      *wire.Conn
	readDue   int64
	writeIdle time.Duration
	looking   bool // reads do not wait: errSilent
	ended     bool // the other side has closed the transport
}

// errSilent is the error of a look at a connection on which nothing has come. It is temporary,
// because crypto/tls remembers other errors for good.
var errSilent error = silence{}

type silence struct{}

var _ net.Error = silence{}

func (silence) Error() string   { return "nothing has come" }
func (silence) Timeout() bool   { return true }
func (silence) Temporary() bool { return true }

var _ net.Conn = (*tlsSide)(nil)

func (s *tlsSide) Read(p []byte) (int, error) {
	if s.looking && s.conn.Alive() {
		return 0, errSilent
	}
	n, err := s.conn.Read(p, s.readDue)
	if err == io.EOF {
		s.ended = true
	}
	return n, err
}

func (s *tlsSide) Write(p []byte) (int, error) {
	if err := s.conn.Write(p, s.writeIdle); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (s *tlsSide) Close() error                { return s.conn.Close() }
func (s *tlsSide) LocalAddr() net.Addr         { return net.TCPAddrFromAddrPort(s.conn.Local()) }
func (s *tlsSide) RemoteAddr() net.Addr        { return net.TCPAddrFromAddrPort(s.conn.Remote()) }
func (s *tlsSide) SetDeadline(time.Time) error { return os.ErrNoDeadline }

func (s *tlsSide) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (s *tlsSide) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
