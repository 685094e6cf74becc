package stream

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"weir/balancer"
	"weir/config"
	"weir/internal/sniff"
	persistence "weir/proxy/session"
	"weir/proxy/wire"
	"weir/telemetry"
)

// Why a session does not come about.
var (
	causeNoPool         = &cause{telemetry.OutcomeNoRoute, byWeir, "no pool serves this connection"}
	causeNoBackendUp    = &cause{telemetry.OutcomeNoBackendUp, byWeir, "no backend is up"}
	causeNoCapacity     = &cause{telemetry.OutcomeNoCapacity, byWeir, "the backends that are up take no new connections"}
	causeUnchecked      = &cause{telemetry.OutcomeQueueTimeout, byWeir, "no backend had been checked in time"}
	causeFull           = &cause{telemetry.OutcomeQueueTimeout, byWeir, "every backend had its maximum of connections for too long"}
	causeQueueFull      = &cause{telemetry.OutcomeNoCapacity, byWeir, "every backend has its maximum of connections, and too many wait"}
	causeSessionLost    = &cause{telemetry.OutcomeNoBackendUp, byWeir, "the backend of this client cannot be used"}
	causeConnect        = &cause{telemetry.OutcomeBackendConnect, byWeir, "the backend could not be connected to"}
	causeConnectTimeout = &cause{telemetry.OutcomeBackendConnect, byWeir, "connecting to the backend took too long"}
	causeOverload       = &cause{telemetry.OutcomeOverload, byWeir, "too many connections are open"}
	causeDefect         = &cause{telemetry.OutcomeInternalError, byWeir, "a defect of weir: see its log"}
)

// errDescriptors is returned instead of a connection that the process has no descriptor for. It wraps
// EMFILE, which is what the kernel would say a little later.
var errDescriptors = fmt.Errorf("no file descriptor is left: %w", syscall.EMFILE)

// maxHeader is room for a PROXY header of either version.
const maxHeader = 256

// headerTime is how long the backend may take to take the header about the client: it fits into any
// new socket's buffer.
const headerTime = 5 * time.Second

// open gets the session a backend that is connected to, trying the next one when that fails. The
// cause is nil, or why there is none.
func (s *session) open() (*cause, error) {
	pool := s.target.pool
	s.settings = pool.settings.Load()
	bond := s.settings.sticky.Find(s.src.Addr(), s.started)
	var tried balancer.Tried
	var failure *cause
	var cause error
	for {
		if why := s.acquire(pool, &bond, &tried); why != nil {
			if failure != nil {
				why = failure // no other backend is left to try
			}
			return why, cause
		}
		if failure != nil {
			pool.stats.Retry(telemetry.RetryConnectFailure)
		}
		err := s.dial(pool)
		if err == nil {
			break
		}
		bond.Failed()
		if f := s.fate.Load(); f != nil {
			return f, nil
		}
		s.connectFailed(pool, err, &tried)
		failure, cause = connectCause(err), err
		if s.attempts > s.settings.attempts || !s.settings.retry {
			return failure, cause
		}
	}
	if r := bond.Result(); r != persistence.None {
		pool.stats.Session(s.shard, sessionResults[r])
	}
	return nil, nil
}

// sessionResults are the words of the telemetry for what became of the session of a client.
var sessionResults = [...]telemetry.SessionResult{
	persistence.Hit: telemetry.SessionHit, persistence.New: telemetry.SessionNew, persistence.Lost: telemetry.SessionLost,
}

// acquire takes a lease on a backend that has not been tried: that of the client, if it has one. Where
// another connection of the client has chosen one meanwhile, that is it.
func (s *session) acquire(pool *Pool, bond *persistence.Bond, tried *balancer.Tried) *cause {
	for {
		lease, err := s.lookFor(pool, bond.Backend(), tried)
		if bond.Backend() != nil && err == balancer.ErrNoBackendUp {
			if s.settings.sticky.Fails() {
				return causeSessionLost
			}
			lease, err = s.lookFor(pool, nil, tried)
		}
		switch {
		case err == nil && bond.Claim(lease.Backend(), s.started):
			s.leased(lease)
			return nil
		case err == nil:
			lease.Release()
			continue
		}
		if f := s.fate.Load(); f != nil {
			return f
		}
		return refusal(err)
	}
}

// lookFor acquires a lease, on backend if there is one, and waits where that leads to it.
func (s *session) lookFor(pool *Pool, backend *balancer.Backend, tried *balancer.Tried) (lease balancer.Lease, err error) {
	if backend != nil {
		lease, err = pool.Balancer.AcquireBackend(backend, tried)
	} else {
		lease, err = pool.Balancer.Acquire(s.flow(), tried)
	}
	if err == balancer.ErrChecking || err == balancer.ErrFull {
		return s.wait(pool, backend, tried)
	}
	return lease, err
}

// flow is what the pick may depend on.
func (s *session) flow() balancer.Flow {
	f := balancer.Flow{Src: s.src, Proto: balancer.TCP}
	if s.settings.hashesDst {
		f.Dst = s.local()
	}
	return f
}

// refusal is what a session without a lease is told.
func refusal(err error) *cause {
	switch err {
	case balancer.ErrNoCapacity:
		return causeNoCapacity
	case balancer.ErrChecking:
		return causeUnchecked
	case balancer.ErrFull:
		return causeFull
	case balancer.ErrQueueFull:
		return causeQueueFull
	case balancer.ErrGone:
		return cutStopped
	}
	return causeNoBackendUp
}

func (s *session) leased(l balancer.Lease) {
	s.lease = l
	s.last = l.Backend().Name()
	s.attempts++
}

// dial connects to the backend of the lease, says what must be said first, and joins its peer.
func (s *session) dial(pool *Pool) error {
	e := pool.engine
	if !e.Descriptors.EnterReserved(1) {
		return errDescriptors
	}
	since := wire.Now()
	c, err := s.connectTo(s.lease.Backend().Address())
	s.connect += wire.Now() - since
	if err == nil {
		if err = s.greet(c); err != nil {
			_ = c.Abort()
		}
	}
	s.dialed.Store(nil)
	if err != nil {
		e.Descriptors.Leave(1)
		return err
	}
	s.backend, s.peer = c, s.lease.Backend().Peer().(*peer)
	s.peer.join(s)
	return nil
}

// connectTo connects. The client is watched while that takes its time.
func (s *session) connectTo(addr netip.AddrPort) (*wire.Conn, error) {
	c, connected, err := wire.Connect(addr)
	if err != nil {
		return nil, err
	}
	s.hold(c)
	if connected {
		return c, nil
	}
	end := s.watch()
	err = s.clients.engine.Relays.AwaitConnect(c, s.settings.timeouts.Connect)
	end()
	if err != nil {
		s.dialed.Store(nil)
		_ = c.Abort()
		return nil, err
	}
	return c, nil
}

// hold makes c the connection that is shut down if the session is ended meanwhile.
func (s *session) hold(c *wire.Conn) {
	s.dialed.Store(c)
	if s.fate.Load() != nil {
		c.Shutdown()
	}
}

// connectFailed gives the lease back and tells the world. A lack of descriptors or ports on this
// machine is no fault of the backend, nor is what this client wants to speak.
func (s *session) connectFailed(pool *Pool, err error, tried *balancer.Tried) {
	b := s.lease.Backend()
	reason := telemetry.ConnectReasonOf(err)
	b.Peer().(*peer).stats.ConnectError(reason)
	s.lease.Release()
	s.lease = balancer.Lease{}
	tried.Add(b)
	if reason == telemetry.ConnectLocal || errors.Is(err, errProtocol) {
		return
	}
	if f := pool.engine.ConnectFailed; f != nil {
		f(pool.Balancer.Name(), b, err)
	}
	pool.Balancer.Failed(b, balancer.FaultConnect, time.Now())
}

// greet tells a backend who the client is, in one piece before anything else,
// and begins TLS if the pool speaks it. It fails as connecting does.
func (s *session) greet(c *wire.Conn) error {
	s.site.tune(c)
	var b [maxHeader]byte
	header := b[:0]
	switch s.settings.proxy {
	case config.ProxyV1:
		header = sniff.AppendProxyV1(header, s.src, s.local())
	case config.ProxyV2:
		header = sniff.AppendProxyV2(header, s.src, s.local(), sniff.ProxyOptions{})
	}
	if len(header) > 0 {
		if err := c.Write(header, headerTime); err != nil {
			return err
		}
	}
	if s.settings.tls == nil {
		return nil
	}
	return s.secure(c)
}

// connectCause is what a failed connect is called.
func connectCause(err error) *cause {
	switch {
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return causeOverload
	case errors.Is(err, errTLS):
		return causeBackendHandshake
	case errors.Is(err, wire.ErrTimeout):
		return causeConnectTimeout
	}
	return causeConnect
}
