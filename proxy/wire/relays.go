package wire

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxSets bounds the epoll sets of a Relays.
const maxSets = 64

// Relays is where the sockets of relays are waited for, and connects: epoll sets, each served by one goroutine. A relay
// has no goroutine of its own while nothing moves. Small messages are passed on by the goroutine of the set;
// what is larger, or under TLS, gets one for as long as it lasts.
//
// Anybody may use it at any time, but for Close.
type Relays struct {
	run  runners
	sets []*relaySet
	next atomic.Uint32
}

// NewRelays makes as many sets as Go code may use CPUs; Close ends it.
func NewRelays() (*Relays, error) {
	rs := &Relays{}
	for range min(runtime.GOMAXPROCS(0), maxSets) {
		s, err := newRelaySet(&rs.run)
		if err != nil {
			return nil, errors.Join(err, rs.Close())
		}
		rs.sets = append(rs.sets, s)
	}
	return rs, nil
}

// Go calls f in a goroutine of its own, which is used again.
func (rs *Relays) Go(f func()) { rs.run.start(f) }

// Spare is the number of goroutines that wait to be used again, and of those that serve sets.
func (rs *Relays) Spare() int { return rs.run.spares() + len(rs.sets) }

// Close ends the goroutines and waits for them. All relays must have ended, and whatever Go was given must
// come to its end.
func (rs *Relays) Close() error {
	rs.run.close()
	var err error
	for _, s := range rs.sets {
		err = errors.Join(err, s.close())
	}
	return err
}

// set is the one for the next relay.
func (rs *Relays) set() *relaySet { return rs.sets[int(rs.next.Add(1))%len(rs.sets)] }

// relaySet is an epoll set that is itself on the runtime's poller.
//
// Sockets are reported by edges: once when something has come after they were last reported. What an
// event says holds for the moment in which it was taken from the kernel, and whatever happens later makes
// another one.
type relaySet struct {
	run  *runners
	file *os.File
	raw  syscall.RawConn
	fd   int
	done chan struct{}

	mu      sync.Mutex // guards what follows
	waiting []waiting  // by descriptor
	marks   uint32     // given out
	alarm   alarm      // when relays are looked at
}

// waiting is who waits for what happens to a socket.
type waiting struct {
	hearer hearer // nil: nobody
	mark   uint32 // events of one who had the descriptor before have another
}

// hearer is told of the events of a socket. It must not block.
type hearer interface{ hear(events uint32) }

func newRelaySet(run *runners) (*relaySet, error) {
	fd, f, raw, err := newEpoll()
	if err != nil {
		return nil, err
	}
	s := &relaySet{run: run, fd: fd, file: f, raw: raw, done: make(chan struct{})}
	s.alarm.onRing(s.tick)
	go s.look()
	return s, nil
}

func (s *relaySet) close() error {
	s.alarm.timer.Stop()
	err := s.file.Close()
	<-s.done
	return err
}

// add waits for events of a socket. The mark is for change.
func (s *relaySet) add(fd uintptr, h hearer, events uint32) (mark uint32, e syscall.Errno) {
	s.mu.Lock()
	if n := int(fd) + 1 - len(s.waiting); n > 0 {
		s.waiting = append(s.waiting, make([]waiting, n)...)
	}
	s.marks++
	mark = s.marks
	s.waiting[fd] = waiting{h, mark}
	s.mu.Unlock()
	return mark, s.control(unix.EPOLL_CTL_ADD, fd, mark, events)
}

// change waits for other events. What there is of them already is reported.
func (s *relaySet) change(fd uintptr, mark, events uint32) syscall.Errno {
	return s.control(unix.EPOLL_CTL_MOD, fd, mark, events)
}

// remove waits no longer.
func (s *relaySet) remove(fd uintptr, h hearer) {
	s.mu.Lock()
	s.drop(fd, h)
	s.mu.Unlock()
	_ = s.control(unix.EPOLL_CTL_DEL, fd, 0, 0) // it fails for what was never added
}

// drop forgets h. mu must be held.
func (s *relaySet) drop(fd uintptr, h hearer) {
	if int(fd) < len(s.waiting) && s.waiting[fd].hearer == h {
		s.waiting[fd] = waiting{}
	}
}

func (s *relaySet) control(op int, fd uintptr, mark, events uint32) syscall.Errno {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: int32(mark)}
	_, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(s.fd), uintptr(op), fd, uintptr(unsafe.Pointer(&ev)), 0, 0)
	return e
}

// dueBy has r looked at at that time, or before.
func (s *relaySet) dueBy(r *Relay, at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.left || r.due.place != absent && r.due.at <= at {
		return
	}
	s.alarm.dues.remove(&r.due)
	r.due.at = at
	s.alarm.add(&r.due)
}

// forget ends all that is waited for. The descriptors leave the epoll set by being closed.
func (s *relaySet) forget(r *Relay) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.left = true
	s.alarm.dues.remove(&r.due)
	for i := range r.ways {
		s.drop(r.ways[i].fd, &r.ways[i])
	}
}

// tick looks at the relays that are due.
func (s *relaySet) tick() {
	s.mu.Lock()
	over := s.alarm.over()
	s.mu.Unlock()
	for _, d := range over {
		d.of.(*Relay).tick()
	}
}

// look passes on what comes, until the set is closed.
func (s *relaySet) look() {
	defer close(s.done)
	var events [64]unix.EpollEvent
	var hearers [len(events)]hearer
	_ = s.raw.Read(func(fd uintptr) bool {
		for {
			n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
			if e == syscall.EINTR {
				continue
			}
			if e != 0 {
				return false
			}
			raceWrite(unsafe.Slice((*byte)(unsafe.Pointer(&events[0])), unsafe.Sizeof(events)))
			s.find(events[:n], hearers[:n])
			for i, h := range hearers[:n] {
				if h != nil {
					h.hear(events[i].Events)
				}
			}
			clear(hearers[:n])
			// What has come meanwhile is an edge of the set itself, so it is not asked again.
			if int(n) < len(events) {
				return false
			}
		}
	})
}

// find fills in whom the events are for; nil: nobody any more.
func (s *relaySet) find(events []unix.EpollEvent, hearers []hearer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, ev := range events {
		if w := s.waiting[ev.Fd]; w.mark == uint32(ev.Pad) {
			hearers[i] = w.hearer
		}
	}
}
