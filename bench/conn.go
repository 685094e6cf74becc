package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"
)

// receiveBuffer is the size of a connection's buffer; longer responses are always parsed.
const receiveBuffer = 16 << 10

// maxBody bounds the body of a response: fasthttp allocates what a Content-Length announces before
// the first byte of it has come. A longer one is a failure of kind "response".
const maxBody = 64 << 20

// reply is what an exchange brought.
type reply struct {
	status int
	size   int // bytes received, head included
}

// conn is one HTTP connection, dialled anew whenever the server has closed it.
type conn struct {
	*link
	request []byte
	check   func(status int, body []byte) error
	noBody  bool // responses have none: HEAD
	fresh   bool // each connection serves one request, and the server closes it

	ready func(fd uintptr) bool // the method value of step, made once

	// State of the exchange under way.
	sent    bool // the attempt to send was made
	written int  // bytes of the request that the socket took
	verdict verdict
	err     error
	buf     []byte
	got     int // bytes received; while in step, those in buf

	// The last response that was parsed and passed the check: the same bytes need neither again,
	// on this connection, or on any if each has one exchange.
	known       []byte
	knownStatus int

	reader *bufio.Reader
	tee    tee
	resp   fasthttp.Response
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
		link:    newLink("tcp", addr, o),
		request: request,
		check:   o.Check,
		noBody:  o.Method == fasthttp.MethodHead,
		fresh:   o.Fresh,
		buf:     make([]byte, receiveBuffer),
		reader:  bufio.NewReaderSize(nil, receiveBuffer),
	}
	c.ready = c.step
	c.resp.SkipBody = c.noBody
	return c
}

func (c *conn) connect(ctx context.Context) error {
	fresh, err := c.link.connect(ctx)
	if fresh && !c.fresh {
		c.known = c.known[:0]
	}
	return err
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
	if c.secure != nil {
		c.overTLS()
	} else if err := c.raw.Read(c.ready); err != nil {
		return reply{}, classify(err)
	}
	switch c.verdict {
	case same:
		return reply{c.knownStatus, c.got}, c.done()
	case broken:
		return reply{}, classify(c.err)
	case blocked:
		if _, err := c.stream.Write(c.request[c.written:]); err != nil {
			return reply{}, classify(err)
		}
	}
	return c.parse(c.stream)
}

// done counts a response that was used; a connection that serves one ends with it.
func (c *conn) done() error {
	c.served++
	if !c.fresh {
		return nil
	}
	err := c.awaitEnd()
	c.close()
	return err
}

// overTLS sends the request and receives until the verdict is known.
func (c *conn) overTLS() {
	if _, c.err = c.stream.Write(c.request); c.err != nil {
		c.verdict = broken
		return
	}
	for {
		n, err := c.stream.Read(c.buf[c.got:])
		c.got += n
		if n > 0 && c.decided() {
			return
		}
		if err != nil {
			c.verdict, c.err = broken, err
			return
		}
	}
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
		if c.decided() {
			return true
		}
	}
}

// decided gives the verdict about what has been received; false: it may become the known response.
func (c *conn) decided() bool {
	switch {
	case bytes.Equal(c.buf[:c.got], c.known):
		c.verdict = same
		return true
	case !bytes.HasPrefix(c.known, c.buf[:c.got]):
		c.verdict = parse
		return true
	}
	return false
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
	ends := c.resp.ConnectionClose() || c.tee.ended
	c.known = c.known[:0]
	if !c.tee.truncated && (c.fresh && !c.tee.ended || !ends) {
		c.known, c.knownStatus = append(c.known, c.tee.seen...), status
	}
	if c.fresh && !c.tee.ended {
		return reply{status, c.got}, c.done()
	}
	c.served++
	if ends {
		c.close()
	}
	return reply{status, c.got}, nil
}
