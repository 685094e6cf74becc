package stream

import (
	"errors"
	"strings"
	"syscall"
	"time"

	"weir/balancer"
	"weir/proxy/wire"
	"weir/telemetry"
)

// How long, and how much, a client may go on sending that is told why it is not served.
const (
	lingerBytes = 64 << 10
	lingerTime  = 2 * time.Second
)

// end is how a session ended, as it is told.
type end struct {
	cause
	orderly bool // both sides have ended; else they are reset
	linger  bool // but the client may have to be told why
}

// failed is an end that is no end as it should be.
func failed(c *cause) end { return end{cause: *c} }

// verdict is the end of a session that did not come about.
func (s *session) verdict(why *cause, err error) end {
	if f := s.fate.Load(); f != nil {
		return failed(f)
	}
	e := failed(why)
	e.linger = why == causeHandshake // by an alert, which a reset could overtake
	if err != nil {
		e.reason += ": " + bounded(err.Error())
	}
	return e
}

// maxDetail bounds what an error adds to a reason, in bytes: those of TLS quote what the client has sent.
const maxDetail = 200

// bounded is the beginning of a text.
func bounded(text string) string {
	if len(text) <= maxDetail {
		return text
	}
	return strings.ToValidUTF8(text[:maxDetail], "") + "…"
}

// judge says in the words of the telemetry how a relay ended.
func (s *session) judge(r wire.Ending) end {
	if f := s.fate.Load(); f != nil && r.Cause == wire.CauseStopped {
		return failed(f)
	}
	by := byClient
	if r.Side == wire.Backend {
		by = byBackend
	}
	switch r.Cause {
	case wire.CauseEnd:
		outcome := telemetry.OutcomeOK
		if s.attempts > 1 {
			outcome = telemetry.OutcomeRetriedOK
		}
		return end{cause: cause{outcome: outcome, by: by}, orderly: true}
	case wire.CauseIdle:
		return failed(&cause{telemetry.OutcomeIdle, byIdle, "no byte came either way for too long"})
	case wire.CauseHalfIdle:
		return failed(&cause{telemetry.OutcomeHalfClosed, byIdle, "the " + by + " had ended, and no byte of the other side came for too long"})
	case wire.CauseBroken:
		outcome := telemetry.OutcomeClientClosed
		if r.Side == wire.Backend {
			outcome = telemetry.OutcomeBackendReset
		}
		return failed(&cause{outcome, by, "the connection of the " + by + " broke: " + bounded(s.fault(r).Error())})
	}
	return failed(causeDefect)
}

// fault is why a connection broke: under TLS what was wrong with that.
func (s *session) fault(r wire.Ending) error {
	if l, ok := s.layers[r.Side].(*wire.Secure); ok && errors.Is(r.Err, syscall.ECONNABORTED) && l.Fault() != nil {
		return l.Fault()
	}
	return r.Err
}

// finish closes, gives everything back and counts. It is the end of the session.
func (s *session) finish(e end) {
	s.over = true
	c := s.clients
	if s.backend != nil {
		shut(s.backend, e.orderly)
		s.peer.leave(s)
		s.peer.stats.Connection(s.shard, e.outcome)
		switch e.outcome {
		case telemetry.OutcomeOK, telemetry.OutcomeRetriedOK:
			s.peer.backend.Succeeded()
		case telemetry.OutcomeBackendReset:
			s.peer.pool.Balancer.Failed(s.peer.backend, balancer.FaultReset, time.Now())
		}
		c.engine.Descriptors.Leave(1)
	}
	if s.lease.Backend() != nil {
		s.lease.Release()
	}
	if e.linger {
		_ = s.client.Linger(lingerBytes, lingerTime)
	} else {
		shut(s.client, e.orderly)
	}
	s.target.stats.Done(s.shard, e.outcome)
	if l := c.engine.accessLog(); l != nil {
		s.log(l, e)
	}
	s.site.stats.ConnectionClosed(s.shard)
	c.forget(s)
}

// shut closes a connection. Errors are of no consequence: nobody waits for anything from it.
func shut(c *wire.Conn, orderly bool) {
	if orderly {
		_ = c.Close()
		return
	}
	_ = c.Abort()
}

// log writes the line of the session.
func (s *session) log(l *telemetry.AccessLog, e end) {
	line := telemetry.Entry{
		Time: wire.Time(s.started), Listener: s.site.name, Client: s.src, Proto: "TCP",
		Queue: time.Duration(s.queue), Connect: time.Duration(s.connect),
		Total: time.Duration(wire.Now() - s.started), Backend: s.last,
		Attempts: s.attempts, Outcome: e.outcome, Reason: e.reason, EndedBy: e.by, SNI: s.sni,
	}
	if r := s.relay.Load(); r != nil {
		line.In, line.Out = r.Moved()
		line.FirstByte = r.FirstByte()
	}
	if p := s.target.pool; p != nil {
		line.Pool = p.stats.Name()
	}
	l.Write(&line)
}
