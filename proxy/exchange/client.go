package exchange

import (
	"crypto/tls"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"weir/proxy/admit"
	"weir/proxy/http1"
	"weir/proxy/message"
	"weir/proxy/wire"
	"weir/telemetry"
)

const (
	// idleLook is how long after the last response, at most, an idle connection is received from once
	// more: a FIN that came with the last request has no edge of its own.
	idleLook = time.Second

	lingerBytes = 256 << 10
	lingerTime  = 2 * time.Second
)

// The states of a client connection, as those who drain see it. It is busy from the start: whoever
// has just connected has a request under way.
const (
	stateBusy uint32 = iota
	stateIdle
	stateClosing
)

// verdict is why the callback of a client's socket gave up its turn.
type verdict uint8

const (
	verdictNone    verdict = iota
	verdictPartial         // a head is incomplete: from now on there is a time-out for it
	verdictBody            // the request at hand has a body that is still to come
	verdictTunnel          // the protocol has changed: bytes both ways from now on
	verdictClose           // nothing more will be served
)

// ending is how a connection is closed.
type ending uint8

const (
	endClose  ending = iota
	endLinger        // the client may still be sending: let it read the response first
	endAbort         // a response was cut off, and only a reset shows that
)

// client is one client connection. It belongs to the goroutine that runs it, but for the fields
// that are atomic.
type client struct {
	set      *Clients
	entrance atomic.Pointer[Entrance]
	conn     *wire.Conn
	stream   stream // over conn
	stats    *telemetry.Listener

	secured     *tls.Config        // under which the connection was made; nil: plain
	counted     *admit.Connections // where the connection of this client is counted
	forwarded   []byte             // field lines that are the same for all its requests
	forwardedBy *forwarding        // that forwarded follows; nil until it is needed
	certFields  []byte             // field lines about the certificate of the client

	shard telemetry.Shard
	src   netip.AddrPort // the client, also behind a proxy that says so in a PROXY header
	dst   netip.AddrPort // what it connected to, if a proxy says so; else see local

	proxied bool    // a PROXY header comes first
	keptBy  []*peer // with a connection for this client alone, the one used last at the end

	state  atomic.Uint32
	gone   atomic.Bool               // the client left, or the process stops: whatever waits is over
	active atomic.Pointer[wire.Conn] // to a backend, in use by the exchange

	work      *work // nil while idle
	verdict   verdict
	ending    ending
	closing   bool
	parting   bool // the last response has said that the connection ends
	served    int
	idleSince int64
	headSince int64 // when the incomplete head began; 0: there is none

	onReadable func(fd uintptr) bool
	onGone     func()
}

// work is the memory of a connection that is not idle.
type work struct {
	in         *wire.Buffer // from the client: [start, end) is unread
	start, end int
	seen       int          // bytes of an incomplete head that have been looked at
	back       *wire.Buffer // from the backend
	out        []byte
	target     []byte // as a route has changed it
	cookies    []byte // Cookie lines that are written afresh
	requestID  []byte // of the request at hand; empty: it has none
	req, res   message.Head
	x          exchange
}

var works = sync.Pool{New: func() any {
	return &work{
		in: wire.GetBuffer(wire.SmallSize), back: wire.GetBuffer(wire.SmallSize), out: make([]byte, 0, 4<<10),
	}
}}

func newClient(s *Clients, conn *wire.Conn, stats *telemetry.Listener, shard telemetry.Shard) *client {
	c := &client{set: s, conn: conn, stream: stream{wire: conn}, stats: stats, shard: shard, src: conn.Remote(), idleSince: wire.Now()}
	c.onReadable, c.onGone = c.readable, c.leave
	stats.ConnectionOpened(shard)
	return c
}

// run serves the connection to its end.
func (c *client) run() {
	defer c.set.forget(c)
	defer c.finish()
	defer c.recovered()
	site := c.set.site.Load()
	if c.proxied && !c.introduce(site) {
		return
	}
	if c.secured != nil {
		if !c.handshake(site) {
			return
		}
		c.idleSince = wire.Now()
	}
	if c.conn.Rearm(c.nextTick(c.idleSince)) != nil {
		return
	}
	for {
		c.verdict = verdictNone
		if !c.follow(c.conn.Serve(c.onReadable)) {
			return
		}
	}
}

// follow does what cannot be done within a wait: err and the verdict say what ended it. It returns
// false if the connection is over.
func (c *client) follow(err error) bool {
	if err != nil {
		return err == wire.ErrTimeout && c.tick(wire.Now())
	}
	streamed := false
	for c.verdict == verdictBody {
		c.serveStreaming()
		if c.closing {
			return false
		}
		c.verdict, streamed = verdictNone, true
		c.process()
	}
	switch c.verdict {
	case verdictClose:
		return false
	case verdictTunnel:
		c.serveTunnel()
		return false
	case verdictPartial:
		return c.conn.Rearm(wire.After(c.headSince, c.set.site.Load().timeouts.Header)) == nil
	}
	// After a body the deadline was the body's: it is gone, or has passed.
	return !streamed || c.conn.Rearm(c.nextTick(wire.Now())) == nil
}

// recovered ends this connection, and only this one, on a defect of ours.
func (c *client) recovered() {
	if r := recover(); r != nil {
		c.panicked(r)
		c.abandon()
		c.ending = endAbort
	}
}

func (c *client) panicked(r any) {
	c.set.engine.Telemetry.Panic()
	c.set.engine.Log.Error("panic while serving a connection; it was closed",
		zap.Any("panic", r), zap.Stringer("client", c.src), zap.ByteString("stack", debug.Stack()))
}

// finish closes the socket and returns the memory.
func (c *client) finish() {
	c.letGo()
	if c.ending == endClose && c.unserved() {
		c.ending = endLinger
	}
	switch c.ending {
	case endLinger:
		if c.stream.tls != nil {
			c.stream.side.writeIdle.Store(int64(time.Millisecond))
			_ = c.stream.tls.CloseWrite() // the lingering shows whether the client got it
		}
		_ = c.conn.Linger(lingerBytes, lingerTime)
	case endAbort:
		_ = c.conn.Abort()
	default:
		c.stream.close()
	}
	if c.work != nil {
		c.putWork()
	}
	c.stats.ConnectionClosed(c.shard)
}

// unserved reports whether the client has sent more than was served, so that closing would reset the
// connection, and that may overtake the last response.
func (c *client) unserved() bool {
	w := c.work
	return w != nil && w.start < w.end || c.parting && !c.conn.Alive()
}

// readable is called by the poller's wait when the socket may have bytes. It serves every request
// that is whole and returns false to wait for more; true gives up the turn, with a verdict.
func (c *client) readable(fd uintptr) bool {
	if c.work == nil && !c.wake() {
		return c.end(endClose)
	}
	w := c.work
	c.stream.turn()
	for received := false; ; received = true {
		if w.end == len(w.in.B) {
			c.room()
		}
		n, e := c.stream.receive(fd, w.in.B[w.end:])
		if e == syscall.EAGAIN {
			return c.rest(received)
		}
		if e != 0 || n == 0 {
			return c.end(endClose)
		}
		w.end += n
		drained := c.stream.tls == nil && w.end < len(w.in.B)
		if c.process() {
			return true
		}
		if drained {
			return c.rest(true)
		}
	}
}

// end notes how the connection is closed and gives up the turn.
func (c *client) end(e ending) bool {
	c.ending, c.verdict, c.closing = e, verdictClose, true
	return true
}

// wake takes memory for a connection that is no longer idle; it fails if the connection is being
// drained.
func (c *client) wake() bool {
	if c.served > 0 && !c.state.CompareAndSwap(stateIdle, stateBusy) {
		return false
	}
	c.work = works.Get().(*work)
	return true
}

// rest prepares the wait for more bytes. Unless some were received the deadline stays as tick set
// it: the moment of the idle look is past.
func (c *client) rest(received bool) bool {
	w := c.work
	if string(w.in.B[w.start:w.end]) == "\r\n" {
		// The empty line that some clients send after a body (RFC 9112, section 2.2).
		w.start, c.headSince = w.end, 0
	}
	if w.start < w.end {
		if c.headSince != 0 {
			return false // its deadline is set
		}
		c.headSince = wire.Now()
		c.verdict = verdictPartial
		return true
	}
	c.putWork()
	if c.served == 0 {
		return false // it has yet to send anything, and has the time for that
	}
	c.state.Store(stateIdle)
	if received && c.conn.Arm(c.idleSince+c.set.site.Load().idleLook) != nil {
		return c.end(endClose)
	}
	// Last: a drain that is not seen here interrupts the wait, and sets its deadline after ours.
	if c.draining() {
		return c.end(endClose)
	}
	return false
}

func (c *client) putWork() {
	w := c.work
	c.work = nil
	w.start, w.end, w.seen = 0, 0, 0
	w.in, w.back = small(w.in), small(w.back)
	if cap(w.out) > 2*wire.SmallSize {
		w.out = make([]byte, 0, 4<<10)
	}
	works.Put(w)
}

// small is b, or a buffer of the usual size in its place.
func small(b *wire.Buffer) *wire.Buffer {
	if len(b.B) == wire.SmallSize {
		return b
	}
	b.Put()
	return wire.GetBuffer(wire.SmallSize)
}

// room makes space behind the bytes of an incomplete head.
func (c *client) room() {
	w := c.work
	w.req.Reset() // what has been parsed of it points to where others may write soon
	if w.start > 0 {
		w.end = copy(w.in.B, w.in.B[w.start:w.end])
		w.start = 0
		return
	}
	larger := wire.GetBuffer(2 * len(w.in.B))
	copy(larger.B, w.in.B[:w.end])
	w.in.Put()
	w.in = larger
}

// tick handles a read deadline of the client's socket. It returns false if the connection is over.
func (c *client) tick(now int64) bool {
	if c.state.Load() == stateClosing {
		return false
	}
	if c.headSince != 0 {
		due := wire.After(c.headSince, c.set.site.Load().timeouts.Header)
		if due == 0 || now < due {
			return c.conn.Rearm(due) == nil
		}
		c.refuse(errHeadTimeout)
		return false
	}
	if due := c.idleDue(); due != 0 && now >= due {
		return false
	}
	// A drain that is not seen here interrupts the wait, and sets its deadline after ours.
	return c.conn.Rearm(c.nextTick(now)) == nil && c.state.Load() != stateClosing
}

// idleDue is when a connection without a head will have been idle for too long; 0: never.
func (c *client) idleDue() int64 {
	t := &c.set.site.Load().timeouts
	if c.served == 0 {
		return wire.After(c.idleSince, t.Header) // it has yet to send anything
	}
	return wire.After(c.idleSince, t.Idle)
}

// nextTick is when an idle connection is to be seen to after now; 0: never.
func (c *client) nextTick(now int64) int64 {
	due := c.idleDue()
	if look := c.idleSince + int64(idleLook); now < look && (due == 0 || look < due) {
		return look
	}
	return due
}

// process serves every whole request in the buffer. It returns true to give up the turn.
func (c *client) process() bool {
	w := c.work
	for w.start < w.end {
		site := c.set.site.Load()
		if !c.worthParsing() {
			return false
		}
		size, err := http1.ParseRequest(w.in.B[w.start:w.end], &w.req, site.limits)
		if err != nil {
			c.refuse(err.(*http1.Error))
			return c.verdict == verdictClose
		}
		if size == 0 {
			w.seen = w.end - w.start
			return false
		}
		w.seen, c.headSince = 0, 0
		w.start += size
		c.begin(site, size)
		if c.closing {
			return true
		}
		if w.req.Chunked || w.req.ContentLength > int64(w.end-w.start) {
			c.verdict = verdictBody
			return true
		}
		body := w.in.B[w.start : w.start+int(max(w.req.ContentLength, 0))]
		w.start += len(body)
		c.serve(body)
		if c.closing {
			c.verdict = verdictClose
			return true
		}
		if w.x.tunnel {
			c.verdict = verdictTunnel
			return true
		}
	}
	w.start, w.end = 0, 0
	return false
}

// worthParsing reports whether an incomplete head has grown by a line end, or beyond a limit, since
// it was last parsed, so that a head that drips in costs a parse per line and not one per byte.
func (c *client) worthParsing() bool {
	w := c.work
	fresh := w.in.B[w.start+w.seen : w.end]
	if w.seen == 0 || len(fresh) == 0 {
		return len(fresh) > 0
	}
	for _, b := range fresh {
		if b == '\n' {
			return true
		}
	}
	size, limit := w.end-w.start, c.set.site.Load().limits
	w.seen = size
	return (limit.Header > 0 && size >= limit.Header) || (limit.Target > 0 && size >= limit.Target)
}

// draining reports whether the connection is to come to its end.
func (c *client) draining() bool { return c.set.draining.Load() || c.entrance.Load().closed.Load() }

// leaving reports whether the next response is the last.
func (c *client) leaving() bool {
	return c.set.leaving.Load() || c.entrance.Load().leaving.Load() || c.draining()
}

// leave is called when the client is gone: what the exchange waits for is over.
func (c *client) leave() {
	c.gone.Store(true)
	if b := c.active.Load(); b != nil {
		b.Shutdown()
	}
}

// stop ends the connection from outside, whatever it is doing. A FIN could make the part of a
// response that has been sent look like the whole.
func (c *client) stop() {
	c.leave()
	c.conn.Reset()
}
