package telemetry

import "sync/atomic"

// TCP counts the connections that came in on one listener and went to one pool, at layer 4. Its
// methods may be called concurrently; they take no lock and do not allocate.
type TCP struct {
	listener, pool string
	shards         []tcpShard
}

// tcpShard is what one shard writes. The two directions of a connection are carried by two
// goroutines, so their counters are on cache lines of their own.
type tcpShard struct {
	in       count
	out      count
	outcomes [outcomeCount]atomic.Uint64
	_        [cacheLine]byte
}

// tcpOutcomes are the ways in which a connection at layer 4 can end.
var tcpOutcomes = [...]Outcome{
	OutcomeOK, OutcomeRetriedOK, OutcomeClientClosed, OutcomeClientTimeout, OutcomeBackendConnect, OutcomeBackendTLS,
	OutcomeBackendReset, OutcomeNoBackendUp, OutcomeNoCapacity, OutcomeQueueTimeout, OutcomeNoRoute, OutcomeDraining,
	OutcomeOverload, OutcomeBadRequest, OutcomeDenied, OutcomeRateLimited, OutcomeInternalError, OutcomeIdle, OutcomeHalfClosed, OutcomeDrainTimeout, OutcomeRebalanced,
}

func newTCP(listener, pool string, shards int) *TCP {
	return &TCP{listener: listener, pool: pool, shards: make([]tcpShard, shards)}
}

// Done counts a connection that has ended.
func (t *TCP) Done(s Shard, o Outcome) {
	if o >= outcomeCount {
		o = OutcomeInternalError
	}
	t.shard(s).outcomes[o].Add(1)
}

// Bytes are the counters of the bytes from and to clients, to be added to as they move.
func (t *TCP) Bytes(s Shard) (in, out *atomic.Uint64) {
	sh := t.shard(s)
	return &sh.in.Uint64, &sh.out.Uint64
}

func (t *TCP) shard(s Shard) *tcpShard { return &t.shards[int(s)&(len(t.shards)-1)] }

// TCPCounts is what a TCP has counted since it was made.
type TCPCounts struct {
	Ended   uint64 // connections
	Failed  uint64 // of them, those whose outcome is not a success
	In, Out uint64 // bytes from and to clients
}

// Counts reads the counters.
func (t *TCP) Counts() TCPCounts {
	var c TCPCounts
	c.In, c.Out = t.bytes()
	for o, n := range t.outcomes() {
		c.Ended += n
		if !Outcome(o).Success() {
			c.Failed += n
		}
	}
	return c
}

// Outcome is how many connections have ended in that way, which must be in the set.
func (t *TCP) Outcome(o Outcome) uint64 {
	totals := t.outcomes()
	return totals[o]
}

func (t *TCP) bytes() (in, out uint64) {
	for i := range t.shards {
		in += t.shards[i].in.Load()
		out += t.shards[i].out.Load()
	}
	return in, out
}

func (t *TCP) outcomes() (totals [outcomeCount]uint64) {
	for i := range t.shards {
		for o := range totals {
			totals[o] += t.shards[i].outcomes[o].Load()
		}
	}
	return totals
}

// Connection counts how a connection at layer 4 ended for the backend: the outcomes backend_reset and
// backend_timeout are its errors.
func (b *Backend) Connection(s Shard, o Outcome) {
	switch o {
	case OutcomeBackendReset:
		b.shard(s).errors[backendErrorReset].Add(1)
	case OutcomeBackendTimeout:
		b.shard(s).errors[backendErrorTimeout].Add(1)
	}
}

// Rebalanced counts n flows that were taken off a backend because it went down or was removed.
func (p *Pool) Rebalanced(n int) { p.rebalanced.Add(uint64(n)) }

// tcp sends the outcomes; the bytes go with those of HTTP.
func (s *sink) tcp(t *TCP) {
	if !s.wants(tcpConnections, t.pool) {
		return
	}
	totals := t.outcomes()
	for _, o := range tcpOutcomes {
		s.sendCount(tcpConnections, totals[o], t.listener, t.pool, o.String())
	}
}

// bytes sends what was exchanged with clients. A listener whose protocol has changed has counted in
// both ways.
func (s *sink) bytes(http []*HTTP, tcp []*TCP, udp []*UDP) {
	type sum struct{ in, out uint64 }
	sums := map[httpKey]sum{}
	add := func(k httpKey, in, out uint64) {
		before := sums[k]
		sums[k] = sum{before.in + in, before.out + out}
	}
	for _, h := range http {
		in, out := h.bytes()
		add(httpKey{h.listener, h.pool}, in, out)
	}
	for _, t := range tcp {
		in, out := t.bytes()
		add(httpKey{t.listener, t.pool}, in, out)
	}
	for _, u := range udp {
		c := u.Counts()
		add(httpKey{u.listener, u.pool}, c.BytesIn, c.BytesOut)
	}
	for k, n := range sums {
		s.sendCount(bytesTotal, n.in, k.listener, k.pool, "in")
		s.sendCount(bytesTotal, n.out, k.listener, k.pool, "out")
	}
}
