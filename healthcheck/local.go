package healthcheck

import (
	"context"
	"errors"
	"syscall"
)

// causeCancelled is the cause of a probe that ended because nobody waits for it any more.
const causeCancelled = "cancelled"

// causePanic is that of a probe that met a defect of ours.
const causePanic = "a defect in the probe (panic)"

// localErrors are what the kernel says when this machine has no descriptor, memory, buffer or local
// port left. No peer can bring them about.
var localErrors = [...]syscall.Errno{
	syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.EADDRNOTAVAIL,
}

// localCause names what was missing on this side if that is what err is about; empty: it is not.
func localCause(err error) string {
	if errors.Is(err, context.Canceled) {
		return causeCancelled
	}
	for _, errno := range localErrors {
		if errors.Is(err, errno) {
			return errno.Error()
		}
	}
	return ""
}

// failure completes out with the sentence about it: what was sent and what came. err is what made
// it fail, nil if that was an answer; it tells failures on this side from those of the backend.
func failure(ctx context.Context, out Probe, sent, came string, err error) Probe {
	// A cancelled probe sees its deadline pass, and must not call that the peer's silence.
	if errors.Is(ctx.Err(), context.Canceled) {
		came, err = "cancelled, the check has ended", ctx.Err()
	}
	out.Local = localCause(err)
	out.Reason = sent + " → " + came
	return out
}
