package wire

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrTimeout is returned when a deadline has passed.
var ErrTimeout = os.ErrDeadlineExceeded

// ErrInterrupted is returned to a reader that Interrupt has woken.
// It is temporary, so that crypto/tls above goes on after it.
var ErrInterrupted error = interruption{}

type interruption struct{}

var _ net.Error = interruption{}

func (interruption) Error() string   { return "interrupted" }
func (interruption) Timeout() bool   { return true }
func (interruption) Temporary() bool { return true }

// ErrStalled is returned when the peer has not taken a request in time.
var ErrStalled = errors.New("the peer does not take what is sent")

// ErrClosed is returned for a Conn that its owner has closed.
var ErrClosed = os.ErrClosed

// Conn is a TCP connection. See the package documentation for who may call what.
type Conn struct {
	poll   poll
	fd     uintptr        // for the owner, who needs no lock: nobody else closes
	local  netip.AddrPort // zero until it is asked for
	remote netip.AddrPort

	readArmed  int64 // when the read deadline fires, on Now's clock; 0: there is none
	writeArmed int64

	// The operations in progress; nil until there is one that waits. Each direction has its own, so that
	// one goroutine may read while another writes.
	reads  *reading
	writes *writing

	interrupted atomic.Bool
}

// reading is a Read, or an Exchange.
type reading struct {
	in      []byte
	n       int
	err     error
	request []byte // what Exchange has still to send

	onExchange, onRecv func(fd uintptr) bool
}

// writing is a Write that waits for room.
type writing struct {
	out    []byte
	err    error
	onSend func(fd uintptr) bool
}

// closedFD stands for the descriptor of a Conn that is closed, so that a send of an owner that goes
// on fails, and does not reach whoever has the number next.
const closedFD = ^uintptr(0)

// newConn takes over fd, which must be a non-blocking socket.
func newConn(fd int, remote netip.AddrPort) *Conn {
	return &Conn{poll: poll{sock: int32(fd)}, fd: uintptr(fd), remote: remote}
}

// waited turns the error of a wait, or of setting its deadline, into one of this package: besides
// the deadline, only the end of the descriptor is in the way of either.
func waited(err error) error {
	if err == nil || err == ErrTimeout {
		return err
	}
	return ErrClosed
}

// Remote is the address of the peer.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// Local is the address of this side: for an accepted connection, the one that the client used. It
// costs a system call the first time, and is the zero value if the socket is gone.
func (c *Conn) Local() netip.AddrPort {
	if !c.local.IsValid() {
		_ = c.poll.control(func(fd uintptr) {
			c.local, _ = sockname(fd)
		})
	}
	return c.local
}

// Destination is Local for others than the owner: any goroutine may call it, at any time.
func (c *Conn) Destination() (local netip.AddrPort) {
	_ = c.poll.control(func(fd uintptr) { local, _ = sockname(fd) })
	return local
}

// Serve calls f at once and then at every readiness, until f returns true or waiting fails:
// ErrTimeout when the armed deadline has passed, also before the first call; ErrClosed when the Conn
// is closed. A Conn that has not waited yet may have f called twice at once.
func (c *Conn) Serve(f func(fd uintptr) bool) error {
	if c.poll.entered {
		return waited(c.poll.raw.Read(f))
	}
	if c.fd == closedFD {
		return ErrClosed
	}
	if c.readArmed != 0 && Now() >= c.readArmed {
		return ErrTimeout
	}
	if f(c.fd) {
		return nil
	}
	return c.enter(f)
}

// enter is the first wait of the reader.
func (c *Conn) enter(f func(fd uintptr) bool) error {
	if err := c.toPoller(); err != nil {
		return err
	}
	// Looked at after the deadline was set: whoever interrupts from here on sets another one after ours.
	if c.interrupted.Load() {
		return ErrTimeout
	}
	return waited(c.poll.raw.Read(f))
}

// toPoller puts a Conn on the poller for its reader: what has been set before acts from now on. Whoever is
// sure to wait calls it first, and spares the receive that Serve begins with.
func (c *Conn) toPoller() error {
	if c.poll.entered {
		return nil
	}
	if err := c.poll.register(); err != nil {
		return err
	}
	c.poll.entered = true
	return c.Rearm(c.readArmed)
}

// Arm makes the read deadline fire at due, or keeps one that fires earlier: whoever waits handles
// ErrTimeout by looking at the clock and arming again. 0 keeps what there is.
func (c *Conn) Arm(due int64) error {
	if due == 0 || (c.readArmed != 0 && c.readArmed <= due) {
		return nil
	}
	return c.Rearm(due)
}

// Rearm replaces the read deadline; 0 removes it. A deadline that has fired must be replaced before
// the next wait.
func (c *Conn) Rearm(due int64) error {
	c.readArmed = due
	switch {
	case c.fd == closedFD:
		return ErrClosed
	case !c.poll.entered:
		return nil
	case due == 0:
		return waited(c.poll.file.SetReadDeadline(time.Time{}))
	}
	return waited(c.poll.file.SetReadDeadline(Time(due)))
}

// Exchange sends request, waits for the peer and then receives once into p. It returns how many
// bytes were received; io.EOF if the peer closed without sending any; ErrTimeout when nothing has
// come by due, and then Read continues the wait. A request that the socket does not take at once may
// be sent until sendDue, and then the error is ErrStalled. Both are on Now's clock; 0: no bound.
func (c *Conn) Exchange(request, p []byte, sendDue, due int64) (int, error) {
	r := c.reader()
	r.request, r.in, r.n, r.err = request, p, 0, nil
	if err := c.await(r.onExchange, due); err != nil {
		return 0, err
	}
	if rest := r.request; len(rest) > 0 && r.err == nil {
		r.request = nil
		if err := c.writeBy(rest, sendDue); err == ErrTimeout {
			return 0, ErrStalled
		} else if err != nil {
			return 0, err
		}
		return c.Read(p, due)
	}
	return r.n, r.err
}

// Read receives at most len(p) bytes, waiting until due (0: without bound) for the first.
func (c *Conn) Read(p []byte, due int64) (int, error) {
	r := c.reader()
	r.in, r.n, r.err = p, 0, nil
	if err := c.await(r.onRecv, due); err != nil {
		return 0, err
	}
	return r.n, r.err
}

func (c *Conn) reader() *reading {
	if c.reads == nil {
		r := &reading{}
		r.onExchange, r.onRecv = r.stepExchange, r.stepRecv
		c.reads = r
	}
	return c.reads
}

// await runs f until it returns true, and ends with ErrTimeout at due. A deadline that was armed
// for an earlier moment fires first; f is then called once more.
//
// f is called at due too, before giving up. It finds an end of the stream whose edge was lost; and
// after a stall of this process the deadline is over before f could run at all, so that a request
// would be awaited that was never sent, or a response be missed that is there.
func (c *Conn) await(f func(fd uintptr) bool, due int64) error {
	err := c.Arm(due)
	for err == nil {
		// Looked at after the deadline was set: an interruption that is not seen here sets its own
		// deadline after ours.
		if c.interrupted.Load() {
			return ErrInterrupted
		}
		if err = c.Serve(f); err != ErrTimeout {
			return err
		}
		if due != 0 && Now() >= due && !c.interrupted.Load() {
			if err = c.Rearm(0); err == nil && !f(c.fd) {
				return ErrTimeout
			}
			return err
		}
		err = c.Rearm(due)
	}
	return err
}

// Interrupt wakes the reader, now and in future, with ErrInterrupted until Resume. It is for the
// goroutine that shares the Conn with the reader.
func (c *Conn) Interrupt() {
	c.interrupted.Store(true)
	if c.poll.registered.Load() {
		// An error means that the Conn is closed, which wakes the reader too.
		_ = c.poll.file.SetReadDeadline(time.Unix(1, 0))
	} // else the reader sees it before it waits
}

// Resume ends an interruption. The reader must have returned.
func (c *Conn) Resume() error {
	c.interrupted.Store(false)
	return c.Rearm(0)
}

// stepExchange sends first and receives when it is called again, after the wait. A request that
// the socket does not take whole ends the wait-first exchange.
func (r *reading) stepExchange(fd uintptr) bool {
	if len(r.request) > 0 {
		n, e := Send(fd, r.request)
		r.request = r.request[n:]
		if e != 0 && e != syscall.EAGAIN {
			r.err = os.NewSyscallError("send", e)
			return true
		}
		return len(r.request) > 0
	}
	return r.stepRecv(fd)
}

func (r *reading) stepRecv(fd uintptr) bool {
	n, e := Recv(fd, r.in)
	switch {
	case e == syscall.EAGAIN:
		return false
	case e != 0:
		r.err = os.NewSyscallError("recv", e)
	case n == 0:
		r.err = io.EOF
	}
	r.n = n
	return true
}

// Write sends all of p. It fails with ErrTimeout when the peer has taken nothing for idle (0:
// without bound).
func (c *Conn) Write(p []byte, idle time.Duration) error {
	n, e := Send(c.fd, p)
	switch e {
	case 0, syscall.EAGAIN:
	case syscall.EBADF:
		return ErrClosed
	default:
		return os.NewSyscallError("send", e)
	}
	for p = p[n:]; len(p) > 0; p = p[n:] {
		var err error
		if n, err = c.writeSome(p, After(Now(), idle)); err != nil {
			return err
		}
	}
	return nil
}

// writeBy sends all of p before due.
func (c *Conn) writeBy(p []byte, due int64) error {
	for len(p) > 0 {
		n, err := c.writeSome(p, due)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// writeSome sends at least one byte of p, waiting for room until due.
func (c *Conn) writeSome(p []byte, due int64) (int, error) {
	w := c.writes
	if w == nil {
		w = &writing{}
		w.onSend = w.step
		c.writes = w
	}
	w.out, w.err = p, nil
	if err := c.awaitRoom(w.onSend, due); err != nil {
		return 0, err
	}
	return len(p) - len(w.out), w.err
}

// awaitRoom calls f at once and whenever there is room to send, until it returns true, and ends with
// ErrTimeout at due (0: never).
func (c *Conn) awaitRoom(f func(fd uintptr) bool, due int64) error {
	if err := c.poll.register(); err != nil {
		return err
	}
	for {
		if due != 0 && (c.writeArmed == 0 || c.writeArmed > due) {
			c.writeArmed = due
			if err := c.poll.file.SetWriteDeadline(Time(due)); err != nil {
				return ErrClosed
			}
		}
		err := waited(c.poll.raw.Write(f))
		if err != ErrTimeout {
			return err
		}
		c.writeArmed = 0
		if due == 0 || Now() >= due {
			if err := c.poll.file.SetWriteDeadline(time.Time{}); err != nil {
				return ErrClosed
			}
			if due != 0 {
				return ErrTimeout
			}
		}
	}
}

func (w *writing) step(fd uintptr) bool {
	n, e := Send(fd, w.out)
	if e == syscall.EAGAIN {
		return false
	}
	if e != 0 {
		w.err = os.NewSyscallError("send", e)
	}
	w.out = w.out[n:]
	return true
}

// Receive is Recv for the owner: it does not wait.
func (c *Conn) Receive(p []byte) (int, syscall.Errno) { return Recv(c.fd, p) }

// Alive reports whether an idle connection is still usable: open, and silent. It costs a system
// call, and is the owner's to ask.
func (c *Conn) Alive() bool {
	return c.fd != closedFD && silent(c.fd)
}

// Shutdown ends both directions at once, so that whoever waits on the Conn is woken with an error
// or the end of the stream. Anybody may call it at any time; it does not close.
func (c *Conn) Shutdown() {
	_ = c.poll.control(func(fd uintptr) { _ = shutdown(fd, unix.SHUT_RDWR) })
}

// CloseWrite sends a FIN after what has been written.
func (c *Conn) CloseWrite() error {
	var err error
	if cerr := c.poll.control(func(fd uintptr) { err = shutdown(fd, unix.SHUT_WR) }); cerr != nil {
		return cerr
	}
	return err
}

// Close closes the socket. The owner calls it, once, and not from within Serve.
func (c *Conn) Close() error {
	c.fd = closedFD
	return c.poll.close()
}

// Abort closes with a reset instead of a FIN, so that the peer cannot take what it has received
// for the whole.
func (c *Conn) Abort() error {
	if c.fd != closedFD {
		_ = resetOnClose(c.fd)
	}
	return c.Close()
}

// Linger closes after the peer had the chance to read what was written: closing with unread bytes
// in the receive queue would send a reset, and that may overtake the last response (RFC 9112,
// section 9.6). It reads at most limit bytes, for at most d, which must not be 0.
func (c *Conn) Linger(limit int, d time.Duration) error {
	if err := c.CloseWrite(); err != nil {
		return errors.Join(err, c.Close())
	}
	b := GetBuffer(SmallSize)
	defer b.Put()
	due := After(Now(), d)
	if err := c.Rearm(due); err != nil {
		return errors.Join(err, c.Close())
	}
	for limit > 0 {
		n, err := c.Read(b.B, due)
		if err != nil {
			break // the end of the stream, a reset or the time-out: all of them end the linger
		}
		limit -= n
	}
	return c.Close()
}
