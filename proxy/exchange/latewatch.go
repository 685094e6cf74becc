package exchange

import "time"

// lateWatch watches the socket of a client whose exchange waits for something else than a response,
// from gonePatience on: most waits are over before.
type lateWatch struct {
	c     *client
	timer *time.Timer
	began chan struct{} // closed when the watch has begun, or could not
	id    int32
	err   error
}

// watchLate begins a late watch, which must be ended before the next watch.
func (c *client) watchLate() *lateWatch {
	l := &lateWatch{c: c, began: make(chan struct{})}
	l.timer = time.AfterFunc(time.Duration(gonePatience), l.begin)
	return l
}

func (l *lateWatch) begin() {
	defer close(l.began)
	l.id, l.err = l.c.set.engine.Watcher.Watch(l.c.conn, l.c.onGone)
}

// end ends the watch. Afterwards the client is not told to be gone by it any more.
func (l *lateWatch) end() {
	if l.timer.Stop() {
		return
	}
	if <-l.began; l.err == nil {
		l.c.set.engine.Watcher.Unwatch(l.c.conn, l.id)
	}
}
