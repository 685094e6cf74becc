package wire

import "time"

// LateWatch watches a connection from a while on: most waits are over before, and do without the system
// calls of a watch.
type LateWatch struct {
	watcher *Watcher
	conn    *Conn
	watch   func(*Conn, func()) (int32, error)
	gone    func()
	timer   *time.Timer
	began   chan struct{} // closed when the watch has begun, or could not
	id      int32
	err     error
}

// WatchLate begins [Watcher.Watch] after a while. End ends it, before another watch of c and before c is
// closed.
func (w *Watcher) WatchLate(c *Conn, after time.Duration, gone func()) *LateWatch {
	return w.watchLate(c, after, w.Watch, gone)
}

// WatchResetLate does the same with [Watcher.WatchReset].
func (w *Watcher) WatchResetLate(c *Conn, after time.Duration, gone func()) *LateWatch {
	return w.watchLate(c, after, w.WatchReset, gone)
}

func (w *Watcher) watchLate(c *Conn, after time.Duration, watch func(*Conn, func()) (int32, error), gone func()) *LateWatch {
	l := &LateWatch{watcher: w, conn: c, watch: watch, gone: gone, began: make(chan struct{})}
	l.timer = time.AfterFunc(after, l.begin)
	return l
}

func (l *LateWatch) begin() {
	defer close(l.began)
	l.id, l.err = l.watch(l.conn, l.gone)
}

// End ends the watch. When it returns, gone has returned or will never be called.
func (l *LateWatch) End() {
	if l.timer.Stop() {
		return
	}
	if <-l.began; l.err == nil {
		l.watcher.Unwatch(l.conn, l.id)
	}
}
