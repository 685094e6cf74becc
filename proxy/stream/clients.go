package stream

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

	rejected atomic.Int64 // when the log last told of connections turned away
	retired  atomic.Int64 // when the listener was removed, on wire.Now's clock; 0: it was not

	mu   sync.Mutex // guards what follows, and the places of sessions in the list
	last *session   // the one that began last; nil: there is none
}

// NewClients makes a Clients that follows site until SetSite replaces it.
func (e *Engine) NewClients(site *Site) *Clients {
	c := &Clients{engine: e}
	c.SetSite(site)
	return c
}

// Site is the configuration in force.
func (c *Clients) Site() *Site { return c.site.Load() }

// SetSite replaces the configuration, for the connections to come.
func (c *Clients) SetSite(site *Site) {
	site.gate.Adopt()
	c.site.Store(site)
}

// Count is the number of connections.
func (c *Clients) Count() int { return int(c.count.Load()) }

// Serve takes over an accepted connection.
func (c *Clients) Serve(conn *wire.Conn) {
	site := c.site.Load()
	if n := c.count.Add(1); site.maxConns > 0 && n > site.maxConns {
		c.turnAway(conn, site, telemetry.RejectMaxConnections)
		return
	}
	now := wire.Now()
	var counted *admit.Connections
	var refused admit.Refusal
	if !site.proxied(conn) { // else its client is looked at when it is known
		counted, refused = site.gate.Enter(conn.Remote().Addr(), now)
	}
	if refused != 0 {
		c.turnAway(conn, site, refusals[refused])
		return
	}
	if c.engine.Memory.Refusing() {
		counted.Leave(conn.Remote().Addr())
		c.turnAway(conn, site, telemetry.RejectMemory)
		return
	}
	if !c.engine.Descriptors.Enter(1) {
		counted.Leave(conn.Remote().Addr())
		c.turnAway(conn, site, telemetry.RejectDescriptors)
		return
	}
	s := &session{
		clients: c, site: site, client: conn, src: conn.Remote(), counted: counted, started: now, target: site.nowhere,
		shard: c.engine.Telemetry.NextShard(),
	}
	site.tune(conn)
	site.stats.ConnectionOpened(s.shard)
	c.wg.Add(1)
	c.enter(s)
	c.engine.Relays.Go(s.run)
}

// rejectedLog is how often, at most, the log says that connections are turned away.
const rejectedLog = int64(10 * time.Second)

// turnAway refuses a connection that was counted already, by a reset.
func (c *Clients) turnAway(conn *wire.Conn, site *Site, why telemetry.RejectReason) {
	c.count.Add(-1)
	site.stats.Rejected(why)
	now := wire.Now()
	if last := c.rejected.Load(); (last == 0 || now-last > rejectedLog) && c.rejected.CompareAndSwap(last, now) {
		c.engine.Log.Warn("client connections are being turned away",
			zap.String("listener", site.name), zap.Stringer("reason", why), zap.Int("connections", c.Count()))
	}
	_ = conn.Abort()
}

// enter puts a session at the end of the list.
func (c *Clients) enter(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.before = c.last; s.before != nil {
		s.before.after = s
	}
	c.last = s
}

// leave takes it out again.
func (c *Clients) leave(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.before != nil {
		s.before.after = s.after
	}
	if s.after != nil {
		s.after.before = s.before
	} else {
		c.last = s.before
	}
	s.before, s.after = nil, nil // what it knew need not live as long as it does
}

// forget is the end of a session.
func (c *Clients) forget(s *session) {
	c.leave(s)
	c.engine.Descriptors.Leave(1)
	s.counted.Leave(s.src.Addr())
	c.count.Add(-1)
	c.wg.Done()
}

// Drain lets the connections come to an end. At layer 4 nobody can be asked to leave, so they go on
// until Stop; see Retire.
func (c *Clients) Drain() {}

// Leave does nothing, for the same reason.
func (c *Clients) Leave() {}

// Ending is 0: none is closed by Leave or Drain.
func (c *Clients) Ending() int { return 0 }

// Stop ends every connection at once. No connection may be added any more.
func (c *Clients) Stop() {
	for _, s := range c.all() {
		s.cut(cutStopped)
	}
}

// all lists the sessions, so that they can be ended without holding mu.
func (c *Clients) all() []*session {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]*session, 0, c.Count())
	for s := c.last; s != nil; s = s.before {
		list = append(list, s)
	}
	return list
}

// Wait returns when every connection has ended. No connection may be added any more.
func (c *Clients) Wait() { c.wg.Wait() }
