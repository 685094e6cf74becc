package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"
)

// receiveBuffer is the size of a connection's buffer; longer responses are always parsed.
const receiveBuffer = 16 << 10

// maxBody bounds the body of a response: fasthttp allocates what a Content-Length announces before
// the first byte of it has come. A longer one is a failure of kind "response".
const maxBody = 64 << 20

// rearm is how stale a connection's deadline may get before it is moved: moving it for every
// exchange would cost more than it protects.
const rearm = time.Second

var errTrailing = errors.New("bytes after the end of the response")

// reply is what an exchange brought.
type reply struct {
	status int
	size   int // bytes received, head included
}

// conn is one keep-alive connection, dialled anew whenever the server has closed it. One goroutine
// uses it; stop may be called by any.
type conn struct {
	addr    string
	request []byte
	timeout time.Duration
	check   func(status int, body []byte) error
	noBody  bool // responses have none: HEAD

	raw    syscall.RawConn
	ready  func(fd uintptr) bool // the method value of step, made once
	served uint64                // exchanges on this socket
	armed  time.Time             // when the deadline was last moved

	// State of the exchange under way.
	sent    bool // the attempt to send was made
	written int  // bytes of the request that the socket took
	verdict verdict
	err     error
	buf     []byte
	got     int // bytes received; while in step, those in buf

	// The last response that was parsed and passed the check: the same bytes need neither again.
	known       []byte
	knownStatus int

	reader *bufio.Reader
	tee    tee
	resp   fasthttp.Response

	mu      sync.Mutex
	tcp     *net.TCPConn // nil: not connected
	stopped bool
}

// verdict says how an exchange goes on after the part inside RawConn.Read.
type verdict uint8

const (
	same    verdict = iota // the bytes are those of the known response
	parse                  // they are not: parse them, receiving more if need be
	blocked                // the socket did not take the whole request: written says how much it did
	broken                 // the socket failed: err says how
)

func newConn(addr string, request []byte, o LoadOptions) *conn {
	c := &conn{
		addr:    addr,
		request: request,
		timeout: o.Timeout,
		check:   o.Check,
		noBody:  o.Method == fasthttp.MethodHead,
		buf:     make([]byte, receiveBuffer),
		reader:  bufio.NewReaderSize(nil, receiveBuffer),
	}
	c.ready = c.step
	c.resp.SkipBody = c.noBody
	return c
}

// connect dials, unless the connection is open already.
func (c *conn) connect(ctx context.Context) error {
	if c.raw != nil {
		return nil
	}
	d := net.Dialer{Timeout: c.timeout}
	nc, err := d.DialContext(ctx, "tcp", c.addr)
	if err != nil {
		return &failure{FailedConnect, err}
	}
	tcp := nc.(*net.TCPConn)
	raw, err := tcp.SyscallConn()
	if err != nil {
		return &failure{FailedConnect, errors.Join(err, tcp.Close())}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return &failure{FailedConnect, errors.Join(context.Canceled, tcp.Close())}
	}
	c.raw, c.tcp, c.served, c.armed = raw, tcp, 0, time.Time{}
	c.known = c.known[:0]
	return nil
}

// close ends the connection; the next exchange dials. Errors of closing a socket that is given up
// tell nothing.
func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tcp != nil {
		_ = c.tcp.Close()
	}
	c.tcp, c.raw = nil, nil
}

// stop makes the exchange under way, and any later one, fail at once.
func (c *conn) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	if c.tcp != nil {
		// Fails only on a closed socket, which stops just as well.
		_ = c.tcp.SetDeadline(time.Unix(1, 0))
	}
}

// exchange sends the request and receives its response. A connection that the server closed while
// it was idle is replaced once; resent reports that. After an error the connection is closed.
func (c *conn) exchange(ctx context.Context, now time.Time) (rep reply, resent bool, err error) {
	if err := c.connect(ctx); err != nil {
		return reply{}, false, err
	}
	reused := c.served > 0
	rep, err = c.attempt(now)
	if err == nil {
		return rep, false, nil
	}
	c.close()
	var f *failure
	if !reused || c.got > 0 || !errors.As(err, &f) || f.kind != FailedClosed {
		return reply{}, false, err
	}
	if err := c.connect(ctx); err != nil {
		return reply{}, true, err
	}
	if rep, err = c.attempt(now); err != nil {
		c.close()
	}
	return rep, true, err
}

// attempt does one exchange on the open connection.
func (c *conn) attempt(now time.Time) (reply, error) {
	if err := c.arm(now); err != nil {
		return reply{}, classify(err)
	}
	c.sent, c.written, c.got, c.err = false, 0, 0, nil
	if err := c.raw.Read(c.ready); err != nil {
		return reply{}, classify(err)
	}
	switch c.verdict {
	case same:
		c.served++
		return reply{c.knownStatus, c.got}, nil
	case broken:
		return reply{}, classify(c.err)
	case blocked:
		if _, err := c.tcp.Write(c.request[c.written:]); err != nil {
			return reply{}, classify(err)
		}
	}
	return c.parse(c.tcp)
}

// arm moves the deadline when it has become stale.
func (c *conn) arm(now time.Time) error {
	if now.Sub(c.armed) < rearm {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return os.ErrDeadlineExceeded
	}
	c.armed = now
	return c.tcp.SetDeadline(now.Add(c.timeout + rearm))
}

// step runs inside RawConn.Read. It sends and reports false, so that the poller waits for the first
// bytes without an attempt that would find none: sending before Read would lose an edge that comes
// in between. Once something was received it receives until EAGAIN: bytes and the end of the stream
// may have come with one edge, and there is no second.
func (c *conn) step(fd uintptr) bool {
	if !c.sent {
		c.sent = true
		return !c.send(int(fd))
	}
	for {
		n, err := unix.Read(int(fd), c.buf[c.got:])
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return false
		case err != nil:
			c.verdict, c.err = broken, err
			return true
		case n == 0:
			c.verdict, c.err = broken, io.ErrUnexpectedEOF
			return true
		}
		c.got += n
		switch {
		case bytes.Equal(c.buf[:c.got], c.known):
			c.verdict = same
			return true
		case !bytes.HasPrefix(c.known, c.buf[:c.got]):
			c.verdict = parse
			return true
		}
	}
}

// send writes the request; false: not all of it, and the verdict says why.
func (c *conn) send(fd int) bool {
	for {
		n, err := unix.Write(fd, c.request)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			n = 0
		case err != nil:
			c.verdict, c.err = broken, err
			return false
		}
		c.verdict, c.written = blocked, n
		return n == len(c.request)
	}
}

// parse reads the response from what has been received and then from rest, the socket.
func (c *conn) parse(rest io.Reader) (reply, error) {
	c.tee.reset(c.buf[:c.got], rest)
	c.reader.Reset(&c.tee)
	err := c.resp.ReadLimitBody(c.reader, maxBody)
	c.got = c.tee.size
	if err == nil && c.reader.Buffered() > 0 {
		err = errTrailing
	}
	if err != nil {
		f := classify(err)
		if c.tee.ended && !errors.Is(err, errTrailing) {
			f.kind = FailedClosed
		}
		return reply{}, f
	}
	status := c.resp.StatusCode()
	if c.check != nil {
		if err := c.check(status, c.resp.Body()); err != nil {
			return reply{}, &failure{FailedCheck, err}
		}
	}
	c.served++
	c.known = c.known[:0]
	if c.resp.ConnectionClose() || c.tee.ended {
		c.close()
	} else if !c.tee.truncated {
		c.known, c.knownStatus = append(c.known, c.tee.seen...), status
	}
	return reply{status, c.got}, nil
}
