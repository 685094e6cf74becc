package healthcheck

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"weir/config"
)

// HistorySize is how many probes of a target are kept.
const HistorySize = 32

// ExcerptSize is how many bytes of a body Probe.Excerpt holds at most.
const ExcerptSize = 128

// Key names a target: a backend as a member of one pool.
type Key struct{ Pool, Backend string }

// String is pool/backend.
func (k Key) String() string { return k.Pool + "/" + k.Backend }

// Target is a backend to be probed.
type Target struct {
	Key  Key
	Addr netip.AddrPort // where probes go
	// Check says how. It and all that it refers to must not change any more.
	Check *config.HealthCheck
	// Backend is the address that serves traffic, and Host the name of which it is one of the addresses,
	// if it is. They are the identity of the target: one that differs in them starts anew, without state
	// or history. Probes ask for Host, unless the check says another name or they go to another IP.
	Backend netip.AddrPort
	Host    string
}

// host is the name that probes ask for, empty if it is the address.
func (t Target) host() string {
	if t.Addr.Addr().Unmap() != t.Backend.Addr().Unmap() {
		return ""
	}
	return strings.TrimSuffix(t.Host, ".")
}

// State is the verdict on a target.
type State uint8

// The states.
const (
	Checking State = iota // no probe has ended yet
	Up
	Down
)

// String is checking, up or down.
func (s State) String() string {
	switch s {
	case Checking:
		return "checking"
	case Up:
		return "up"
	case Down:
		return "down"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// The phases of a probe, in the order in which it passes through them.
const (
	PhaseConnect = "connect"
	PhaseTLS     = "tls"
	PhaseSend    = "send"
	PhaseReceive = "receive"
	PhaseStatus  = "status"
	PhaseBody    = "body"
)

// Probe is the outcome of one probe, or of one connection attempt of live traffic that failed.
// Unless Local is empty it says nothing about the backend, and counts neither for nor against it.
type Probe struct {
	At       time.Time // when it began
	Duration time.Duration
	OK       bool
	Phase    string // the last phase reached; if not OK, the one that went wrong
	Status   int    // HTTP status; 0: none received
	Excerpt  string // the first bytes received, at most ExcerptSize, made printable
	// Reason says what was sent, what came back and, if not OK, what was wanted:
	// GET http://10.0.0.12:8080/healthz → 503 "db pool exhausted" (want 200).
	Reason string
	// Local is what was missing on this side, such as "too many open files", or "cancelled". Empty:
	// the outcome is the backend's.
	Local string
}

// end is when the probe ended.
func (p Probe) end() time.Time { return p.At.Add(p.Duration) }

// Result is what one probe meant for its target.
type Result struct {
	Key     Key
	Backend netip.AddrPort // identity of the target that was probed
	Probe   Probe
	State   State // after the probe
	Changed bool  // this probe changed State
	// Message is one line for the log. It is empty for a success that was expected, for most
	// failures of a backend that stays down, and for all but the first of the probes in a row that
	// were not possible on this side.
	Message string
}

// Status is what is known of a target at a moment.
type Status struct {
	Target Target
	State  State
	Since  time.Time // of State
	// Streak counts the latest results in a row that spoke against State, out of the Fall (while
	// up) or Rise (while down) that would change it.
	Streak     int
	Rise, Fall int
	Reason     string  // why State is what it is
	Probes     []Probe // newest first, at most HistorySize
}
