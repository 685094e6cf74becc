package resolve

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Key names a backend that is a name.
type Key struct{ Pool, Backend string }

// String is pool/backend.
func (k Key) String() string { return k.Pool + "/" + k.Backend }

// State is what is known of a name.
type State uint8

// The states.
const (
	Resolving  State = iota // the first look-up is under way
	Resolved                // the last look-up had usable addresses
	Stale                   // the last look-up had none; those of an earlier one, perhaps of a process before, are in use
	Unresolved              // no look-up has had any
)

// String is resolving, resolved, stale or unresolved.
func (s State) String() string {
	return [...]string{"resolving", "resolved", "stale", "unresolved"}[min(s, Unresolved)]
}

// Status is what is known of a name, and why.
type Status struct {
	Key   Key
	Host  string
	Port  uint16
	State State
	Since time.Time // of that state
	// Reason says why there are no new addresses (Stale, Unresolved), or which are not used; empty: none.
	Reason    string
	Addresses []netip.Addr // of the last good answer, in order
	Asked     time.Time    // end of the last look-up; the zero time: there was none
}

// Result is the end of one look-up.
type Result struct {
	Status  // after it
	Outcome Outcome
	Took    time.Duration
	Changed bool // the state is another one
	// Added and Removed are the addresses that are new, and those that are gone.
	Added, Removed []netip.Addr
	// Unusable are the addresses of the answer that cannot be those of a backend.
	Unusable []netip.Addr
}

// name is one name that is followed. The resolver's mutex guards it.
type name struct {
	status   Status
	interval time.Duration
	answered bool // there was a look-up that ended
	failures int  // in a row
	note     string
	left     []string     // what Expand has not used, and why
	last     []netip.Addr // what an earlier process knew; used if the first look-up fails
	stop     context.CancelFunc
}

// firstRetry is the wait after the first failure; each further one doubles it, up to the interval.
const firstRetry = time.Second

// file takes over the outcome of a look-up that ended at a moment.
func (n *name) file(reply []netip.Addr, err error, at time.Time) Result {
	r := Result{Outcome: OK}
	got, reason := sift(reply), ""
	switch {
	case err != nil:
		r.Outcome, reason = explain(err)
	case len(got.addresses) == 0:
		r.Outcome, reason = Unusable, "the answer has no usable address: "+list(got.unusable)
	}
	r.Unusable = got.unusable
	n.answered = true
	s := &n.status
	s.Asked = at
	before := s.State
	if r.Outcome == OK {
		n.failures = 0
		r.Added, r.Removed = difference(got.addresses, s.Addresses), difference(s.Addresses, got.addresses)
		s.State, s.Addresses = Resolved, got.addresses
		n.note = got.note()
	} else {
		n.failures++
		if s.State == Resolving && len(n.last) > 0 {
			s.Addresses, r.Added = n.last, n.last
		}
		s.State = Unresolved
		if len(s.Addresses) > 0 {
			s.State = Stale
		}
		n.note = reason
	}
	if r.Changed = s.State != before; r.Changed {
		s.Since = at
	}
	r.Status = n.report()
	return r
}

// report is the status with all reasons.
func (n *name) report() Status {
	s := n.status
	s.Addresses = slices.Clone(s.Addresses)
	var parts []string
	if n.note != "" {
		parts = append(parts, n.note)
	}
	const most = 4
	parts = append(parts, n.left[:min(len(n.left), most)]...)
	if more := len(n.left) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more are not used", more))
	}
	s.Reason = strings.Join(parts, "; ")
	return s
}

// wait is the time to the next look-up, ± 10 %.
func (n *name) wait(random *rand.Rand) time.Duration {
	d := n.interval
	if n.failures > 0 {
		const most = 20 // doublings: over a week
		d = min(d, firstRetry<<min(n.failures-1, most))
	}
	return d - d/10 + time.Duration(random.Int64N(int64(d/5)+1))
}

// note says what of an answer is not used; empty: nothing.
func (a answer) note() string {
	var parts []string
	if len(a.unusable) > 0 {
		parts = append(parts, "not usable: "+list(a.unusable))
	}
	if a.surplus > 0 {
		parts = append(parts, fmt.Sprintf("%d addresses, of which the first %d are used", a.surplus+MaxAddresses, MaxAddresses))
	}
	return strings.Join(parts, "; ")
}

// list writes addresses for people, the first few of many.
func list(addrs []netip.Addr) string {
	const most = 4
	if len(addrs) == 0 {
		return "it is empty"
	}
	var words []string
	for _, a := range addrs[:min(len(addrs), most)] {
		words = append(words, a.String())
	}
	if more := len(addrs) - most; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, ", ")
}
