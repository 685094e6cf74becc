package wire

import (
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Arrivals are accepted connections from which nothing has come yet. They wait in an epoll set of their
// own, without a goroutine, until there is something to serve: a client that sends one request and is
// closed after the response never meets the runtime's poller. That halves what such a client costs,
// above all because nothing is left on its way that tells the scheduler that it might block: each time, that would
// wake the thread that watches over such calls.
//
// The goroutines that serve are used again. Anybody may use it at any time, but for Close.
type Arrivals struct {
	run  runners
	file *os.File // of the epoll set
	raw  syscall.RawConn
	set  int
	done chan struct{}

	mu      sync.Mutex // guards what follows
	waiting []*arrival // by descriptor; nil where nobody waits
	alarm   alarm      // when the time to send something is over
}

// arrival is one connection that waits.
type arrival struct {
	due
	fd    int
	serve func()
}

// NewArrivals makes an empty set; Close ends it.
func NewArrivals() (*Arrivals, error) {
	fd, f, raw, err := newEpoll()
	if err != nil {
		return nil, err
	}
	a := &Arrivals{file: f, raw: raw, set: fd, done: make(chan struct{})}
	a.alarm.onRing(a.expire)
	go a.look()
	return a, nil
}

// Go calls serve in a goroutine of its own.
func (a *Arrivals) Go(serve func()) { a.run.start(serve) }

// Await is Go when something has come from c: bytes, the end of the stream, an error; and at that time (0: never)
// in any case, or a little later. Until then c belongs to the set: nobody may wait on it or close it.
func (a *Arrivals) Await(c *Conn, at int64, serve func()) {
	if !silent(c.fd) {
		a.run.start(serve)
		return
	}
	w := &arrival{fd: int(c.fd), serve: serve}
	w.at, w.of = at, w
	c.poll.set = int32(a.set)
	a.mu.Lock()
	a.enter(w)
	a.mu.Unlock()
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(w.fd)}
	_, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(a.set), unix.EPOLL_CTL_ADD, uintptr(w.fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	if e != 0 { // no memory, or too many watches: it meets that again where it waits next
		a.take(w.fd, w)
	}
}

// Spare is the number of goroutines that wait to be used again.
func (a *Arrivals) Spare() int { return a.run.spares() }

// Waiting is the number of connections that wait.
func (a *Arrivals) Waiting() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.waiting {
		if w != nil {
			n++
		}
	}
	return n
}

// Close ends the goroutines and waits for them. Nobody may wait any more, and all who are served must
// have come to their end, or be about to.
func (a *Arrivals) Close() error {
	a.run.close()
	a.alarm.timer.Stop()
	err := a.file.Close()
	<-a.done
	return err
}

// look serves those that have something, until the set is closed.
func (a *Arrivals) look() {
	defer close(a.done)
	var events [64]unix.EpollEvent
	_ = a.raw.Read(func(fd uintptr) bool {
		for {
			n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
			if e == syscall.EINTR {
				continue
			}
			if e != 0 {
				return false
			}
			raceWrite(unsafe.Slice((*byte)(unsafe.Pointer(&events[0])), unsafe.Sizeof(events)))
			for i := range events[:n] {
				a.take(int(events[i].Fd), nil)
			}
			// What has come meanwhile is an edge of the set itself, so it is not asked again.
			if int(n) < len(events) {
				return false
			}
		}
	})
}

// take serves the connection with the descriptor fd, if it still waits; if w is not nil, only w.
func (a *Arrivals) take(fd int, w *arrival) {
	a.mu.Lock()
	found := a.waiting[fd]
	if found == nil || w != nil && w != found {
		a.mu.Unlock()
		return
	}
	a.waiting[fd] = nil
	a.alarm.dues.remove(&found.due)
	a.mu.Unlock()
	a.run.start(found.serve)
}

// enter notes one that waits. mu must be held.
func (a *Arrivals) enter(w *arrival) {
	if n := w.fd + 1 - len(a.waiting); n > 0 {
		a.waiting = append(a.waiting, make([]*arrival, n)...)
	}
	a.waiting[w.fd] = w
	a.alarm.add(&w.due)
}

// expire serves those whose time is over.
func (a *Arrivals) expire() {
	a.mu.Lock()
	over := a.alarm.over()
	for _, d := range over {
		a.waiting[d.of.(*arrival).fd] = nil
	}
	a.mu.Unlock()
	for _, d := range over {
		a.run.start(d.of.(*arrival).serve)
	}
}
