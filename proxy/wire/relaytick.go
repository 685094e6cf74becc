package wire

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// idleTicks is in how many steps an idle time is measured. Each compares the bytes that have moved
	// with those of the one before, so that moving them takes neither a clock nor a timer.
	idleTicks = 16
	// slowTick is for a relay that may be idle for ever: it still wants to know of a lost side.
	slowTick = 30 * time.Second
)

// LastingAfter is when a relay is no longer one of those that are over soon.
const LastingAfter = time.Second

// halve begins to measure anew, after one side has ended. mu must be held.
func (r *Relay) halve() {
	r.since, r.moved = Now(), r.count()
	r.set.dueBy(r, r.since+int64(tickOf(r.bound())))
}

// tick looks whether anything has moved since the last time.
func (r *Relay) tick() {
	e, next := r.look()
	if next == 0 {
		r.end(e)
		return
	}
	r.set.dueBy(r, next)
}

// look returns when to look again, or 0 and how the relay ends.
func (r *Relay) look() (e Ending, next int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return Ending{}, 0
	}
	now, moved, bound := Now(), r.count(), r.bound()
	if !r.lasting && now-r.started >= int64(LastingAfter) {
		r.lasting = true
		if r.options.Lasting != nil {
			r.options.Lasting()
		}
	}
	if moved != r.moved {
		r.moved, r.since = moved, now
	} else if side, lost := r.lost(); lost {
		return Ending{CauseBroken, side, syscall.ECONNRESET}, 0
	}
	if bound > 0 && now-r.since >= int64(bound) {
		if r.halved() {
			return Ending{Cause: CauseHalfIdle, Side: r.fate.Side}, 0
		}
		return Ending{Cause: CauseIdle}, 0
	}
	return Ending{}, now + int64(tickOf(bound))
}

// lost finds a side that has been reset while nobody reads from it, because the other side does not
// take what it has sent. mu must be held.
func (r *Relay) lost() (Side, bool) {
	for s, c := range r.conns {
		if !r.halves[s] && c.failed() {
			return Side(s), true
		}
	}
	return 0, false
}

// bound is how long nothing may move; 0: for ever. mu must be held.
func (r *Relay) bound() time.Duration {
	if r.halved() && r.options.HalfClose > 0 {
		return r.options.HalfClose
	}
	return r.options.Idle
}

// halved reports whether a side has ended. mu must be held.
func (r *Relay) halved() bool { return r.halves[Client] || r.halves[Backend] }

func (r *Relay) count() uint64 { return r.ways[Client].moved.Load() + r.ways[Backend].moved.Load() }

func tickOf(bound time.Duration) time.Duration {
	if bound <= 0 {
		return slowTick
	}
	return max(bound/idleTicks, time.Millisecond)
}

// failed reports whether the connection was reset, or is lost. That both directions have ended says
// nothing: what the peer has sent may still be here, to be received.
func (c *Conn) failed() bool {
	failed := false
	_ = c.poll.control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd)}} // an error is always reported
		n, err := unix.Poll(p, 0)
		failed = err == nil && n > 0 && p[0].Revents&unix.POLLERR != 0
	})
	return failed
}
