package healthcheck

import "context"

// slots bounds how many probes run at a time. Probes that are likely to hang share a lane that is
// half as wide, so they always leave room for the others. Waiters are served in order.
type slots struct {
	all  chan struct{}
	slow chan struct{}
}

func newSlots(n int) *slots {
	return &slots{all: make(chan struct{}, n), slow: make(chan struct{}, max(n/2, 1))}
}

// enter takes a place, waiting for one if need be, after it has called onWait. It reports false if
// ctx ended first: then no place was taken. leave must be called with the same slow.
func (s *slots) enter(ctx context.Context, slow bool, onWait func()) bool {
	if slow && !take(ctx, s.slow, onWait) {
		return false
	}
	if take(ctx, s.all, onWait) {
		return true
	}
	if slow {
		<-s.slow
	}
	return false
}

// leave gives the place back.
func (s *slots) leave(slow bool) {
	<-s.all
	if slow {
		<-s.slow
	}
}

// take puts a token into lane.
func take(ctx context.Context, lane chan struct{}, onWait func()) bool {
	select {
	case lane <- struct{}{}:
		return true
	default:
	}
	onWait()
	select {
	case lane <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}
