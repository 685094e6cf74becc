package balancer

import (
	"errors"
	"fmt"
	"math"
	"net/netip"

	"weir/config"
)

// Explanation is what a pool does with a flow, and why. It describes one moment: what it reads of the
// loads and of the place of a rotation goes on meanwhile.
type Explanation struct {
	Snapshot *Snapshot
	Flow     Flow

	Pick    *Backend // nil: Refusal says why
	Refusal error    // one of those of Pool.Acquire
	Why     string   // in words: why this one, or why none

	Key   *Key   // of algorithms that hash; nil: of others
	Entry *Entry // in the table of the key; nil: there is no table
	Turn  *Turn  // of the rotation; nil: the algorithm, or this moment, has none

	Candidates []Candidate // all backends, in the order of the configuration
}

// Key is what a hash algorithm looks at.
type Key struct {
	Covers []string // each part with its value, in the order in which they are hashed
	Seed   uint64
	Hash   uint64
}

// Entry is where a key leads.
type Entry struct {
	Size   int // entries of the table
	Number int // of the one that has the key, from 0
	Owner  *Backend
	Ramp   *RampDecision // nil: Owner is not in its slow start
}

// RampDecision is how it is decided whether a backend in its slow start has one of its keys already.
type RampDecision struct {
	Draw     float64 // 0…1, fixed for key and backend
	Accepted float64 // 0…1, grows: the backend has the keys whose draw is below
	Taken    bool
	Number   int      // of the entry that has the key in the table of the backends that do not ramp
	Owner    *Backend // there; it has the key unless that is taken
}

// Turn is where the rotation stands. Explaining takes no turn.
type Turn struct {
	Place  int        // of the next pick in the cycle, from 0
	Length int        // of the cycle
	Next   []*Backend // whose turns come, the next one first; one whole cycle at most
}

// nextTurns is how many turns to come are shown.
const nextTurns = 8

// Candidate is a member of the snapshot, and why it can be picked or not.
type Candidate struct {
	Member
	Active int64   // leases that it holds
	Share  float64 // of new flows, or of all keys; 0…1, NaN: it depends on the load
	Why    string
}

// Explain says where the pool would send f, that Acquire was not asked for, and why. It changes nothing: no
// lease is counted, and it stays the turn of the same backend. It may cost milliseconds.
func (p *Pool) Explain(f Flow) Explanation {
	e := p.snapshot.Load().Explain(f)
	if e.Snapshot.bounded && p.queue.open.Load() != 0 && e.Refusal == nil {
		e.Pick, e.Refusal, e.Why = nil, ErrFull, "others wait in the queue already"
	}
	return e
}

// ExplainBackend says what AcquireBackend would for a session of b: nil, ErrNoBackendUp, ErrChecking or
// ErrFull.
func (p *Pool) ExplainBackend(b *Backend) error {
	if err := p.keeps(b); err != nil {
		return err
	}
	if b.full() {
		return ErrFull
	}
	return nil
}

// Explain is Pool.Explain for one snapshot. Flows that wait for the pool are not known to it.
func (s *Snapshot) Explain(f Flow) Explanation {
	e := Explanation{Snapshot: s, Flow: f, Refusal: s.refusal}
	if s.keyed {
		e.Key = &Key{Covers: f.parts(s.tuple), Seed: s.seed, Hash: f.hash(s.tuple, s.seed)}
	}
	var shares map[*Backend]float64
	switch p := s.picker.(type) {
	case *rotation:
		e.rotation(p)
		shares = p.shares()
	case *leastConnections:
		e.leastConnections(p)
	case *hashing:
		e.hashing(p)
		shares = p.shares()
	}
	for _, m := range s.members {
		c := Candidate{Member: m, Active: m.Backend.Active(), Why: m.why(s.tier, s.refusal)}
		if c.Share = shares[m.Backend]; m.Eligible && shares == nil {
			c.Share = math.NaN()
		}
		e.Candidates = append(e.Candidates, c)
	}
	if e.Pick == nil && e.Refusal == nil {
		e.Refusal = ErrFull // every picker finds one of the eligible, unless all are full
	}
	if e.Why == "" && e.Refusal != nil {
		e.Why = refusalWords(e.Refusal)
	}
	return e
}

// refusalWords says what a flow meets instead of a backend.
func refusalWords(err error) string {
	switch {
	case errors.Is(err, ErrChecking):
		return err.Error() + ": the flow waits for the first verdict"
	case errors.Is(err, ErrFull):
		return err.Error() + ": the flow waits for one, if the queue has room"
	}
	return err.Error()
}

// why says why a member takes new flows, or does not, while serving is the tier that serves.
func (m Member) why(serving Tier, refusal error) string {
	switch {
	case m.Eligible && serving == TierFailOpen:
		return "every backend that is not in maintenance serves, because too few are healthy (min_healthy)"
	case m.Eligible && m.Backend.full():
		return fmt.Sprintf("has its maximum of %d", m.Backend.Limit())
	case m.Eligible && serving == TierBackup:
		return "backup, and no primary can serve"
	case m.Eligible && serving == TierDraining:
		return "drains, and no other can serve"
	case m.Eligible:
		return "up and ready" + m.ramped()
	case m.State == config.Maintenance:
		return "in maintenance"
	case m.Weight == 0:
		return "weight 0 takes no new flows"
	case m.Health == Down:
		return "down"
	case m.Health == Checking:
		return "has had no verdict yet"
	case m.Ejected:
		return "ejected, because live traffic failed on it" + m.readmission()
	case m.State == config.Drain:
		return "drains, and others serve"
	case m.Backup:
		return "backup, and primaries serve"
	case refusal != nil:
		return refusal.Error()
	}
	return "not of the backends that serve"
}

// ramped is how far a slow start has come.
func (m Member) ramped() string {
	if m.Ramp == 1 {
		return ""
	}
	return fmt.Sprintf(", in its slow start with %.0f %% of its weight", 100*m.Ramp)
}

// readmission is when an ejection ends.
func (m Member) readmission() string {
	e := m.Backend.Ejection()
	if e == nil {
		return ""
	}
	return fmt.Sprintf(" (%s), until %s", e.Why, e.Until.UTC().Format("15:04:05 UTC"))
}

// parts names what hash looks at.
func (f *Flow) parts(t Tuple) []string {
	if t == ConnectionID {
		return []string{fmt.Sprintf("connection ID %#x", f.CID)}
	}
	parts := []string{"source " + plain(f.Src.Addr())}
	if t == SourceIP {
		return parts
	}
	parts = append(parts, "destination "+plain(f.Dst.Addr()))
	if t == TwoTuple {
		return parts
	}
	parts = append(parts, fmt.Sprintf("protocol %d", f.Proto))
	if t == ThreeTuple {
		return parts
	}
	return append(parts, fmt.Sprintf("source port %d", f.Src.Port()), fmt.Sprintf("destination port %d", f.Dst.Port()))
}

// plain is an address as it is hashed: without zone, IPv4 in IPv6 as IPv4.
func plain(a netip.Addr) string {
	if !a.IsValid() {
		return "::"
	}
	return a.Unmap().WithZone("").String()
}
