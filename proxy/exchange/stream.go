package exchange

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"weir/proxy/wire"
)

// stream is a connection as an exchange reads and writes it: plain, or TLS over the same kind of
// socket. One goroutine may read while another writes.
type stream struct {
	wire *wire.Conn
	tls  *tls.Conn // nil: plain
	side *tlsSide
}

// secure does the handshake of one side, tls.Client or tls.Server, within timeout (0: without
// bound).
func (s *stream) secure(of func(net.Conn, *tls.Config) *tls.Conn, c *tls.Config, timeout time.Duration) error {
	s.side = &tlsSide{conn: s.wire, readDue: wire.After(wire.Now(), timeout)}
	s.side.writeIdle.Store(int64(timeout))
	s.tls = of(s.side, c)
	return s.tls.Handshake()
}

// read receives at most len(p) bytes before due (0: without bound).
func (s *stream) read(p []byte, due int64) (int, error) {
	if s.tls == nil {
		return s.wire.Read(p, due)
	}
	s.side.readDue = due
	n, err := s.tls.Read(p)
	if n > 0 {
		s.side.records.read(n < len(p))
		return n, nil // an error that came with data comes again
	}
	if err == io.EOF && s.side.ended {
		return 0, io.ErrUnexpectedEOF // no alert said that this is the end (RFC 9112, section 9.8)
	}
	return 0, err
}

// turn begins a round of looks: from now on there may be more than the last one has left.
func (s *stream) turn() {
	if s.tls != nil {
		s.side.drained = false
	}
}

// look is read that does not wait: errSilent if nothing has come.
func (s *stream) look(p []byte) (int, error) {
	s.side.looking = true
	n, err := s.tls.Read(p)
	s.side.looking = false
	if n > 0 {
		s.side.records.read(n < len(p))
		return n, nil
	}
	if err == errSilent {
		s.side.records.asked()
	}
	return 0, err
}

// receive is wire.Recv for the callback of Serve: it does not wait. Under TLS it returns what one
// record holds, so only EAGAIN says that nothing is left. If that is known already crypto/tls is not
// asked, which costs an allocation.
func (s *stream) receive(fd uintptr, p []byte) (int, syscall.Errno) {
	if s.tls == nil {
		return wire.Recv(fd, p)
	}
	if s.side.drained && s.side.records.none() {
		return 0, syscall.EAGAIN
	}
	n, err := s.look(p)
	switch {
	case err == nil:
		return n, 0
	case err == errSilent:
		return 0, syscall.EAGAIN
	case err == io.EOF:
		return 0, 0
	}
	return 0, syscall.ECONNRESET
}

// write sends all of p; it fails when nothing could be sent for idle (0: without bound).
func (s *stream) write(p []byte, idle time.Duration) error {
	if s.tls == nil {
		return s.wire.Write(p, idle)
	}
	s.side.writeIdle.Store(int64(idle))
	_, err := s.tls.Write(p)
	if errors.Is(err, wire.ErrTimeout) {
		return wire.ErrTimeout // crypto/tls wraps it
	}
	return err
}

// lastRoom is what the records of a last write take besides what is written, with room to spare.
const lastRoom = 512

// writeLast is write of the last that will be sent, unless another write follows. Under TLS the alert that
// says so goes with it, if it is not large. Nobody may read meanwhile: a read may answer.
func (s *stream) writeLast(p []byte, idle time.Duration) error {
	if s.tls == nil || len(p) > wire.LargeSize-lastRoom {
		return s.write(p, idle)
	}
	b := wire.GetBuffer(len(p) + lastRoom)
	defer b.Put()
	s.side.held = b.B[:0]
	err := s.write(p, 0)
	if err == nil {
		err = s.tls.CloseWrite()
	}
	held := s.side.held
	s.side.held = nil
	if err != nil {
		return err
	}
	return s.wire.Write(held, idle)
}

// closeWrite says that nothing more will be sent.
func (s *stream) closeWrite() error {
	if s.tls != nil {
		if err := s.tls.CloseWrite(); err != nil {
			return err
		}
	}
	return s.wire.CloseWrite()
}

// close gives the connection up. Errors are of no consequence: nothing more was promised to the
// other side.
func (s *stream) close() {
	if s.tls != nil {
		s.side.writeIdle.Store(int64(time.Millisecond)) // the alert is a courtesy: one try
		_ = s.tls.Close()
		return
	}
	_ = s.wire.Close()
}

// tlsSide is the transport that crypto/tls sees. Deadlines are fields because they are lazy below.
type tlsSide struct {
	conn      *wire.Conn
	readDue   int64
	writeIdle atomic.Int64 // a duration; atomic because a read may answer, with a key update or an alert
	looking   bool         // reads do not wait: errSilent
	drained   bool         // the last look took all that there was; the next one need not ask again
	ended     bool         // the other side has closed the transport
	held      []byte       // writes are kept here; nil: they are sent
	records   records      // that crypto/tls has been given
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
	if s.looking {
		return s.look(p)
	}
	n, err := s.conn.Read(p, s.readDue)
	if err == io.EOF {
		s.ended = true
	}
	s.records.given(p[:n])
	return n, err
}

// look receives what is there.
func (s *tlsSide) look(p []byte) (int, error) {
	if s.drained {
		return 0, errSilent
	}
	n, e := s.conn.Receive(p)
	switch {
	case e == syscall.EAGAIN:
		return 0, errSilent
	case e != 0:
		return 0, os.NewSyscallError("recv", e)
	case n == 0:
		s.ended = true
		return 0, io.EOF
	}
	s.drained = n < len(p)
	s.records.given(p[:n])
	return n, nil
}

func (s *tlsSide) Write(p []byte) (int, error) {
	if s.held != nil {
		s.held = append(s.held, p...)
		return len(p), nil
	}
	if err := s.conn.Write(p, time.Duration(s.writeIdle.Load())); err != nil {
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
