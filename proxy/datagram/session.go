package datagram

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"weir/balancer"
	"weir/proxy/admit"
	"weir/proxy/wire"
	"weir/telemetry"
)

// session is one client on one backend. Its memory is about 500 bytes, and a socket of the kernel.
type session struct {
	clients  atomic.Pointer[Clients] // whose table it is in; it changes with mu held
	site     *Site                   // that it began with, as are the settings
	pool     *Pool
	settings *settings
	peer     *peer
	lease    balancer.Lease
	conn     wire.UDPConn
	port     uint16 // of this side towards the backend
	shard    telemetry.Shard
	loop     *loop
	slot     uint32 // in the loop; its mu must be held
	started  int64  // on wire.Now's clock, as are all times
	counted  *admit.Connections

	refs  atomic.Int32
	fate  atomic.Pointer[cause] // why it has ended
	reply atomic.Pointer[way]
	used  atomic.Int64 // last datagram either way
	owed  atomic.Int64 // replies that are to come, if their number is known; settled: it has ended
	fails atomic.Bool  // the backend was not there when it was last heard of

	in, out direction

	// Those of the loop's goroutine.
	turn  bool  // it is one of those that have something
	bulk  bool  // replies have come several at a time
	noted int64 // when a reply has last renewed the place in the order of use

	mu     sync.Mutex // held while it moves in the table
	client netip.AddrPort
	hash   uint64

	// Those of the table, guarded by the shard that hash names.
	key          wire.UDPKey
	attached     bool
	chain        *session // next with the same bucket
	newer, older *session
	seen         int64 // when it was last made the newest

	// Those of the peer, guarded by its mu.
	next, prev *session

	quic quicState
}

// way is where replies go: the socket that the client has used, and itself.
type way struct {
	socket *Socket
	peer   *wire.UDPPeer
}

// direction counts what went one way.
type direction struct{ datagrams, bytes atomic.Int64 }

func (d *direction) add(datagrams, bytes int) {
	d.datagrams.Add(int64(datagrams))
	d.bytes.Add(int64(bytes))
}

// cause is why a session ends.
type cause struct {
	outcome telemetry.Outcome
	by      string // who ended it, in the word of the access log
	reason  string
}

// Who can end a session.
const (
	byBackend = "backend"
	byIdle    = "idle"
	byDrain   = "drain"
	byWeir    = "weir"
)

// Why sessions end.
var (
	endExpired    = &cause{telemetry.OutcomeExpired, byIdle, ""}
	endUnanswered = &cause{telemetry.OutcomeBackendTimeout, byIdle, "replies that were expected did not come"}
	endAnswered   = &cause{telemetry.OutcomeOK, byBackend, ""}
	endEvicted    = &cause{telemetry.OutcomeEvicted, byWeir, "made room for a new session"}
	endReplaced   = &cause{telemetry.OutcomeEvicted, byWeir, "another connection came from the address of its client"}
	endDenied     = &cause{telemetry.OutcomeDenied, byWeir, "a list keeps its client out since"}
	endYielded    = &cause{telemetry.OutcomeEvicted, byWeir, "a new listener has its port"}
	endStopped    = &cause{telemetry.OutcomeDraining, byWeir, "the listener has stopped"}
	endDrained    = &cause{telemetry.OutcomeDrainTimeout, byDrain, "drain_timeout of the backend had passed"}
	endRebalanced = &cause{telemetry.OutcomeRebalanced, byWeir, "the backend went down or was removed"}
	endRefused    = &cause{telemetry.OutcomeRebalanced, byBackend, "nobody listened on the backend"}
	endHandedOver = &cause{telemetry.OutcomeOK, byWeir, "another process goes on with it"} // nothing has ended
	endDefect     = &cause{telemetry.OutcomeInternalError, byWeir, "a defect of weir: see its log"}
)

// settled stands in owed for a session that has had all its replies.
const settled = -1 << 62

// hold makes sure that the session is not closed before release. It may be called only while
// somebody else holds it.
func (s *session) hold() { s.refs.Add(1) }

// release ends a hold.
func (s *session) release() {
	if s.refs.Add(-1) == 0 {
		s.close()
	}
}

// end takes the session out of service, unless it is already, and reports whether it was this call.
func (s *session) end(why *cause) bool {
	if !s.remove() {
		return false
	}
	s.ended(why)
	return true
}

// ended is what follows when the session has been taken out of the table.
func (s *session) ended(why *cause) {
	s.fate.Store(why)
	s.loop.remove(s)
	if why == endHandedOver {
		_ = s.loop.poll.Remove(s.conn) // or it would report replies that are not for us
	}
	s.peer.leave(s)
	s.pool.forgetIDs(s)
	s.release()
}

// close is the end: nobody holds the session any more.
func (s *session) close() {
	s.conn.Close()
	now := wire.Now()
	s.peer.ports.vacate(s.port, s.used.Load()+int64(s.site.quarantine()))
	c := s.clients.Load()
	c.engine.Descriptors.Leave(1)
	s.lease.Release()
	s.counted.Leave(s.client.Addr())
	if why := s.fate.Load(); why != endHandedOver {
		s.site.target.stats.Done(s.shard, why.outcome)
		if l := c.engine.accessLog(); l != nil {
			s.log(l, why, now)
		}
	}
	s.site.stats.ConnectionClosed(s.shard)
	c.gone()
}

// log writes the line of the session.
func (s *session) log(l *telemetry.AccessLog, why *cause, now int64) {
	l.Write(&telemetry.Entry{
		Time: wire.Time(s.started), Listener: s.site.name, Client: s.client, Proto: "UDP",
		In: s.in.bytes.Load(), Out: s.out.bytes.Load(), Received: s.in.datagrams.Load(), Sent: s.out.datagrams.Load(),
		Total: time.Duration(now - s.started), Pool: s.pool.stats.Name(), Backend: s.lease.Backend().Name(), Attempts: 1,
		Outcome: why.outcome, Reason: why.reason, EndedBy: why.by,
	})
}

// source is the address of the client.
func (s *session) source() netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client.Addr()
}

// expired is why a session ends that nothing has come for.
func (s *session) expired() *cause {
	if s.site.responses > 0 && s.out.datagrams.Load() < s.in.datagrams.Load()*int64(s.site.responses) {
		return endUnanswered
	}
	return endExpired
}
