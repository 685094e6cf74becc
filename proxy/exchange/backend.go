package exchange

import (
	"crypto/tls"
	"errors"
	"fmt"
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
	c.peer.stats.ConnectionClosed()
}

// handshake turns the connection into TLS within timeout (0: without bound).
func (c *backendConn) handshake(config *tls.Config, timeout time.Duration) error {
	if err := c.secure(tls.Client, config, timeout); err != nil {
		return fmt.Errorf("%w: %w", errTLS, err)
	}
	return nil
}
