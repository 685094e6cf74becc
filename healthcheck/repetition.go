package healthcheck

import (
	"regexp"
	"time"
)

// repeatEvery is the longest silence about a backend that stays down, unless its probes are rarer.
const repeatEvery = 10 * time.Minute

// repetition decides which of the failures of a backend that is down already are worth a line: one
// that differs from the result before it, the 2nd, 4th, 8th … of all, and one each repeatEvery. It
// is pure; with the zero value the next failure is said.
type repetition struct {
	count int         // failures since the state changed, without the one that changed it
	last  failureKind // zero: there was no failure, or something else came in between
	said  time.Time
}

// restart begins anew after p changed the state, which is always said.
func (r *repetition) restart(p Probe, at time.Time) {
	*r = repetition{last: kindOf(p), said: at}
}

// interrupt makes the next failure be said.
func (r *repetition) interrupt() { r.last = failureKind{} }

// failed counts the failure p and reports whether to say it.
func (r *repetition) failed(p Probe, at time.Time) (say bool) {
	r.count++
	kind := kindOf(p)
	say = kind != r.last || r.count > 1 && r.count&(r.count-1) == 0 || at.Sub(r.said) >= repeatEvery
	r.last = kind
	if say {
		r.said = at
	}
	return say
}

// failureKind is what makes two failures the same for people.
type failureKind struct {
	phase  string
	status int
	text   string
}

// counters are the words that differ each time without meaning a difference: many health pages
// carry the time, an uptime or the number of the request.
var counters = regexp.MustCompile(`[0-9A-Za-z]*[0-9][0-9A-Za-z]*`)

func kindOf(p Probe) failureKind {
	return failureKind{p.Phase, p.Status, counters.ReplaceAllLiteralString(p.Reason, "#")}
}
