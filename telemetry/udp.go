package telemetry

import "sync/atomic"

// UDP counts the sessions that came in on one udp listener and went to one pool. Its methods may be
// called concurrently; they take no lock and do not allocate.
type UDP struct {
	listener, pool string
	shards         []udpShard
	drops          [dropCount]atomic.Uint64
}

// udpShard is what one shard writes. The two directions are carried by two goroutines, so their
// counters are on cache lines of their own.
type udpShard struct {
	in, out  udpWay
	outcomes [outcomeCount]atomic.Uint64
	_        [cacheLine]byte
}

// udpWay is one direction.
type udpWay struct {
	datagrams, bytes atomic.Uint64
	_                [cacheLine - 16]byte
}

// udpOutcomes are the ways in which a session of datagrams can end.
var udpOutcomes = [...]Outcome{
	OutcomeOK, OutcomeExpired, OutcomeEvicted, OutcomeBackendTimeout, OutcomeDraining, OutcomeDrainTimeout,
	OutcomeRebalanced, OutcomeDenied, OutcomeInternalError,
}

// DropReason says why a datagram went nowhere.
type DropReason uint8

// The reasons for dropping a datagram.
const (
	DropDenied      DropReason = iota // an address that an allow or deny list keeps out
	DropRate                          // more new sessions per second than the listener takes
	DropPerClient                     // as many sessions of this client address as one may have
	DropDescriptors                   // too close to the limit of open descriptors
	DropMemory                        // too close to the memory budget
	DropPorts                         // every port towards the backend is in use, or was until recently
	DropDraining                      // the listener or the process is stopping
	DropNoRoute                       // there is no pool
	DropNoBackendUp                   // no backend is eligible
	DropNoCapacity                    // the backends that are up take no new sessions, or are full
	DropBackend                       // it could not be sent to the backend
	DropClient                        // it could not be sent to the client
	DropMalformed                     // towards a quic pool: it is no packet of QUIC
	DropOverrun                       // the kernel had no room for it: datagrams come faster than they are carried

	dropCount
)

var dropNames = [dropCount]string{
	DropDenied:      "denied",
	DropRate:        "rate",
	DropPerClient:   "per_client",
	DropDescriptors: "descriptors",
	DropMemory:      "memory",
	DropPorts:       "ports",
	DropDraining:    "draining",
	DropNoRoute:     "no_route",
	DropNoBackendUp: "no_backend_up",
	DropNoCapacity:  "no_capacity",
	DropBackend:     "backend",
	DropClient:      "client",
	DropMalformed:   "malformed",
	DropOverrun:     "overrun",
}

// String is the label value. A value outside the set is "backend".
func (r DropReason) String() string {
	if r >= dropCount {
		r = DropBackend
	}
	return dropNames[r]
}

func newUDP(listener, pool string, shards int) *UDP {
	return &UDP{listener: listener, pool: pool, shards: make([]udpShard, shards)}
}

// Received counts datagrams from clients and their bytes.
func (u *UDP) Received(s Shard, datagrams, bytes uint64) { u.shard(s).in.add(datagrams, bytes) }

// Sent counts datagrams to clients and their bytes.
func (u *UDP) Sent(s Shard, datagrams, bytes uint64) { u.shard(s).out.add(datagrams, bytes) }

// Dropped counts datagrams that went nowhere.
func (u *UDP) Dropped(r DropReason, datagrams uint64) { u.drops[min(r, dropCount-1)].Add(datagrams) }

// Done counts a session that has ended.
func (u *UDP) Done(s Shard, o Outcome) {
	if o >= outcomeCount {
		o = OutcomeInternalError
	}
	u.shard(s).outcomes[o].Add(1)
}

func (u *UDP) shard(s Shard) *udpShard { return &u.shards[int(s)&(len(u.shards)-1)] }

func (w *udpWay) add(datagrams, bytes uint64) {
	w.datagrams.Add(datagrams)
	w.bytes.Add(bytes)
}

// UDPCounts is what a UDP has counted since it was made.
type UDPCounts struct {
	Ended             uint64 // sessions
	Received, Sent    uint64 // datagrams from and to clients
	BytesIn, BytesOut uint64 // their payload
	Dropped           uint64 // datagrams that went nowhere, whatever the reason
}

// Counts reads the counters.
func (u *UDP) Counts() UDPCounts {
	var c UDPCounts
	for i := range u.shards {
		s := &u.shards[i]
		c.Received += s.in.datagrams.Load()
		c.BytesIn += s.in.bytes.Load()
		c.Sent += s.out.datagrams.Load()
		c.BytesOut += s.out.bytes.Load()
	}
	for _, n := range u.outcomes() {
		c.Ended += n
	}
	for i := range u.drops {
		c.Dropped += u.drops[i].Load()
	}
	return c
}

// Outcome is how many sessions have ended in that way, which must be in the set.
func (u *UDP) Outcome(o Outcome) uint64 {
	totals := u.outcomes()
	return totals[o]
}

// Drops is how many datagrams were dropped for that reason, which must be in the set.
func (u *UDP) Drops(r DropReason) uint64 { return u.drops[r].Load() }

func (u *UDP) outcomes() (totals [outcomeCount]uint64) {
	for i := range u.shards {
		for o := range totals {
			totals[o] += u.shards[i].outcomes[o].Load()
		}
	}
	return totals
}

// udp sends what is counted of sessions; the bytes go with those of HTTP and TCP.
func (s *sink) udp(u *UDP) {
	if !s.wants(udpSessions, u.pool) {
		return
	}
	totals := u.outcomes()
	for _, o := range udpOutcomes {
		s.sendCount(udpSessions, totals[o], u.listener, u.pool, o.String())
	}
	c := u.Counts()
	s.sendCount(udpDatagrams, c.Received, u.listener, u.pool, "in")
	s.sendCount(udpDatagrams, c.Sent, u.listener, u.pool, "out")
	for r := range u.drops {
		s.sendCount(udpDropped, u.drops[r].Load(), u.listener, u.pool, dropNames[r])
	}
}
