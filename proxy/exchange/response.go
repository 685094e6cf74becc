package exchange

import (
	"bytes"
	"errors"
	"io"
	"math"

	"weir/proxy/http1"
	"weir/proxy/message"
	"weir/proxy/wire"
	"weir/telemetry"
)

const (
	// maxInterim bounds the 1xx responses before a final one.
	maxInterim = 32

	// liveBytes is how many bytes of a long response go by before they are counted.
	liveBytes = 1 << 20
)

// framing is how the end of a response's body is known.
type framing uint8

const (
	framedEmpty framing = iota
	framedLength
	framedChunks
	framedClose
)

// errTruncated ends a response that the backend did not finish.
var errTruncated = errors.New("truncated")

// respond forwards the response that begins with the n bytes in work.back, and ends the exchange. It
// returns true if the request is to be sent to another backend instead.
func (c *client) respond(n int) (again bool) {
	w := c.work
	x := &w.x
	if c.set.engine.accessLog() != nil {
		x.first = wire.Now() - x.sent
	}
	n, interim, ok := c.finalHead(n)
	if !ok {
		return false
	}
	if c.retryStatus(interim) {
		return true
	}
	res := &w.res
	x.answer, x.status = res.Status, res.Status
	if res.Status == 101 {
		c.switchProtocols(n)
		return false
	}
	f := frame(res, x.headReq)
	reusable := !res.Close && (res.Minor == 1 || res.KeepAlive) && f != framedClose
	old := w.req.Minor == 0
	content := old && f == framedChunks
	if x.upload != nil {
		x.upload.settle()
	}
	if content || f == framedClose || x.uploading() || c.leaving() {
		x.close = true
	}
	c.buildResponse(f == framedChunks && !content, old)
	rest, err := c.sendBody(f, w.back.B[res.Size:n], content)
	if content {
		f = framedClose // for the client, the end of the connection is the end of the body
	}
	c.complete(err, reusable && rest == 0, f)
	return false
}

// finalHead reads up to and with the head of the final response, forwarding interim ones. It
// returns how many bytes are in the buffer, or false when the exchange is over.
func (c *client) finalHead(n int) (size int, interim, ok bool) {
	w := c.work
	x := &w.x
	for interims, seen := 0, 0; ; {
		size := 0
		if seen == 0 || lineEnded(w.back.B[:n], seen, x.settings.maxHead) {
			var err error
			limits := http1.Limits{Header: x.settings.maxHead, Fields: x.site.limits.Fields}
			if size, err = http1.ParseResponse(w.back.B[:n], &w.res, limits); err != nil {
				c.failWith(errBadResponse, "the backend sent a malformed response: "+err.Error())
				return 0, false, false
			}
		}
		seen = n
		if size > 0 {
			if w.res.Status >= 200 {
				return n, interims > 0, true
			}
			if w.res.Status == 101 && c.agreed() {
				return n, interims > 0, true
			}
			if interims++; interims > maxInterim {
				c.failWith(errBadResponse, "the backend sent too many interim responses")
				return 0, false, false
			}
			if w.res.Status == 101 {
				c.failWith(errBadResponse, "the backend switched protocols without being asked to")
				return 0, false, false
			}
			if !c.forwardInterim() {
				return 0, false, false
			}
			n, seen = copy(w.back.B, w.back.B[size:n]), 0
			x.sent = wire.Now()
			if n > 0 {
				continue
			}
		}
		if n == len(w.back.B) {
			larger := wire.GetBuffer(2 * n)
			copy(larger.B, w.back.B)
			w.back.Put()
			w.back = larger
		}
		m, err := c.awaitResponse(w.back.B[n:])
		if err != nil {
			c.responseFailed(err)
			return 0, false, false
		}
		n += m
	}
}

// lineEnded reports whether an incomplete head has grown by a line end, or beyond its limit (0: none),
// since its first seen bytes were parsed, so that a head that drips in costs a parse per line.
func lineEnded(head []byte, seen, limit int) bool {
	return bytes.IndexByte(head[seen:], '\n') >= 0 || limit > 0 && len(head) >= limit
}

// awaitResponse receives more of a head.
func (c *client) awaitResponse(p []byte) (int, error) {
	x := &c.work.x
	if x.uploading() {
		return c.awaitDuringUpload(p)
	}
	since := x.sent
	if u := x.upload; u != nil {
		since = max(since, u.endedAt.Load()) // the time-out begins when the upload ends
	}
	return c.readBackend(p, wire.After(since, x.settings.timeouts.Response))
}

// responseFailed ends an exchange whose response did not come, before its head was complete.
func (c *client) responseFailed(err error) {
	x := &c.work.x
	if u := x.upload; u != nil {
		if f := u.failure.Load(); f != nil {
			c.fail(f)
			return
		}
	}
	switch {
	case c.gone.Load():
		c.lost(c.whoLeft())
	case err == wire.ErrTimeout:
		c.fail(errBackendTimeout)
	case x.backend.cut.Load(): // err may be of the other direction
		c.fail(errDrained)
	default:
		c.fail(errBackendReset)
	}
}

// forwardInterim passes a 1xx response on; HTTP/1.0 knows none. It returns false if the exchange is
// over.
func (c *client) forwardInterim() bool {
	w := c.work
	if w.req.Minor == 0 {
		return true
	}
	if u := w.x.upload; u != nil && w.res.Status == 100 {
		u.held.Store(false)
	}
	w.res.StripHopByHop()
	w.res.DropAll(message.ContentLength)
	if s := w.x.settings.sticky; s != nil {
		s.dropOwn(&w.res, w.x.lease.Backend())
	}
	w.out = http1.AppendResponse(w.out[:0], &w.res, false)
	w.out = append(w.out, "\r\n"...)
	if err := c.write(w.out); err != nil {
		c.complete(err, false, framedEmpty)
		return false
	}
	return true
}

// frame applies RFC 9112, section 6.3.
func frame(h *message.Head, head bool) framing {
	switch {
	case http1.NoBody(h.Status, head):
		return framedEmpty
	case h.Chunked:
		return framedChunks
	case h.ContentLength >= 0:
		return framedLength
	}
	return framedClose
}

// buildResponse writes the head that the client gets into work.out.
func (c *client) buildResponse(chunked, old bool) {
	w := c.work
	w.res.StripHopByHop()
	switch w.res.Status {
	case 204:
		w.res.DropAll(message.ContentLength) // RFC 9110, section 8.6
	case 426:
		keepUpgrade(&w.res)
	}
	if old {
		w.res.DropAll(message.Trailer) // none will come
	}
	c.appendResponse(chunked)
	if w.res.Status == 426 && w.res.Has(message.Upgrade) {
		w.out = append(w.out, "Connection: Upgrade\r\n"...)
	}
	switch {
	case w.x.close:
		w.out = append(w.out, "Connection: close\r\n"...)
	case old:
		w.out = append(w.out, "Connection: keep-alive\r\n"...)
	}
	w.out = append(w.out, "\r\n"...)
}

// appendResponse writes what the client gets of the head of a final response, or of a 101, into
// work.out: all but what is about the connection.
func (c *client) appendResponse(chunked bool) {
	w := c.work
	res := &w.res
	s, b := w.x.settings.sticky, w.x.lease.Backend()
	if s != nil {
		w.cookies = s.answered(w.cookies[:0], &w.x.member, res, b) // the request was written: its lines are free
	}
	w.dropRequestID(res)
	a := w.x.action
	if a != nil {
		a.ResponseHeaders.Drop(res)
	}
	if a.ClaimsResponse("cache-control") {
		w.cookies = w.cookies[:0]
	}
	w.out = http1.AppendResponse(w.out[:0], res, chunked)
	if a != nil {
		w.out = a.ResponseHeaders.Append(w.out)
	}
	if !res.Keeps(message.Date) && !a.ClaimsResponse("date") {
		w.out = c.set.engine.date.append(w.out) // RFC 9110, section 6.6.1
	}
	if len(w.requestID) != 0 && !a.ClaimsResponse("x-request-id") {
		w.out = w.appendRequestID(w.out)
	}
	if via := w.x.site.forwarding.via[res.Minor]; via != "" && !a.ClaimsResponse("via") {
		w.out = append(w.out, via...)
	}
	if s != nil {
		w.out = s.appendSetCookie(w.out, &w.x.member, res, b, w.cookies, c.stream.tls != nil)
	}
}

// sendBody sends the head in work.out, and the body that begins with b. It returns how many bytes
// that do not belong to the response were left over, and one of errTruncated, a timeout or an error
// of the client's side (clientError).
func (c *client) sendBody(f framing, b []byte, content bool) (rest int, err error) {
	switch f {
	case framedEmpty:
		return len(b), c.writeEnd(c.work.out, 0)
	case framedLength:
		return c.sendLength(b)
	case framedChunks:
		return c.sendChunks(b, content)
	}
	return 0, c.sendToClose(b)
}

// complete ends an exchange whose response went out, wholly or in part. reusable says whether the
// backend's connection may serve again, f how the client knows the end of the body.
func (c *client) complete(err error, reusable bool, f framing) {
	x := &c.work.x
	c.stopUpload()
	if x.upload != nil && !x.upload.complete {
		reusable, x.close, c.ending = false, true, endLinger
	}
	if err == nil {
		x.outcome = telemetry.OutcomeOK
		if !reusable {
			c.dropBackend()
		}
		c.done()
		return
	}
	var fault *http1.Error
	if errors.As(err, &fault) {
		c.failWith(errBadResponse, "the backend sent a malformed response: "+fault.Reason)
		return
	}
	c.lost(c.brokenBy(err))
	if _, client := err.(clientError); !client && f != framedClose {
		c.ending = endClose // the framing shows that something is missing
	}
}

// brokenBy says who cut a response off.
func (c *client) brokenBy(err error) *failure {
	if ce, ok := err.(clientError); ok {
		if ce.error == wire.ErrTimeout {
			return lostClientSlow
		}
		return c.whoLeft()
	}
	if u := c.work.x.upload; u != nil {
		if f := u.failure.Load(); f != nil {
			return f // it was the request that ended the backend's connection
		}
	}
	switch {
	case c.gone.Load():
		return c.whoLeft()
	case c.work.x.backend.cut.Load():
		return lostDrained
	case err == wire.ErrTimeout:
		return lostBackendSlow
	}
	return lostBackendClosed
}

// clientError is an error of the client's side.
type clientError struct{ error }

// write sends to the client.
func (c *client) write(p []byte) error {
	x := &c.work.x
	if err := c.stream.write(p, x.site.timeouts.WriteIdle); err != nil {
		return clientError{err}
	}
	c.wrote(len(p))
	return nil
}

// writeEnd is write of a part of a response of which left bytes are still to come. If that is none, and
// the connection ends with this response, the client is told so at once.
func (c *client) writeEnd(p []byte, left int64) error {
	x := &c.work.x
	if left > 0 || !x.close || x.upload != nil {
		return c.write(p)
	}
	if err := c.stream.writeLast(p, x.site.timeouts.WriteIdle); err != nil {
		return clientError{err}
	}
	c.wrote(len(p))
	return nil
}

// wrote notes that n bytes went to the client.
func (c *client) wrote(n int) {
	x := &c.work.x
	x.out += int64(n)
	if x.out-x.counted >= liveBytes {
		x.target.stats.Bytes(c.shard, 0, x.out-x.counted)
		x.counted = x.out
	}
}

// sendLength forwards a body of known length.
func (c *client) sendLength(b []byte) (int, error) {
	w := c.work
	left := w.res.ContentLength
	take := int(min(int64(len(b)), left))
	rest := len(b) - take
	w.out = append(w.out, b[:take]...)
	if err := c.writeEnd(w.out, left-int64(take)); err != nil {
		return rest, err
	}
	for left -= int64(take); left > 0; {
		var err error
		if left, err = c.spliceBody(left); err != nil || left == 0 {
			return 0, err
		}
		n, err := c.moreBody(left)
		if err != nil {
			return 0, err
		}
		take := int(min(int64(n), left))
		left -= int64(take)
		if err := c.writeEnd(w.back.B[:take], left); err != nil {
			return 0, err
		}
		rest = n - take
	}
	return rest, nil
}

// sendToClose forwards a body that ends when the backend closes.
func (c *client) sendToClose(b []byte) error {
	w := c.work
	w.out = append(w.out, b...)
	if err := c.write(w.out); err != nil {
		return err
	}
	for full := 0; ; full++ {
		if full >= spliceAfter {
			full = 0
			if _, err := c.spliceBody(math.MaxInt64); err != nil {
				return err
			}
		}
		n, err := c.readBody()
		if err == io.EOF && !c.gone.Load() {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.write(w.back.B[:n]); err != nil {
			return err
		}
		if n < len(w.back.B) {
			full = -1
		} else {
			w.enlarge()
		}
	}
}

// sendChunks forwards a body in chunked coding, or only its content.
func (c *client) sendChunks(b []byte, content bool) (int, error) {
	w := c.work
	var body http1.Chunked
	body.Withhold(w.x.site.ownNames(), w.x.action.ClaimedResponse())
	head := true
	for {
		for len(b) > 0 && !body.Done() {
			run, n, err := body.Scan(b, content)
			if err != nil {
				if head {
					// The head has not been sent: the client is not left with half a response.
					return 0, err
				}
				return 0, errTruncated
			}
			b = b[n:]
			if head {
				w.out = append(w.out, run...)
			} else if err := c.write(run); err != nil {
				return 0, err
			}
		}
		if body.Done() && !content {
			if head {
				w.out = append(w.out, body.Tail()...)
			} else if err := c.write(body.Tail()); err != nil {
				return 0, err
			}
		}
		if head {
			head = false
			if err := c.write(w.out); err != nil {
				return 0, err
			}
		}
		if body.Done() {
			return len(b), nil
		}
		n, err := c.moreBody(wire.LargeSize)
		if err != nil {
			return 0, err
		}
		b = w.back.B[:n]
	}
}

// moreBody receives more of a body that has not ended; the end of the stream truncates it. want is
// how much there may still be: for much of it, the buffer becomes a large one.
func (c *client) moreBody(want int64) (int, error) {
	w := c.work
	if want >= wire.HugeSize && c.stream.tls != nil && w.x.backend.tls == nil {
		w.enlargeMuch()
	}
	if want > wire.SmallSize {
		w.enlarge()
	}
	n, err := c.readBody()
	if err == io.EOF {
		return 0, errTruncated
	}
	return n, err
}

// enlarge makes the buffer a large one, for a body of which none is in it.
func (w *work) enlarge() {
	if len(w.back.B) < wire.LargeSize {
		w.back.Put()
		w.back = wire.GetBuffer(wire.LargeSize)
	}
}

// enlargeMuch makes the buffer a huge one, if there is one.
func (w *work) enlargeMuch() {
	if len(w.back.B) >= wire.HugeSize {
		return
	}
	if b := wire.GetHugeBuffer(); b != nil {
		w.back.Put()
		w.back = b
	}
}

func (c *client) readBody() (int, error) {
	w := c.work
	return c.readBackend(w.back.B, wire.After(wire.Now(), w.x.settings.timeouts.Idle))
}
