package exchange

import (
	"net/netip"
	"time"

	"weir/balancer"
	"weir/config"
	"weir/proxy/route"
	"weir/proxy/wire"
	"weir/telemetry"
)

// gonePatience is how long a backend may take before the client's socket is watched, so that a
// client that leaves ends the exchange. Fast responses do without the system calls of a watch.
const gonePatience = int64(100 * time.Millisecond)

// exchange is one request and its response.
type exchange struct {
	site     *Site
	target   *Target // nil: no route
	settings *settings

	method  telemetry.Method
	started int64 // when its head was complete
	sent    int64 // when the last byte of the request was sent; 0: it has not been
	headReq bool  // HEAD
	close   bool  // the client's connection ends with this response
	upgrade bool  // the request asks for another protocol, and may
	tunnel  bool  // the backend has agreed: what follows is that protocol

	client   netip.Addr
	action   *route.Action // of the route; nil: it has none
	forwards int64         // Max-Forwards of a request in which it counts; 0: there is none
	flow     balancer.Flow
	member   membership // of a session

	tried    balancer.Tried
	failed   *failure              // of the backend tried last
	cause    error                 // of failed, for the log
	again    bool                  // another backend is to be tried, because of
	why      telemetry.RetryReason // this
	attempts int
	leased   bool
	lease    balancer.Lease
	backend  *backendConn
	fresh    bool // a stale connection was met: use a new one

	upload *upload // nil: the request was whole

	answer  int // status of the backend's response; 0: there was none
	status  int // of the response that went to the client; 0: none did
	outcome telemetry.Outcome
	retryIn time.Duration // when a request that came too early may come again
	reason  string        // of an outcome that is not ok
	in, out int64         // bytes from and to the client
	counted int64         // of out: those that the telemetry has already
	queue   int64         // ns
	connect int64         // ns
	first   int64         // ns, kept for the access log only
}

// begin prepares the exchange for the request in work.req, whose head took size bytes. It refuses
// what its head alone shows to be too much.
func (c *client) begin(site *Site, size int) {
	req, x := &c.work.req, &c.work.x
	*x = exchange{} // and then the fields: a whole value would be made and copied
	x.site, x.started, x.method = site, wire.Now(), telemetry.ParseMethod(req.Method)
	x.headReq, x.in = string(req.Method) == "HEAD", int64(size)
	c.work.requestID = c.work.requestID[:0]
	if site.requestID {
		c.identifyRequest()
	}
	c.served++
	x.close = req.Close || (req.Minor == 0 && !req.KeepAlive) ||
		(site.requests > 0 && c.served >= site.requests) || c.leaving()
	if site.tls != c.secured {
		x.close = true // it was made under other rules than those that hold now
	}
	if site.maxBody > 0 && req.ContentLength > site.maxBody {
		c.fail(errBodyTooLarge)
	}
}

// serve exchanges a request whose body is whole for a response.
func (c *client) serve(body []byte) {
	w := c.work
	x := &w.x
	x.in += int64(len(body))
	if !c.route() {
		return
	}
	c.buildRequest()
	w.out = append(w.out, body...)
	request := w.out
	for c.acquire() {
		n, err := c.roundTrip(request)
		if err == nil && !c.respond(n) || err != nil && !c.retryAfter(err) {
			return
		}
	}
}

// route finds the target and says what is to be forwarded of the head.
func (c *client) route() bool {
	req, x := &c.work.req, &c.work.x
	x.client = c.clientAddr()
	if !c.admitRequest() {
		return false
	}
	m := x.site.routes.Match(req, x.client)
	x.action = m.Action
	if !m.HasTarget {
		switch {
		case m.Refused != route.NotRefused:
			c.fail(pathFailures[m.Refused])
		case !m.Found:
			c.fail(errNoRoute)
		default:
			c.answer()
		}
		return false
	}
	if !c.countForwards() {
		return false
	}
	x.target, x.settings = m.Target, m.Target.pool.settings.Load()
	x.upgrade = wantsUpgrade(req)
	x.flow = c.flow()
	if s := x.settings.sticky; s != nil {
		if x.member = s.lookUp(req, &x.flow); s.ends(&x.member) {
			c.fail(errSessionLost)
			return false
		}
	}
	req.StripHopByHop()
	return true
}

// clientAddr is the address of the client: that of the peer, unless the peer is a proxy that is
// trusted to say it.
func (c *client) clientAddr() netip.Addr {
	x := &c.work.x
	if f := &x.site.forwarding; len(f.trust) > 0 && f.trusts(c.src.Addr()) {
		if a, ok := f.clientOf(&c.work.req); ok {
			return a
		}
	}
	return c.src.Addr()
}

// flow describes the request to the balancer.
func (c *client) flow() balancer.Flow {
	x := &c.work.x
	f := balancer.Flow{Src: netip.AddrPortFrom(x.client, c.src.Port()), Proto: balancer.TCP}
	if x.settings.hashesDst {
		f.Dst = c.local()
	}
	return f
}

// roundTrip sends the request and waits for the first bytes of the response, of which it returns
// how many are in the buffer.
func (c *client) roundTrip(request []byte) (int, error) {
	w := c.work
	x := &w.x
	x.sent = x.started
	if x.attempts > 1 || x.connect != 0 || x.queue != 0 || x.fresh {
		x.sent = wire.Now()
	}
	due := wire.After(x.sent, x.settings.timeouts.Response)
	first := x.sent + gonePatience
	if due != 0 && due < first {
		first = due
	}
	n, err := x.backend.exchange(request, w.back.B, due, first)
	if err == wire.ErrTimeout && first != due {
		n, err = c.readWatched(w.back.B, due)
	}
	return n, err
}

// readWatched receives from the backend while the client's socket is watched: if the client leaves,
// the backend's connection is shut down, and the read ends.
func (c *client) readWatched(p []byte, due int64) (int, error) {
	x := &c.work.x
	id, err := c.set.engine.Watcher.Watch(c.conn, c.onGone)
	if err != nil {
		return x.backend.read(p, due)
	}
	n, err := x.backend.read(p, due)
	c.set.engine.Watcher.Unwatch(c.conn, id)
	return n, err
}

// readBackend receives more of a response before due (0: without bound), watching the client when
// that takes long.
func (c *client) readBackend(p []byte, due int64) (int, error) {
	first := wire.Now() + gonePatience
	if due != 0 && due < first {
		first = due
	}
	n, err := c.work.x.backend.read(p, first)
	if err == wire.ErrTimeout && first != due {
		n, err = c.readWatched(p, due)
	}
	return n, err
}

// dropBackend closes the exchange's connection to the backend.
func (c *client) dropBackend() {
	x := &c.work.x
	c.stopUpload()
	if x.backend != nil {
		c.active.Store(nil)
		x.backend.close()
		x.backend = nil
	}
}

// done ends the exchange: the lease goes back, the books are written. It is called once.
func (c *client) done() {
	w := c.work
	x := &w.x
	now := wire.Now()
	if x.backend != nil { // it is fit to be used again
		c.active.Store(nil)
		if x.backend.transport.proxy == config.ProxyNone {
			x.backend.peer.put(x.backend, now)
		} else {
			c.keep(x.backend, now)
		}
		x.backend = nil
	}
	stats := x.site.noPool
	if x.target != nil {
		stats = x.target.stats
	}
	if x.leased {
		c.settled(x.lease.Backend(), x.answer, x.outcome)
		x.lease.Release()
		x.leased = false
	}
	if x.outcome == telemetry.OutcomeOK && x.tried.Len() > 0 {
		x.outcome = telemetry.OutcomeRetriedOK
	}
	stats.Done(c.shard, telemetry.Exchange{
		Method: x.method, Status: x.status, Duration: time.Duration(now - x.started),
		In: x.in, Out: x.out - x.counted, Outcome: x.outcome,
	})
	if l := c.set.engine.accessLog(); l != nil {
		c.logAccess(l, now)
	}
	c.idleSince = now
	if x.close {
		c.closing, c.verdict, c.parting = true, verdictClose, true
	}
}

// abandon gives back whatever the exchange holds, without a word.
func (c *client) abandon() {
	if c.work == nil {
		return
	}
	c.dropBackend()
	if x := &c.work.x; x.leased {
		x.lease.Release()
		x.leased = false
	}
}

// lost ends an exchange whose response cannot be delivered, or not to its end. The client sees it:
// the connection is reset.
func (c *client) lost(f *failure) {
	x := &c.work.x
	c.dropBackend()
	x.outcome, x.reason, x.close = f.outcome, f.reason, true
	c.ending = endAbort
	c.done()
}

// whoLeft says why nobody waits for the response any more.
func (c *client) whoLeft() *failure {
	if c.set.stopped.Load() {
		return lostToStop
	}
	return lostClient
}
