package session

import "weir/balancer"

// Bond is what binds the client of one flow to a backend, while the flow looks for one. It belongs to one
// goroutine. The zero value binds nobody.
//
// A flow acquires a lease on Backend if there is one, and claims the backend of its lease before it
// connects. If Claim says no, another flow of the client was faster: the lease is given back, and one on
// what Backend is then acquired instead. If connecting fails the flow says Failed, and goes on looking.
type Bond struct {
	all     *Addresses // nil: there is no persistence
	key     Key
	on      *balancer.Backend // that the client is on; nil: none
	before  *balancer.Backend // the same, before the claim
	claimed bool
	ceded   int // how often another flow was faster
}

// mostCeded is how often a flow lets others decide: while backends come and go, two could otherwise run
// after each other.
const mostCeded = 3

// Backend is where the flow is to go, nil if any will do.
func (b *Bond) Backend() *balancer.Backend { return b.on }

// Claim puts the client on the backend that its flow has a lease on, at the time now, in ns. It reports
// false if the client is on another one by then.
func (b *Bond) Claim(got *balancer.Backend, now int64) bool {
	if b.all == nil || got == b.on {
		return true
	}
	if b.ceded == mostCeded {
		b.Take(got, now)
		return true
	}
	on, claimed := b.all.table.Claim(b.key, b.on, got, now)
	if on != got {
		b.on = on
		b.ceded++
		return false
	}
	b.before, b.on, b.claimed = b.on, got, claimed
	return true
}

// Take is Claim for a flow that can go nowhere else.
func (b *Bond) Take(got *balancer.Backend, now int64) {
	if b.all == nil || got == b.on {
		return
	}
	b.all.table.Put(b.key, got, now)
	b.before, b.on, b.claimed = b.on, got, true
}

// Failed says that the flow did not come about on the backend that it has claimed: the client is where it
// was before.
func (b *Bond) Failed() {
	if b.claimed {
		b.all.table.Disclaim(b.key, b.on, b.before)
		b.on, b.claimed = b.before, false
	}
}

// Result says what became of the client's session, once its flow has come about.
type Result uint8

// The results.
const (
	None Result = iota // there is no persistence
	Hit                // it went to the backend that the client was on
	New                // the client was on none
	Lost               // that backend could not be used, and the client is on another one
)

// Result is that of a flow that has come about.
func (b *Bond) Result() Result {
	switch {
	case b.all == nil:
		return None
	case !b.claimed:
		return Hit
	case b.before == nil:
		return New
	}
	return Lost
}
