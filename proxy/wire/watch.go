package wire

import (
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Watcher tells when the peers of connections that nobody reads go away. It is an epoll set of its
// own, itself on the runtime's poller, served by one goroutine.
type Watcher struct {
	file *os.File
	raw  syscall.RawConn
	done chan struct{}

	mu      sync.Mutex
	next    int32
	watches map[int32]func()
}

// NewWatcher starts a watcher; Close ends it.
func NewWatcher() (*Watcher, error) {
	_, f, raw, err := newEpoll()
	if err != nil {
		return nil, err
	}
	w := &Watcher{file: f, raw: raw, done: make(chan struct{}), watches: map[int32]func(){}}
	go w.run()
	return w, nil
}

// Watch calls gone, once, when the peer of c closes or resets; at once if it already has. gone must
// not block and must not call the watcher. The result is for Unwatch, which must be called before c
// is closed.
//
// A client that half-closes counts as gone: whoever waits for a response keeps its side open.
func (w *Watcher) Watch(c *Conn, gone func()) (int32, error) { return w.add(c, unix.EPOLLRDHUP, gone) }

// WatchReset is Watch for a peer that may half-close: gone is called when the connection is over both
// ways.
func (w *Watcher) WatchReset(c *Conn, gone func()) (int32, error) { return w.add(c, 0, gone) }

// add watches for events, and for errors and hang-ups, which are always reported.
func (w *Watcher) add(c *Conn, events uint32, gone func()) (int32, error) {
	w.mu.Lock()
	w.next++
	id := w.next
	w.watches[id] = gone
	w.mu.Unlock()
	err := w.control(c, unix.EPOLL_CTL_ADD, &unix.EpollEvent{
		Events: events | unix.EPOLLONESHOT, Fd: id,
	})
	if err != nil {
		w.mu.Lock()
		delete(w.watches, id)
		w.mu.Unlock()
		return 0, err
	}
	return id, nil
}

// Unwatch ends a watch. When it returns, gone has returned or will never be called; the result says
// whether it was called.
func (w *Watcher) Unwatch(c *Conn, id int32) (called bool) {
	w.mu.Lock()
	_, pending := w.watches[id]
	delete(w.watches, id)
	w.mu.Unlock()
	// An error means that the descriptor has left the set by being closed: nothing is left to do.
	_ = w.control(c, unix.EPOLL_CTL_DEL, nil)
	return !pending
}

// control fails with ErrClosed if c or w is closed.
func (w *Watcher) control(c *Conn, op int, ev *unix.EpollEvent) error {
	err := error(ErrClosed) // unless neither is
	_ = c.poll.control(func(fd uintptr) {
		_ = w.raw.Control(func(epfd uintptr) {
			err = os.NewSyscallError("epoll_ctl", unix.EpollCtl(int(epfd), op, int(fd), ev))
		})
	})
	return err
}

// Close ends the watcher and waits for its goroutine. No watch may be left.
func (w *Watcher) Close() error {
	err := w.file.Close()
	<-w.done
	return err
}

// run ends when the epoll descriptor is closed, which is what makes the read fail.
func (w *Watcher) run() {
	defer close(w.done)
	var events [64]unix.EpollEvent
	_ = w.raw.Read(func(fd uintptr) bool {
		for {
			n, err := unix.EpollWait(int(fd), events[:], 0)
			if err == unix.EINTR {
				continue
			}
			if err != nil || n <= 0 {
				return false
			}
			for _, ev := range events[:n] {
				w.fire(ev.Fd)
			}
		}
	})
}

func (w *Watcher) fire(id int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if gone, ok := w.watches[id]; ok {
		delete(w.watches, id)
		gone()
	}
}
