package telemetry

import "sync/atomic"

// SessionResult says what became of a request's session, in a pool with session persistence.
type SessionResult uint8

// The results.
const (
	SessionHit  SessionResult = iota // the request went to the backend of its session
	SessionNew                       // the request had no session and got one
	SessionLost                      // the backend of its session could not be used

	sessionCount
)

var sessionNames = [sessionCount]string{SessionHit: "hit", SessionNew: "new", SessionLost: "lost"}

// String is the label value. A value outside the set is "lost": a defect must not pass for a hit.
func (r SessionResult) String() string { return sessionNames[min(r, SessionLost)] }

// sessionShard is what one shard writes for a request.
type sessionShard struct {
	results [sessionCount]atomic.Uint64
	_       [cacheLine - sessionCount*8%cacheLine]byte
}

// Session counts a request to a pool with session persistence. It is one atomic addition, and
// allocates nothing.
func (p *Pool) Session(s Shard, r SessionResult) {
	p.sessions[int(s)&(len(p.sessions)-1)].results[min(r, SessionLost)].Add(1)
}

func (p *Pool) sessionTotals() [sessionCount]uint64 {
	var totals [sessionCount]uint64
	for i := range p.sessions {
		for result := range totals {
			totals[result] += p.sessions[i].results[result].Load()
		}
	}
	return totals
}

// sessions sends nothing for a pool without persistence; from the first request on, every result.
func (s *sink) sessions(p *Pool) {
	totals := p.sessionTotals()
	if totals == [sessionCount]uint64{} {
		return
	}
	for result, n := range totals {
		s.sendCount(sessionsTotal, n, p.name, sessionNames[result])
	}
}
