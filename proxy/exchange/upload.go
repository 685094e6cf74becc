package exchange

import (
	"sync/atomic"
	"time"

	"weir/proxy/admit"
	"weir/proxy/http1"
	"weir/proxy/message"
	"weir/proxy/wire"
)

// uploadLook is how often the wait for a response looks whether the upload is over, which is when
// the time-out for the response begins.
const uploadLook = int64(time.Second)

const (
	// settleTime delays a response that comes before the end of its request.
	settleTime = 2 * time.Millisecond

	// lastTime is added where the last bytes of the request are being sent: the backend may have them
	// all, and on a busy machine it takes a while until their sender has a turn again.
	lastTime = 250 * time.Millisecond
)

// upload is a request body that was not whole when its head was: a goroutine forwards it while the
// exchange waits for the response, which may come before the body's end.
type upload struct {
	c       *client
	backend *backendConn
	idle    time.Duration // of the client
	sendFor time.Duration // how long the backend may take nothing
	max     int64         // bytes; 0: without bound
	rate    admit.BodyRate
	mark    admit.BodyMark

	chunked bool
	body    http1.Chunked
	left    int64 // of a body of known length
	head    int   // bytes of the request's head in work.out

	// held says that the client waits for the backend's word before it sends: its clocks stand still.
	held atomic.Bool

	// Written by the goroutine before ended is set, read by others after that.
	complete bool         // the whole body was forwarded
	whole    bool         // the whole body has come
	keeps    bool         // kept is all that was forwarded, so that it can be forwarded again
	kept     []byte       // as it goes to the backend
	in       int64        // bytes from the client
	buf      *wire.Buffer // nil: nothing was received into memory
	pipe     *wire.Pipe   // nil: what comes is copied
	rest     []byte       // what the client sent behind the body

	last    atomic.Bool             // the last bytes of the body are being sent
	running bool                    // a goroutine was started and has not been waited for
	ended   chan struct{}           // closed when the goroutine returns
	endedAt atomic.Int64            // when that was; 0: it is running
	failure atomic.Pointer[failure] // why the request cannot be completed
}

// uploading reports whether a part of the request body is still to come.
func (x *exchange) uploading() bool {
	u := x.upload
	return u != nil && !(u.endedAt.Load() != 0 && u.complete)
}

// settle gives an upload whose last bytes have just been sent the time that it needs to note it: a
// backend may answer before, and then the connections would be closed for nothing.
func (u *upload) settle() {
	if u.await(settleTime) || !u.last.Load() {
		return
	}
	u.await(lastTime)
}

// await waits for the end of the upload, but not for longer than d.
func (u *upload) await(d time.Duration) (ended bool) {
	if u.endedAt.Load() != 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-u.ended:
		return true
	case <-t.C:
		return false
	}
}

// serveStreaming exchanges the request at hand, whose body is still to come, for a response.
func (c *client) serveStreaming() {
	w := c.work
	x := &w.x
	u := &upload{
		c: c, idle: x.site.timeouts.BodyIdle, max: x.site.maxBody,
		rate: x.site.admission.body, chunked: w.req.Chunked, left: w.req.ContentLength, ended: make(chan struct{}),
	}
	x.upload = u
	if !c.route() {
		return
	}
	u.sendFor = x.settings.timeouts.Idle
	u.keeps = c.idempotent() && x.settings.attempts > 0 && (u.chunked || u.left <= keptBody)
	u.body.Withhold(x.site.ownNames(), x.action.ClaimedRequest())
	u.held.Store(w.req.Has(message.Expect) && w.req.Minor > 0 && w.start == w.end)
	c.buildRequest()
	u.head = len(w.out)
	if f := u.begin(w); f != nil {
		c.fail(f)
		return
	}
	u.keep(w.out[u.head:])
	x.in += u.in
	u.in = 0
	for c.acquire() && c.sendStreaming(u) {
		u.rewind(w)
	}
	c.takeRest(u)
}

// begin appends what has come of the body to the head in work.out.
func (u *upload) begin(w *work) *failure {
	b := w.in.B[w.start:w.end]
	if !u.chunked {
		w.out = append(w.out, b...)
		u.left -= int64(len(b))
		u.in = int64(len(b))
		w.start = w.end
		return nil
	}
	for len(b) > 0 && !u.body.Done() {
		run, n, err := u.body.Scan(b, false)
		if err != nil {
			return errBodyMalformed
		}
		w.out = append(w.out, run...)
		b = b[n:]
		w.start += n
		u.in += int64(n)
	}
	if u.body.Done() {
		w.out = append(w.out, u.body.Tail()...)
		u.whole, u.complete = true, true
		u.endedAt.Store(wire.Now())
		close(u.ended)
	}
	return u.excess()
}

// excess is the failure of a body that is larger than allowed.
func (u *upload) excess() *failure {
	if u.max > 0 && u.body.Data() > u.max {
		return errBodyTooLarge
	}
	return nil
}

// sendStreaming sends what there is, starts forwarding the rest and waits for the response. It
// returns true if the request is to be sent again.
func (c *client) sendStreaming(u *upload) (again bool) {
	w := c.work
	x := &w.x
	u.backend = x.backend
	if err := u.backend.write(w.out, u.sendFor); err != nil {
		return c.streamFailed(u, err)
	}
	x.sent = wire.Now()
	switch {
	case !u.whole:
		u.running = true
		go u.run()
	case !u.complete: // it is sent again
		u.complete = true
		u.endedAt.Store(x.sent)
		close(u.ended)
	}
	n, err := c.awaitDuringUpload(w.back.B)
	if err != nil {
		return c.streamFailed(u, err)
	}
	return c.respond(n)
}

// streamFailed decides what follows on an upload that failed before the first byte of a response.
func (c *client) streamFailed(u *upload, err error) (again bool) {
	c.stopUpload()
	if c.gone.Load() || u.failure.Load() != nil || !u.keeps {
		c.responseFailed(err)
		return false
	}
	return c.retryAfter(err)
}

// awaitDuringUpload receives the first bytes of a response. The time-out for them begins when the
// upload ends, or while the client waits for them at once.
func (c *client) awaitDuringUpload(p []byte) (int, error) {
	x := &c.work.x
	for {
		if at := x.upload.endedAt.Load(); at != 0 {
			return c.readBackend(p, wire.After(at, x.settings.timeouts.Response))
		}
		look, due := wire.Now()+uploadLook, int64(0)
		if x.upload.held.Load() {
			due = wire.After(x.sent, x.settings.timeouts.Response)
		}
		if due != 0 && due < look {
			look = due
		}
		n, err := x.backend.read(p, look)
		if err != wire.ErrTimeout || look == due && x.upload.held.Load() {
			return n, err
		}
	}
}

// run forwards the body until it is complete, fails or is interrupted.
func (u *upload) run() {
	defer close(u.ended)
	defer u.end()
	defer u.recovered()
	defer u.putPipe()
	u.forward()
}

func (u *upload) end() { u.endedAt.Store(wire.Now()) }

// recovered ends this connection, and only this one, on a defect of ours.
func (u *upload) recovered() {
	if r := recover(); r != nil {
		u.c.panicked(r)
		u.complete = false
		u.c.gone.Store(true)
		u.backend.wire.Shutdown()
	}
}

func (u *upload) forward() {
	u.mark = u.rate.Start(wire.Now())
	for {
		n, err := u.receive()
		if err != nil {
			u.readFailed(err)
			return
		}
		began := wire.Now()
		rest, err := u.pass(n)
		if u.whole && (err == nil || u.keeps) {
			u.rest, u.complete = rest, err == nil
			u.in -= int64(len(rest))
		}
		if err != nil {
			u.passFailed(err)
			return
		}
		if u.whole {
			return
		}
		u.mark = u.mark.Excuse(time.Duration(wire.Now() - began)) // the client could not send more
	}
}

// receive reads more of the body, which must neither stall nor come too slowly.
func (u *upload) receive() (int, error) {
	idleDue := wire.After(wire.Now(), u.idle)
	for {
		held := u.held.Load()
		due := idleDue
		if held {
			due = wire.Now() + uploadLook
		} else if u.rate.PerSecond > 0 && (due == 0 || u.rate.Due(u.mark) < due) {
			due = u.rate.Due(u.mark)
		}
		n, err := u.take(due)
		u.in += int64(n)
		now := wire.Now()
		if held {
			if err != wire.ErrTimeout {
				u.held.Store(false)
				return n, err
			}
			idleDue, u.mark = wire.After(now, u.idle), u.rate.Start(now)
			continue
		}
		var slow bool
		if u.mark, slow = u.rate.Check(u.mark, u.in, now); slow {
			return 0, refusal{errBodySlow}
		}
		if err != wire.ErrTimeout || (idleDue != 0 && now >= idleDue) {
			return n, err
		}
	}
}

// readFailed handles the failure of the client's side.
func (u *upload) readFailed(err error) {
	if r, ok := err.(refusal); ok {
		u.fail(r.failure)
		return
	}
	switch err {
	case wire.ErrInterrupted:
	case wire.ErrTimeout:
		u.fail(errBodyTimeout)
	default:
		u.c.gone.Store(true)
		u.backend.wire.Shutdown()
	}
}

// passFailed handles a body that is refused, or a backend that does not take it. A backend that has
// closed may have answered before: the response is there to be read.
func (u *upload) passFailed(err error) {
	switch e := err.(type) {
	case *http1.Error:
		u.fail(errBodyMalformed)
	case refusal:
		u.fail(e.failure)
	default:
		if err == wire.ErrTimeout {
			u.fail(errBackendTimeout)
		}
	}
}

// fail makes the exchange end with f: its wait for the backend is over.
func (u *upload) fail(f *failure) {
	u.failure.Store(f)
	u.backend.wire.Shutdown()
}

// refusal carries a failure as an error.
type refusal struct{ failure *failure }

func (r refusal) Error() string { return r.failure.reason }

// pass forwards the n bytes that were received last as far as they belong to the body, and returns
// what does not.
func (u *upload) pass(n int) (rest []byte, err error) {
	if u.pipe != nil {
		if u.left -= int64(n); u.left == 0 {
			u.all()
		}
		return nil, u.pipe.Pour(u.backend.wire, u.sendFor)
	}
	b := u.buf.B[:n]
	if u.keeps {
		return u.passKept(b)
	}
	if !u.chunked {
		take := u.cut(b)
		return b[take:], u.backend.write(b[:take], u.sendFor)
	}
	for len(b) > 0 && !u.body.Done() {
		run, n, err := u.scan(b)
		if err != nil {
			return nil, err
		}
		b = b[n:]
		if err := u.backend.write(run, u.sendFor); err != nil {
			return nil, err
		}
	}
	if u.body.Done() {
		return b, u.backend.write(u.body.Tail(), u.sendFor)
	}
	return nil, nil
}

// cut is how much of b belongs to a body of known length.
func (u *upload) cut(b []byte) int {
	take := int(min(int64(len(b)), u.left))
	if u.left -= int64(take); u.left == 0 {
		u.all()
	}
	return take
}

// scan takes the next run of a body in chunks off b.
func (u *upload) scan(b []byte) (run []byte, n int, err error) {
	if run, n, err = u.body.Scan(b, false); err != nil {
		return nil, 0, err
	}
	if f := u.excess(); f != nil {
		return nil, 0, refusal{f}
	}
	if u.body.Done() {
		u.all()
	}
	return run, n, nil
}

// all takes note that the whole body has come.
func (u *upload) all() {
	u.whole = true
	u.last.Store(true)
}

// stopUpload ends the upload's goroutine, if there is one, and waits for it. Unless the upload was
// complete, the backend's connection is of no use afterwards.
func (c *client) stopUpload() {
	u := c.work.x.upload
	if u == nil || !u.running {
		return
	}
	if u.endedAt.Load() == 0 {
		c.conn.Interrupt()
		u.backend.wire.Shutdown()
	}
	<-u.ended
	u.running = false
	c.work.x.in += u.in
	u.in = 0
	if c.conn.Resume() != nil {
		c.gone.Store(true)
	}
}

// takeRest puts what the client sent behind the body where the next head is looked for.
func (c *client) takeRest(u *upload) {
	if u.buf == nil {
		return
	}
	w := c.work
	if len(u.rest) > len(w.in.B) {
		w.in.Put()
		w.in = wire.GetBuffer(len(u.rest))
	}
	w.start, w.end = 0, copy(w.in.B, u.rest)
	u.buf.Put()
	u.buf, u.rest = nil, nil
}
