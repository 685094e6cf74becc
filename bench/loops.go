package bench

import (
	"context"
	"errors"
	"time"
)

// Waits after failures in a row on one connection, doubling, so that a dead server is not hammered.
const (
	firstBackoff = 10 * time.Millisecond
	lastBackoff  = time.Second
)

// closedLoop sends the next request as soon as the last response is there.
func (r *run) closedLoop(ctx context.Context, c client) {
	var wait backoff
	for from := time.Now(); !r.ended(); {
		end, ok := r.exchange(ctx, c, from, from)
		if !ok {
			wait.pause(r.over)
			end = time.Now()
		} else {
			wait = 0
		}
		from = end
	}
}

// openLoop sends a request for each ticket that it gets.
func (r *run) openLoop(ctx context.Context, c client) {
	var wait backoff
	for due := range r.pace.tickets {
		if _, ok := r.exchange(ctx, c, due, time.Now()); ok {
			wait = 0
			continue
		}
		wait.pause(r.over)
	}
}

// exchange does one exchange that counts from the given instant, accounts for it and returns when
// it ended, and whether it brought a usable response.
func (r *run) exchange(ctx context.Context, c client, from, now time.Time) (end time.Time, ok bool) {
	rep, resent, err := c.exchange(ctx, now)
	end = time.Now()
	if resent {
		r.rec.reconnected()
	}
	if err == nil {
		r.rec.add(from, end, rep)
		return end, true
	}
	if ctx.Err() != nil {
		return end, false // cut by the end of the run: no fault of the server
	}
	f, known := errors.AsType[*failure](err)
	if !known {
		panic("bench: an exchange failed without a kind: " + err.Error())
	}
	r.rec.fail(f.kind, err)
	return end, false
}

func (r *run) ended() bool {
	select {
	case <-r.over:
		return true
	default:
		return false
	}
}

// backoff is the last wait after failures in a row; 0: there was none.
type backoff time.Duration

// pause waits, twice as long as the last time, unless the run is over.
func (b *backoff) pause(over <-chan struct{}) {
	*b = min(max(2**b, backoff(firstBackoff)), backoff(lastBackoff))
	t := time.NewTimer(time.Duration(*b))
	defer t.Stop()
	select {
	case <-t.C:
	case <-over:
	}
}
