package exchange

import (
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"weir/proxy/admit"
	"weir/proxy/wire"
	"weir/telemetry"
)

// Clients serves the client connections of one listener.
type Clients struct {
	engine *Engine
	site   atomic.Pointer[Site]
	count  atomic.Int64
	wg     sync.WaitGroup

	draining atomic.Bool
	leaving  atomic.Bool  // connections end with their next response, and none is closed while it is idle
	stopped  atomic.Bool  // what is left is being cut
	rejected atomic.Int64 // when the log last told of connections turned away

	mu    sync.Mutex
	conns map[*client]struct{}
}

// NewClients makes a Clients that follows site until SetSite replaces it.
func (e *Engine) NewClients(site *Site) *Clients {
	c := &Clients{engine: e, conns: map[*client]struct{}{}}
	c.site.Store(site)
	return c
}

// Site is the configuration in force.
func (s *Clients) Site() *Site { return s.site.Load() }

// SetSite replaces the configuration: from now on, for every request whose head is parsed.
func (s *Clients) SetSite(site *Site) { s.site.Store(site) }

// Count is the number of connections.
func (s *Clients) Count() int { return int(s.count.Load()) }

// serve takes over a connection that came in by e.
func (s *Clients) serve(conn *wire.Conn, e *Entrance) {
	site := s.site.Load()
	if n := s.count.Add(1); site.maxConns > 0 && n > site.maxConns {
		s.turnAway(conn, site, telemetry.RejectMaxConnections)
		return
	}
	var counted *admit.Connections
	proxied := len(site.proxies) > 0 && site.proxied(conn.Remote().Addr())
	if !proxied { // else its client is looked at when it is known
		var why telemetry.RejectReason
		var ok bool
		if counted, why, ok = site.admit(conn.Remote().Addr()); !ok {
			s.turnAway(conn, site, why)
			return
		}
	}
	if s.engine.Memory.Refusing() {
		counted.Leave(conn.Remote().Addr())
		s.turnAway(conn, site, telemetry.RejectMemory)
		return
	}
	if !s.engine.Descriptors.Enter(1) {
		counted.Leave(conn.Remote().Addr())
		s.turnAway(conn, site, telemetry.RejectDescriptors)
		return
	}
	c := newClient(s, conn, site.connStats, s.engine.Telemetry.NextShard())
	c.counted, c.proxied, c.secured = counted, proxied, site.tls
	c.entrance.Store(e)
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	s.wg.Add(1)
	if c.proxied || c.secured != nil {
		s.engine.Arrivals.Go(c.run) // what has to come first has a time-out of its own
		return
	}
	s.engine.Arrivals.Await(conn, c.idleDue(), c.run)
}

// tooMany answers a connection that is turned away. It is sent unasked: to read a request would be
// the work that there is no room for.
var tooMany = []byte("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 21\r\n\r\ntoo many connections\n")

// rejectedLog is how often, at most, the log says that connections are turned away.
const rejectedLog = int64(10 * time.Second)

// turnAway refuses a connection that was counted already.
func (s *Clients) turnAway(conn *wire.Conn, site *Site, why telemetry.RejectReason) {
	s.count.Add(-1)
	s.noteRejected(site, why)
	if why != telemetry.RejectDenied && site.tls == nil {
		_ = conn.Write(tooMany, time.Millisecond) // a new connection takes it at once, or is not worth waiting for
	}
	_ = conn.Close()
}

// noteRejected counts a connection that is turned away, and logs it now and then.
func (s *Clients) noteRejected(site *Site, why telemetry.RejectReason) {
	site.connStats.Rejected(why)
	now := wire.Now()
	if last := s.rejected.Load(); (last == 0 || now-last > rejectedLog) && s.rejected.CompareAndSwap(last, now) {
		s.engine.Log.Warn("client connections are being turned away",
			zap.String("listener", site.name), zap.Stringer("reason", why), zap.Int("connections", s.Count()))
	}
}

func (s *Clients) forget(c *client) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.engine.Descriptors.Leave(1)
	c.counted.Leave(c.src.Addr())
	s.count.Add(-1)
	s.wg.Done()
}

// Drain lets the connections come to an end: idle ones are closed, the others after the response
// that they are waiting for, which says so. One that has yet to send its first request is not idle.
func (s *Clients) Drain() {
	s.draining.Store(true)
	s.endIdle(func(*client) bool { return true })
}

// endIdle closes the idle connections among those that are meant.
func (s *Clients) endIdle(meant func(*client) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if meant(c) && c.state.CompareAndSwap(stateIdle, stateClosing) {
			c.conn.Interrupt() // its owner closes it, with the alert that TLS wants
		}
	}
}

// Stop ends every connection at once.
func (s *Clients) Stop() {
	s.draining.Store(true)
	s.stopped.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.stop()
	}
}

// Wait returns when every connection has ended. No connection may be added any more.
func (s *Clients) Wait() { s.wg.Wait() }
