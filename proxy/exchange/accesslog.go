package exchange

import (
	"net/netip"
	"time"

	"weir/proxy/message"
	"weir/proxy/wire"
	"weir/telemetry"
)

// logAccess writes the line of a finished exchange.
func (c *client) logAccess(l *telemetry.AccessLog, now int64) {
	w := c.work
	x := &w.x
	client := c.src
	if x.client.IsValid() {
		client = netip.AddrPortFrom(x.client, c.src.Port()) // the port is the proxy's, if there is one
	}
	e := telemetry.Entry{
		Time: wire.Time(x.started), Listener: x.site.name, Client: client,
		Method: string(w.req.Method), Host: string(w.req.Authority), Target: string(w.req.Target),
		Proto: protoOf(&w.req), UserAgent: string(w.req.Lookup("user-agent")),
		Status: x.status, In: x.in, Out: x.out,
		Queue: time.Duration(x.queue), Connect: time.Duration(x.connect),
		FirstByte: time.Duration(x.first), Total: time.Duration(now - x.started),
		Attempts: x.attempts, Outcome: x.outcome, Reason: x.reason, RequestID: string(w.requestID),
	}
	if x.target != nil {
		e.Pool = x.target.pool.stats.Name()
	}
	if x.lease.Backend() != nil {
		e.Backend = x.lease.Backend().Name()
	}
	l.Write(&e)
}

// protoOf names the protocol of a request, as far as it was understood.
func protoOf(req *message.Head) string {
	switch {
	case !req.Versioned:
		return ""
	case req.Minor == 0:
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}
