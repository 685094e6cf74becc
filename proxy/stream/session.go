package stream

import (
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"weir/balancer"
	"weir/proxy/admit"
	"weir/proxy/wire"
	"weir/telemetry"
)

// session is one connection of a client. It belongs to the goroutine that runs it, and then to its
// relay, but for the fields that are atomic.
type session struct {
	clients *Clients
	site    *Site
	client  *wire.Conn
	src     netip.AddrPort     // the client, also behind a proxy that says so
	dst     netip.AddrPort     // what the client connected to, if a proxy says so; else see local
	sni     string             // that the client asks for, if that was looked at
	alpn    string             // protocol that was agreed on with the client; empty: none
	counted *admit.Connections // where the connection of this client is counted
	shard   telemetry.Shard

	target   *target
	settings *settings
	lease    balancer.Lease // the zero value: none
	peer     *peer          // that it has joined; nil: none
	backend  *wire.Conn     // nil: none
	layers   [2]wire.Layer  // TLS, where it is spoken
	attempts int
	last     string // name of the backend tried last

	started int64 // ns, on wire.Now's clock, as are the following
	queue   int64
	connect int64
	over    bool // finish has begun

	before, after *session // in the list of its Clients, whose mu guards them

	fate   atomic.Pointer[cause]         // why it is ended from outside
	ended  atomic.Pointer[chan struct{}] // closed, by whoever takes it out, when fate is set; nil: nobody waits
	dialed atomic.Pointer[wire.Conn]     // to a backend, while it is being made
	relay  atomic.Pointer[wire.Relay]    // nil: not yet
}

// cause is why a session ended before its time, or did not begin.
type cause struct {
	outcome telemetry.Outcome
	by      string // who ended it, in the word of the access log
	reason  string
}

// What ends a session from outside.
var (
	cutStopped    = &cause{telemetry.OutcomeDraining, byWeir, "cut off: the time to finish had passed"}
	cutDrained    = &cause{telemetry.OutcomeDrainTimeout, byDrain, "cut off: drain_timeout of the backend had passed"}
	cutLeft       = &cause{telemetry.OutcomeClientClosed, byClient, "the client left before it had a backend"}
	cutRebalanced = &cause{telemetry.OutcomeRebalanced, byWeir, "cut off: the backend went down or was removed"}
)

// Who can end a session.
const (
	byClient  = "client"
	byBackend = "backend"
	byIdle    = "idle"
	byDrain   = "drain"
	byWeir    = "weir"
)

// run serves the session until its relay is on its own.
func (s *session) run() {
	defer s.recovered()
	why, err := s.begin()
	if why == nil {
		why, err = s.open()
	}
	if why != nil {
		s.finish(s.verdict(why, err))
		return
	}
	in, out := s.target.stats.Bytes(s.shard)
	e := s.clients.engine
	r := e.Relays.NewRelay(s.client, s.backend, wire.RelayOptions{
		Idle: s.site.idle, HalfClose: s.settings.timeouts.HalfClose, Pipes: e.Pipes,
		Layers: s.layers, Totals: [2]*atomic.Uint64{in, out}, Lasting: s.lasting, Panicked: s.panicked,
	})
	s.relay.Store(r)
	if s.fate.Load() != nil {
		r.Stop() // whoever set it may not have seen the relay
	}
	r.Start(s.relayed)
}

// lasting is called when the relay has lasted for a while.
func (s *session) lasting() { s.site.tuneLasting(s.client, s.backend) }

// relayed is called when the relay has ended.
func (s *session) relayed(e wire.Ending) { s.finish(s.judge(e)) }

// cut ends the session from outside, at any time, and reports whether it is what ends it.
func (s *session) cut(why *cause) bool {
	if !s.fate.CompareAndSwap(nil, why) {
		return false
	}
	s.tellEnded()
	if c := s.dialed.Load(); c != nil {
		c.Shutdown()
	}
	if r := s.relay.Load(); r != nil {
		r.Stop()
	} else {
		s.client.Reset() // it may be waited for
	}
	return true
}

// untilCut returns what is closed when the session is ended from outside. Only its own goroutine asks, to wait.
func (s *session) untilCut() <-chan struct{} {
	c := make(chan struct{})
	s.ended.Store(&c)
	if s.fate.Load() != nil {
		s.tellEnded() // whoever set it may not have seen the channel
	}
	return c
}

func (s *session) tellEnded() {
	if c := s.ended.Swap(nil); c != nil {
		close(*c)
	}
}

// gonePatience is how long a session waits, for a place or a connection, until its client is watched: one that
// is gone by then is not waited for. A half-close is nothing to go by: it may have sent all that it has to.
const gonePatience = 100 * time.Millisecond

// watch watches the client until the result is called.
func (s *session) watch() (end func()) {
	w := s.clients.engine.Watcher
	if w == nil {
		return func() {}
	}
	return w.WatchResetLate(s.client, gonePatience, func() { s.cut(cutLeft) }).End
}

// local is what the client connected to.
func (s *session) local() netip.AddrPort {
	if s.dst.IsValid() {
		return s.dst
	}
	return s.client.Local()
}

// recovered ends this session, and only this one, on a defect of ours.
func (s *session) recovered() {
	if v := recover(); v != nil {
		s.panicked(v)
		if !s.over {
			s.finish(failed(causeDefect))
		}
	}
}

func (s *session) panicked(v any) {
	e := s.clients.engine
	e.Telemetry.Panic()
	e.Log.Error("panic while serving a connection; it was closed",
		zap.Any("panic", v), zap.Stringer("client", s.src), zap.ByteString("stack", debug.Stack()))
}
