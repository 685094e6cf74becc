package healthcheck

import (
	"context"
	"errors"
	"time"
)

// errReplyTooLong says that MaxBody bytes came and the expectation is not met.
var errReplyTooLong = errors.New("reply too long")

// readUntil reads at most limit bytes, until met says so (no error) or cannot any more. Asking it
// after each read would let a peer that drips cost time quadratic in limit, so after a look that
// took d the next comes no sooner than 4 d later: at most a fifth of a core. An error of met ends
// the reading.
func readUntil(ctx context.Context, l *link, limit int, met func([]byte) (bool, error)) ([]byte, error) {
	deadline, _ := ctx.Deadline()
	buf := make([]byte, 0, min(512, max(limit, 1)))
	var nextLook time.Time
	seen := 0 // bytes that have been looked at
	for {
		buf = grow(buf, limit)
		until := deadline
		if seen < len(buf) && nextLook.Before(deadline) {
			until = nextLook
		}
		n, err := readBefore(ctx, l, until, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		full := len(buf) >= limit
		now := time.Now()
		if len(buf) > seen && (err != nil || full || !now.Before(nextLook)) {
			if ok, err := met(buf); ok || err != nil {
				return buf, err
			}
			seen = len(buf)
			nextLook = time.Now().Add(4 * time.Since(now))
		}
		switch {
		case full:
			return buf, errReplyTooLong
		case err != nil && (!isTimeout(err) || ctx.Err() != nil || !time.Now().Before(deadline)):
			return buf, err
		}
	}
}

// readBefore is l.Read with a deadline of its own.
func readBefore(ctx context.Context, l *link, until time.Time, b []byte) (int, error) {
	if err := l.raw.SetReadDeadline(until); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err // the deadline that stops the probe may have been overwritten
	}
	return l.Read(b)
}

// grow makes room in buf for more, up to limit bytes in all.
func grow(buf []byte, limit int) []byte {
	if len(buf) < cap(buf) {
		return buf
	}
	bigger := make([]byte, len(buf), min(2*cap(buf), max(limit, 1)))
	copy(bigger, buf)
	return bigger
}
