package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// rearm is how stale a connection's deadline may get before it is moved: moving it for every
// exchange would cost more than it protects.
const rearm = time.Second

var (
	errTrailing   = errors.New("bytes after the end of the response")
	errNotResumed = errors.New("the TLS session was not resumed")
)

// link is the socket of a connection, dialled anew whenever it was closed, with TLS over it if there
// is a configuration. One goroutine uses it; stop may be called by any.
type link struct {
	network string // tcp or udp
	addr    string
	timeout time.Duration
	secure  *tls.Config // nil: plain
	resume  bool        // every handshake but the first must resume
	judge   func(tls.ConnectionState) error

	raw    syscall.RawConn // of socket; nil: not connected
	stream net.Conn        // socket, or TLS over it
	served uint64          // exchanges on this socket
	armed  time.Time       // when the deadline was last moved
	shook  bool            // a handshake was made

	mu      sync.Mutex
	socket  net.Conn // nil: not connected
	stopped bool
}

func newLink(network, addr string, o LoadOptions) *link {
	l := &link{network: network, addr: addr, timeout: o.Timeout, resume: o.Resume, judge: o.CheckTLS}
	if o.TLS != nil {
		l.secure = o.TLS.Clone()
		l.secure.ClientSessionCache = nil
		if o.Resume {
			l.secure.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		}
	}
	return l
}

// connect dials and makes the handshake, unless the connection is open already; fresh reports that
// it did.
func (l *link) connect(ctx context.Context) (fresh bool, err error) {
	if l.raw != nil {
		return false, nil
	}
	// Keep-alive probes would cost four system calls a connection and protect nothing here.
	d := net.Dialer{Timeout: l.timeout, KeepAlive: -1}
	socket, err := d.DialContext(ctx, l.network, l.addr)
	if err != nil {
		return false, &failure{FailedConnect, err}
	}
	raw, err := socket.(syscall.Conn).SyscallConn()
	if err != nil {
		return false, &failure{FailedConnect, errors.Join(err, socket.Close())}
	}
	if err := l.adopt(socket); err != nil {
		return false, &failure{FailedConnect, errors.Join(err, socket.Close())}
	}
	l.raw, l.stream, l.served, l.armed = raw, socket, 0, time.Time{}
	if l.secure == nil {
		return true, nil
	}
	if err := l.handshake(); err != nil {
		l.close()
		return false, err
	}
	return true, nil
}

// adopt makes the socket known to stop.
func (l *link) adopt(socket net.Conn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return context.Canceled
	}
	l.socket = socket
	return nil
}

// handshake puts TLS over the socket.
func (l *link) handshake() error {
	if err := l.arm(time.Now()); err != nil {
		return &failure{FailedConnect, err}
	}
	c := tls.Client(l.stream, l.secure)
	if err := c.Handshake(); err != nil {
		return &failure{FailedConnect, err}
	}
	state := c.ConnectionState()
	if l.resume && l.shook && !state.DidResume {
		return &failure{FailedCheck, errNotResumed}
	}
	if l.judge != nil {
		if err := l.judge(state); err != nil {
			return &failure{FailedCheck, err}
		}
	}
	l.stream, l.shook = c, true
	return nil
}

// arm moves the deadline when it has become stale.
func (l *link) arm(now time.Time) error {
	if now.Sub(l.armed) < rearm {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return os.ErrDeadlineExceeded
	}
	l.armed = now
	return l.socket.SetDeadline(now.Add(l.timeout + rearm))
}

// awaitEnd receives the end of the stream, before which nothing may come. Closing before the other
// side has would leave the waiting state of the connection, and so its port, to this side.
func (l *link) awaitEnd() error {
	var one [1]byte
	n, err := l.stream.Read(one[:])
	if n > 0 {
		return &failure{FailedResponse, errTrailing}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return classify(err)
}

// close ends the connection; the next exchange dials. Errors of closing a socket that is given up
// tell nothing.
func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.socket != nil {
		_ = l.socket.Close()
	}
	l.socket, l.stream, l.raw = nil, nil, nil
}

// stop makes the exchange under way, and any later one, fail at once.
func (l *link) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	if l.socket != nil {
		// Fails only on a closed socket, which stops just as well.
		_ = l.socket.SetDeadline(time.Unix(1, 0))
	}
}
