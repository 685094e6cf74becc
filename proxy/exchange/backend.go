package exchange

import (
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"weir/proxy/wire"
)

// errDescriptors is returned instead of a connection that the process has no descriptor for. It
// wraps EMFILE, which is what the kernel would say a little later.
var errDescriptors = fmt.Errorf("no file descriptor is left: %w", syscall.EMFILE)

// errTLS marks a failed handshake with a backend.
var errTLS = errors.New("tls handshake")

// backendConn is a connection to a backend. It belongs to one exchange at a time, or to its peer
// while it is idle.
type backendConn struct {
	stream
	peer      *peer
	transport *transport
	usedAt    int64
	reused    bool
	cut       atomic.Bool // it was ended from outside: the backend has drained
}

// fate is err, or errCut if that is why it came about.
func (c *backendConn) fate(err error) error {
	if err != nil && c.cut.Load() {
		return errCut
	}
	return err
}

// read is that of stream. The end of a connection that was cut is not that of what was read.
func (c *backendConn) read(p []byte, due int64) (int, error) {
	n, err := c.stream.read(p, due)
	return n, c.fate(err)
}

// exchange sends a request and receives the first bytes that come back. See wire.Conn.Exchange.
func (c *backendConn) exchange(request, p []byte, sendDue, due int64) (int, error) {
	if c.tls == nil {
		n, err := c.wire.Exchange(request, p, sendDue, due)
		return n, c.fate(err)
	}
	idle := time.Duration(0)
	if sendDue != 0 {
		idle = time.Duration(max(sendDue-wire.Now(), 1))
	}
	if err := c.write(request, idle); err == wire.ErrTimeout {
		return 0, wire.ErrStalled
	} else if err != nil {
		return 0, c.fate(err)
	}
	return c.read(p, due)
}

// alive reports whether an idle connection is still usable: open, and silent. Under TLS there may be
// bytes that are no data (session tickets), and data that crypto/tls holds already, so it is asked
// unless it is known to hold none and the socket is silent.
func (c *backendConn) alive() bool {
	if c.tls == nil {
		return c.wire.Alive()
	}
	if c.side.records.none() && c.wire.Alive() {
		return true
	}
	var b [1]byte
	c.turn()
	_, err := c.look(b[:])
	return err == errSilent
}

// close gives the connection up.
func (c *backendConn) close() {
	c.stream.close()
	c.peer.pool.engine.Descriptors.Leave(1)
	c.peer.closed(c)
}

// handshake turns the connection into TLS within timeout (0: without bound).
func (c *backendConn) handshake(config *tls.Config, timeout time.Duration) error {
	if err := c.secure(tls.Client, config, timeout); err != nil {
		return fmt.Errorf("%w: %w", errTLS, err)
	}
	return nil
}
