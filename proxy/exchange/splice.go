package exchange

import "weir/proxy/wire"

const (
	// spliceLeast is how much must be left of a body for it to be spliced. With less it takes as much
	// CPU time as copying, and descriptors besides.
	spliceLeast = wire.PipeSize
	// spliceAfter is how many full buffers in a row make a large body of one whose length is not known.
	spliceAfter = 3
)

// pipe returns a pipe for what is left of a body, or nil if that is to be copied.
func (e *Engine) pipe(from, to *stream, left int64) *wire.Pipe {
	if left < spliceLeast || from.tls != nil || to.tls != nil {
		return nil
	}
	return e.Pipes.Get()
}

// spliceBody forwards what is left of the body of a response while it can be spliced and comes without
// a pause, so that slow backends hold no pipes. It returns how much is still to come. What is no body
// any more stays in the socket, where it is met before the connection is used again.
func (c *client) spliceBody(left int64) (int64, error) {
	x := &c.work.x
	pipe := c.set.engine.pipe(&x.backend.stream, &c.stream, left)
	if pipe == nil {
		return left, nil
	}
	defer c.set.engine.Pipes.Put(pipe)
	for left > 0 {
		now := wire.Now()
		n, err := fillSoon(pipe, x.backend.wire, left, wire.After(now, x.settings.timeouts.Idle), now)
		if err != nil || n == 0 {
			return left, err
		}
		if err := pipe.Pour(c.conn, x.site.timeouts.WriteIdle); err != nil {
			return left, clientError{err}
		}
		c.wrote(n)
		left -= int64(n)
	}
	return 0, nil
}

// fillSoon puts at most left bytes into a pipe. It returns 0 if none can be spliced, or none has come
// soon after now, and then the wait until due (0: without bound) is for somebody else to go on with.
func fillSoon(pipe *wire.Pipe, from *wire.Conn, left, due, now int64) (int, error) {
	first := now + gonePatience
	if due != 0 && due < first {
		first = due
	}
	n, err := pipe.Fill(from, int(min(left, wire.PipeSize)), first)
	if err == wire.ErrTimeout && first != due {
		return 0, nil
	}
	return n, err
}

// take receives more of the body before due (0: without bound): into the pipe if there is one after
// it, into the buffer otherwise.
func (u *upload) take(due int64) (int, error) {
	if u.pipe == nil && !u.chunked && !u.keeps {
		u.pipe = u.c.set.engine.pipe(&u.c.stream, &u.backend.stream, u.left)
	}
	if u.pipe != nil {
		if n, err := fillSoon(u.pipe, u.c.conn, u.left, due, wire.Now()); n > 0 || err != nil {
			return n, err
		}
		u.putPipe()
	}
	if u.buf == nil {
		u.buf = wire.GetBuffer(wire.LargeSize)
	}
	return u.c.stream.read(u.buf.B, due)
}

// putPipe gives the pipe back, if there is one.
func (u *upload) putPipe() {
	if u.pipe != nil {
		u.c.set.engine.Pipes.Put(u.pipe)
		u.pipe = nil
	}
}
