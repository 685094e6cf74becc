package exchange

import (
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"time"

	"weir/proxy/http1"
	"weir/proxy/message"
	"weir/proxy/wire"
	"weir/telemetry"
)

// tunnel is a connection after 101: bytes both ways, whatever they are (RFC 9110, section 7.8). One
// goroutine carries what the client sends, the owner of the connection the other direction.
type tunnel struct {
	c       *client
	backend *backendConn
	idle    time.Duration // without a byte either way; 0: without bound
	half    time.Duration // the same, once one direction has ended

	used   atomic.Int64 // when a byte last came, on the clock of wire.Now
	halved atomic.Bool  // one direction has ended
	// broken is what ended the tunnel, if it did not end by itself: that of the direction which failed
	// first, because it makes the other fail.
	broken atomic.Pointer[failure]
	in     int64 // bytes from the client
	done   chan struct{}
}

// wantsUpgrade reports whether the request asks for a protocol that may be forwarded: not h2c, which
// would take the requests out of our sight, and not with a body, which has no place then.
func wantsUpgrade(req *message.Head) bool {
	if !req.Upgrade || req.Minor == 0 || req.Chunked || req.ContentLength > 0 {
		return false
	}
	asked := req.Get(message.Upgrade)
	return message.OnlyProtocols(asked, nil) && !message.HasProtocol(asked, "h2c")
}

// agreed reports whether the response at hand switches to what the request has asked for, and to
// nothing else (RFC 9110, section 7.8).
func (c *client) agreed() bool {
	w := c.work
	return w.x.upgrade && w.res.Upgrade && message.OnlyProtocols(w.res.Get(message.Upgrade), w.req.Get(message.Upgrade))
}

// appendUpgrade writes the fields that ask for, or agree to, a change of protocol.
func appendUpgrade(dst, protocol []byte) []byte {
	dst = append(dst, "Connection: Upgrade\r\n"...)
	return http1.AppendField(dst, "Upgrade", protocol)
}

// keepUpgrade keeps what a 426 demands: the protocols are the whole of its message (RFC 9110, section
// 15.5.22).
func keepUpgrade(res *message.Head) {
	for i := range res.Fields {
		if f := &res.Fields[i]; f.Name == message.Upgrade {
			f.Drop = false
		}
	}
}

// switchProtocols forwards a 101, of which n bytes are in work.back, and what came behind it. The
// connection becomes a tunnel when the owner has its turn back.
func (c *client) switchProtocols(n int) {
	w := c.work
	x := &w.x
	res := &w.res
	protocol := append([]byte(nil), res.Get(message.Upgrade)...)
	res.StripHopByHop()
	c.appendResponse(false)
	w.out = appendUpgrade(w.out, protocol)
	w.out = append(w.out, "\r\n"...)
	w.out = append(w.out, w.back.B[res.Size:n]...)
	if err := c.write(w.out); err != nil {
		c.complete(err, false, framedEmpty)
		return
	}
	x.tunnel = true
}

// serveTunnel carries bytes until both directions have ended.
func (c *client) serveTunnel() {
	w := c.work
	x := &w.x
	t := &tunnel{
		c: c, backend: x.backend, idle: x.settings.timeouts.Tunnel, half: x.settings.timeouts.HalfClose,
		done: make(chan struct{}),
	}
	t.used.Store(wire.Now())
	first := append([]byte(nil), w.in.B[w.start:w.end]...)
	w.start = w.end
	go t.up(first)
	t.carryDown()
	x.in += t.in
	x.close = true
	if f := t.broken.Load(); f != nil {
		c.lost(f)
		return
	}
	c.dropBackend()
	x.outcome = telemetry.OutcomeOK
	c.done()
}

// carryDown carries what the backend sends, and waits for the other direction whatever happens.
func (t *tunnel) carryDown() {
	whole := false
	defer func() {
		if !whole { // a panic: nothing may use the connections any more
			t.fail(io.ErrClosedPipe, lostBackendClosed)
		}
		<-t.done
	}()
	t.down()
	whole = true
}

// up carries what the client sends, first what had come with its request.
func (t *tunnel) up(first []byte) {
	defer close(t.done)
	defer func() {
		if r := recover(); r != nil {
			t.c.panicked(r)
			t.fail(io.ErrClosedPipe, lostBackendClosed)
		}
	}()
	b := wire.GetBuffer(wire.LargeSize)
	defer b.Put()
	t.in = int64(len(first))
	if err := t.backend.write(first, t.bound()); err != nil {
		t.fail(err, lostBackendClosed)
		return
	}
	for {
		n, err := t.await(&t.c.stream, b.B)
		if err == io.EOF && !t.c.gone.Load() && t.halve(&t.backend.stream) {
			return
		}
		if err != nil {
			t.fail(err, lostClient)
			return
		}
		t.in += int64(n)
		if err := t.backend.write(b.B[:n], t.bound()); err != nil {
			t.fail(err, lostBackendClosed)
			return
		}
	}
}

// down carries what the backend sends.
func (t *tunnel) down() {
	w := t.c.work
	for {
		n, err := t.await(&t.backend.stream, w.back.B)
		if err == io.EOF && !t.c.gone.Load() && !t.backend.cut.Load() && t.halve(&t.c.stream) {
			return
		}
		if err != nil {
			t.fail(err, lostBackendClosed)
			return
		}
		if err := t.c.write(w.back.B[:n]); err != nil {
			t.fail(io.ErrClosedPipe, t.c.brokenBy(err))
			return
		}
	}
}

// halve passes the end of a direction on. A side that is gone cannot be told and need not be: two
// that take leave of each other close at the same time. How it went, the other direction will see.
func (t *tunnel) halve(to *stream) bool {
	err := to.closeWrite()
	if err != nil && !errors.Is(err, syscall.ENOTCONN) && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		return false
	}
	t.halved.Store(true)
	to.wire.Interrupt() // it has less time from now on
	return true
}

// await reads once, until a byte comes or the tunnel has been idle for too long. What the other
// direction carries counts too.
func (t *tunnel) await(from *stream, p []byte) (int, error) {
	for {
		n, err := from.read(p, wire.After(t.used.Load(), t.bound()))
		switch err {
		case nil:
			t.used.Store(wire.Now())
			return n, nil
		case wire.ErrInterrupted:
			err = from.wire.Resume()
		case wire.ErrTimeout:
			if due := wire.After(t.used.Load(), t.bound()); due == 0 || wire.Now() < due {
				err = nil
			}
		}
		if err != nil {
			return 0, err
		}
	}
}

// bound is how long the tunnel may be idle.
func (t *tunnel) bound() time.Duration {
	if t.halved.Load() {
		return t.half
	}
	return t.idle
}

// fail ends the tunnel because of err, which stands for f unless it says more, and with it the other
// direction. The reset shows the client that this is no end as it should be.
func (t *tunnel) fail(err error, f *failure) {
	switch {
	case t.c.gone.Load():
		f = t.c.whoLeft()
	case t.backend.cut.Load():
		f = lostDrained
	case errors.Is(err, wire.ErrTimeout):
		f = lostTunnelIdle
	}
	t.broken.CompareAndSwap(nil, f)
	t.backend.wire.Shutdown()
	t.c.conn.Reset()
}
