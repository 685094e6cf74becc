package datagram

import (
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"weir/telemetry"
)

// Clients has the sessions of one listener.
type Clients struct {
	engine   *Engine
	site     atomic.Pointer[Site]
	table    *table
	draining atomic.Bool
	listed   atomic.Bool  // the lists are new: sessions may be kept out by them
	warned   atomic.Int64 // when the log last told of datagrams dropped

	mu    sync.Mutex
	none  sync.Cond // on mu: signalled when count falls to 0
	count atomic.Int64

	handed []*session // held, while they are handed over to another process
}

// NewClients makes a Clients that follows site until SetSite replaces it.
func (e *Engine) NewClients(site *Site) *Clients {
	c := &Clients{engine: e, table: newTable(site.maxSessions)}
	c.none.L = &c.mu
	c.SetSite(site)
	return c
}

// Site is the configuration in force.
func (c *Clients) Site() *Site { return c.site.Load() }

// SetSite replaces the configuration, for the sessions to come. The next Sweep ends those of clients that its
// lists keep out: nothing else would, while the client sends.
func (c *Clients) SetSite(site *Site) {
	site.gate.Adopt()
	c.table.limit.Store(int64(site.maxSessions))
	c.site.Store(site)
	c.listed.Store(site.listed)
}

// Count is the number of sessions.
func (c *Clients) Count() int { return int(c.count.Load()) }

// gone is the end of a session.
func (c *Clients) gone() {
	if c.count.Add(-1) == 0 {
		c.mu.Lock()
		c.none.Broadcast()
		c.mu.Unlock()
	}
}

// Drain lets the sessions come to an end: no new one is opened, and one where nothing has come for
// drainIdle has come to its end.
func (c *Clients) Drain() { c.draining.Store(true) }

// drainIdle is how long a session may be silent while its listener drains: nobody says when a session
// is over, and most have nothing to say for most of the time.
const drainIdle = 2 * time.Second

// Stop ends every session at once. While the sockets still receive, new ones are refused.
func (c *Clients) Stop() {
	c.Drain()
	c.each(func(s *session) { s.end(endStopped) })
}

// Leave ends the sessions that came in by a socket which is no longer of this listener.
func (c *Clients) Leave(k *Socket) {
	c.each(func(s *session) {
		if s.reply.Load().socket == k {
			s.end(endStopped)
		}
	})
}

// each calls f with every session there is, held.
func (c *Clients) each(f func(*session)) {
	for _, s := range c.table.all() {
		f(s)
		s.release()
	}
}

// Wait returns when every session has ended. None may be opened any more.
func (c *Clients) Wait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.count.Load() != 0 {
		c.none.Wait()
	}
}

// sweepBatch bounds how long Sweep holds a lock.
const sweepBatch = 256

// Sweep ends the sessions that were idle for long enough, and those that a new configuration has no place
// for. It is called about once a second, by one goroutine.
func (c *Clients) Sweep(now int64) {
	if c.listed.Swap(false) {
		gate := c.site.Load().gate
		c.each(func(s *session) {
			if gate.Denied(s.source()) {
				s.end(endDenied)
			}
		})
	}
	for s := c.table.trim(); s != nil; s = c.table.trim() {
		s.ended(endEvicted)
	}
	idle := c.site.Load().idle
	if c.draining.Load() && (idle == 0 || idle > drainIdle) {
		idle = drainIdle
	}
	if idle == 0 {
		return
	}
	var list []*session
	for i := range c.table.shards {
		for {
			list = c.table.expire(i, sweepBatch, now-int64(idle), list[:0])
			for _, s := range list {
				s.ended(s.expired())
			}
			if len(list) < sweepBatch {
				break
			}
		}
	}
}

// warnPause is how often, at most, the log says that datagrams are dropped.
const warnPause = int64(10 * time.Second)

// drop counts datagrams that go nowhere.
func (c *Clients) drop(site *Site, why telemetry.DropReason, datagrams int, now int64) {
	site.target.stats.Dropped(why, uint64(datagrams))
	switch why {
	case telemetry.DropDescriptors, telemetry.DropPorts, telemetry.DropNoBackendUp, telemetry.DropNoCapacity, telemetry.DropOverrun:
	default:
		return // nothing that an operator has to know at once
	}
	if last := c.warned.Load(); (last == 0 || now-last > warnPause) && c.warned.CompareAndSwap(last, now) {
		c.engine.Log.Warn("datagrams are dropped",
			zap.String("listener", site.name), zap.Stringer("reason", why), zap.Int("sessions", c.Count()))
	}
}
